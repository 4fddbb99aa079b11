"""The two Ray Data steps of preparing: read and check a unit of recordings; extract its features and write its file.

Reading waits on storage, so a task has several recordings in flight and asks for little CPU. Extraction computes, so
it runs in a pool of actors that are made once. A unit's file holds kept windows and rejected ones alike.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from physioclr import storage
from physioclr.config import FeatureConfig, NoiseConfig, SourceConfig
from physioclr.ecg.record import FS, WINDOW_SAMPLES, RecordingRef
from physioclr.ecg.standardise import standardise
from physioclr.errors import RejectedRecording
from physioclr.pipeline.dataset import REJECTED_SCHEMA, ROW_SCHEMA, read_table, write_table
from physioclr.pipeline.prepare.layout import Unit, plan_entries
from physioclr.sources.registry import open_source

READS_IN_FLIGHT = 8
WINDOWS_AT_ONCE = 64  # measured together: a unit may hold thousands, of 0.5 MB each as float64

READ_SCHEMA = pa.schema(
    [
        *(ROW_SCHEMA.field(name) for name in ROW_SCHEMA.names[: ROW_SCHEMA.names.index("features")]),
        ("uri", pa.string()),
        ("reason", pa.string()),  # null: kept
        ("detail", pa.string()),
        ("unit_name", pa.string()),
    ]
)
UNIT_SCHEMA = pa.schema(
    [*ROW_SCHEMA, *(REJECTED_SCHEMA.field(name) for name in ("uri", "reason", "detail"))],
)


class ReadUnit:
    """Reads, checks and standardises the recordings of one unit; what cannot be used becomes a row with a reason."""

    def __init__(self, uri: str, sources: Sequence[SourceConfig]) -> None:
        self._uri = uri
        self._sources = [open_source(source) for source in sources]

    def __call__(self, block: pa.Table) -> pa.Table:
        """One unit (a row with the fields of `Unit`) to a table of `READ_SCHEMA`."""
        (row,) = block.to_pylist()
        unit = Unit(**row)
        plan = read_table(storage.join(self._uri, "work", "plan", f"{unit.shard}.parquet"))
        entries = plan_entries(plan.slice(unit.start, unit.stop - unit.start))
        with ThreadPoolExecutor(READS_IN_FLIGHT) as pool:
            rows = [row for part in pool.map(lambda entry: self._read(*entry), entries) for row in part]
        common = {"split": unit.split, "unit_name": unit.name}
        return pa.Table.from_pylist([{**row, **common} for row in rows], schema=READ_SCHEMA)

    def _read(self, source: int, ref: RecordingRef) -> list[dict[str, Any]]:
        try:
            recording = self._sources[source].read(ref)
            standard = standardise(recording)
        except RejectedRecording as rejected:
            return [_rejected(ref, -1, rejected.reason, rejected.detail)]
        ref = recording.ref
        kept = [
            {
                **_identity(ref, window.index),
                "fs": FS,
                "unit": window.unit,
                "signal": np.ascontiguousarray(window.signal, dtype="<i2").tobytes(),
                "labels": list(ref.labels),
                "statements": list(ref.statements),
                "age": ref.age,
                "sex": ref.sex,
            }
            for window in standard.windows
        ]
        return kept + [_rejected(ref, *reason) for reason in standard.rejected]


def _identity(ref: RecordingRef, window: int) -> dict[str, Any]:
    return {"record_id": ref.record_id, "dataset": ref.dataset, "patient_id": ref.patient_id, "window": window}


def _rejected(ref: RecordingRef, window: int, reason: str, detail: str) -> dict[str, Any]:
    return {**_identity(ref, window), "uri": ref.uri, "reason": reason, "detail": detail}


class ExtractUnit:
    """Actor: adds the features of each kept window and writes the unit's file. Returns the unit's counts."""

    def __init__(self, uri: str, features: FeatureConfig) -> None:
        self._uri = uri
        from physioclr.features.extract import FeatureExtractor  # scipy.signal: only these actors need it

        self._extract = FeatureExtractor(features)
        self._noise = features.noise

    def __call__(self, table: pa.Table) -> pa.Table:
        """A table of `READ_SCHEMA` for one unit to one row: its name and how many recordings it held."""
        names = set(table["unit_name"].to_pylist())
        assert len(names) == 1, "a block is one unit"
        rows = table.drop_columns(["unit_name"]).to_pylist()
        kept = [row for row in rows if row["signal"] is not None]
        for start in range(0, len(kept), WINDOWS_AT_ONCE):
            self._add_features(kept[start : start + WINDOWS_AT_ONCE])
        whole = pa.Table.from_pylist(rows, schema=UNIT_SCHEMA)
        (name,) = names
        write_table(whole, unit_uri(self._uri, name), row_group_rows=max(len(rows), 1))
        rejected = sum(row["reason"] is not None and row["window"] < 0 for row in rows)
        recordings = len({(row["dataset"], row["record_id"]) for row in rows})
        counts = {"unit": name, "recordings": recordings, "rejected": rejected}
        memory = {"worker": os.getpid(), "peak_bytes": peak_bytes()}
        return pa.Table.from_pylist([counts | memory])

    def _add_features(self, rows: list[dict[str, Any]]) -> None:
        signals = np.stack([np.frombuffer(row["signal"], dtype="<i2").reshape(-1, WINDOW_SAMPLES) for row in rows])
        clean = self._extract(signals)
        heard = clean if self._noise is None else self._extract(_noisy(signals, rows, self._noise))
        for row, halves, waves in zip(rows, heard, clean, strict=True):
            row["features"] = np.concatenate([half.features for half in halves])
            row["feature_status"] = [half.status for half in halves]
            row["feature_quality"] = [half.quality for half in halves]
            row["r_peaks"] = [half.r_peaks.tolist() for half in waves]
            row["intervals"] = [half.intervals.ravel().tolist() for half in waves]


def _noisy(signals: NDArray[np.int16], rows: list[dict[str, Any]], noise: NoiseConfig) -> NDArray[np.int16]:
    from physioclr.pipeline.compare.noisy import keys_of, with_noise  # scipy.signal, as above

    return with_noise(signals, keys_of(rows), noise)


def peak_bytes() -> int:
    """The most memory that this process has held so far, what it maps of Ray's object store included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def unit_uri(uri: str, name: str) -> str:
    """Where a unit's file is while the dataset is being made."""
    return storage.join(uri, "work", "units", f"{name}.parquet")


def kept_and_rejected(unit: pa.Table) -> tuple[pa.Table, pa.Table]:
    """A unit's table parted into rows of `ROW_SCHEMA` and of `REJECTED_SCHEMA`."""
    is_kept = unit["reason"].is_null()
    kept = unit.filter(is_kept).select(ROW_SCHEMA.names)
    rejected = unit.filter(pa.compute.invert(is_kept)).select(REJECTED_SCHEMA.names)
    return kept, rejected
