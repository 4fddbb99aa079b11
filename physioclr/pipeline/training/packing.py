"""Rows of a prepared dataset as arrays that training moves to its device in one piece.

A grain is the samples of one worker's micro-batch. It travels as ONE Ray Data row of raw bytes, which becomes one
block: the order of blocks is then the order of the plan, and nothing is decoded or collated sample by sample.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from physioclr.ecg.record import WINDOW_SAMPLES
from physioclr.features.columns import COLUMNS
from physioclr.features.delineation import USABLE

COLUMNS_READ = ("patient_id", "signal", "features", "feature_status", "feature_quality", "r_peaks", "intervals")
MAX_BEATS = 40  # in 5 s: 480 beats a minute
MAX_INTERVALS = 3 * MAX_BEATS
PADDING = -1


@dataclass(frozen=True)
class Grain:
    """n recordings as arrays; halves are the second axis."""

    position: NDArray[np.int64]  # [n] place in the plan
    record: NDArray[np.int64]  # [n] row of the split or selection
    patient: NDArray[np.int64]  # [n] hash of the patient
    signal: NDArray[np.int16]  # [n, 12, 5000]
    features: NDArray[np.float32]  # [n, 2, 150]
    usable: NDArray[np.uint8]  # [n, 2]
    quality: NDArray[np.float32]  # [n, 2], of the features; NaN where the engine has none
    r_peaks: NDArray[np.int16]  # [n, 2, MAX_BEATS]
    intervals: NDArray[np.int16]  # [n, 2, MAX_INTERVALS, 2]


SHAPES: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
    "position": (np.int64, ()),
    "record": (np.int64, ()),
    "patient": (np.int64, ()),
    "signal": (np.int16, (12, WINDOW_SAMPLES)),
    "features": (np.float32, (2, len(COLUMNS))),
    "usable": (np.uint8, (2,)),
    "quality": (np.float32, (2,)),
    "r_peaks": (np.int16, (2, MAX_BEATS)),
    "intervals": (np.int16, (2, MAX_INTERVALS, 2)),
}


def grain_of(table: pa.Table, position: NDArray[np.int64], record: NDArray[np.int64]) -> Grain:
    """Rows of a prepared dataset (columns `COLUMNS_READ`) as a grain."""
    n = table.num_rows
    status = _flat(table["feature_status"]).to_pylist()
    return Grain(
        position=position,
        record=record,
        patient=np.array([_patient_number(name) for name in table["patient_id"].to_pylist()], dtype=np.int64),
        signal=signals_of(table),
        features=features_of(table),
        usable=np.array([word in USABLE for word in status], dtype=np.uint8).reshape(n, 2),
        quality=_flat(table["feature_quality"]).to_numpy(zero_copy_only=False).reshape(n, 2).astype(np.float32),
        r_peaks=_padded(_flat(table["r_peaks"]), MAX_BEATS).reshape(n, 2, MAX_BEATS),
        intervals=_intervals(_flat(table["intervals"])).reshape(n, 2, MAX_INTERVALS, 2),
    )


def signals_of(table: pa.Table) -> NDArray[np.int16]:
    """Stored signals of rows with a column `signal`: int16 [n, 12, 5000], read-only."""
    return np.frombuffer(b"".join(table["signal"].to_pylist()), dtype="<i2").reshape(-1, 12, WINDOW_SAMPLES)


def features_of(table: pa.Table) -> NDArray[np.float32]:
    """Features of both halves of rows with a column `features`: float32 [n, 2, 150], NaN = missing."""
    values = _flat(table["features"]).to_numpy(zero_copy_only=False)
    return np.asarray(values.reshape(table.num_rows, 2, -1), dtype=np.float32)


def _flat(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks().flatten()


def _patient_number(patient_id: str) -> int:
    """A patient as a number that is equal on every machine; 63 bits, so that two patients of a million never meet."""
    return int.from_bytes(hashlib.blake2b(patient_id.encode(), digest_size=8).digest(), "big") >> 1


def _padded(lists: pa.ListArray, width: int) -> NDArray[np.int16]:
    """Variable lists of int16 as an array [len, width], padded at the end; what is beyond `width` is left out."""
    offsets = np.asarray(lists.offsets)
    values = lists.values.to_numpy(zero_copy_only=False)
    lengths = np.minimum(np.diff(offsets), width)
    padded = np.full((len(lists), width), PADDING, dtype=np.int16)
    inside = np.arange(width) < lengths[:, None]
    padded[inside] = values[(offsets[:-1, None] + np.arange(width))[inside]]
    return padded


def _intervals(lists: pa.ListArray) -> NDArray[np.int16]:
    """Flat (kind, onset, offset) triples as (onset, offset) pairs [len, MAX_INTERVALS, 2]."""
    return _padded(lists, 3 * MAX_INTERVALS).reshape(len(lists), MAX_INTERVALS, 3)[..., 1:]


def pack(grain: Grain) -> pa.Table:
    """A grain as one row of bytes."""
    return pa.table({field.name: [getattr(grain, field.name).tobytes()] for field in fields(grain)})


def unpack(batch: pa.Table) -> Grain:
    """The inverse of `pack` for any number of packed rows: their samples joined."""
    arrays: dict[str, Any] = {}
    for name, (kind, shape) in SHAPES.items():
        parts = [np.frombuffer(value.as_buffer(), dtype=kind).reshape(-1, *shape) for value in batch[name]]
        arrays[name] = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return Grain(**arrays)
