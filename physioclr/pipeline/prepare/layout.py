"""Which recording goes to which split, shard and unit: fixed by the source's index and the configuration alone.

Recordings are laid out in the order of a hash of their patient, a patient's own side by side. So shards are random
over patients, a training window of neighbouring row groups is a fair sample, and some patients meet themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from physioclr.config import PrepareConfig, SplitConfig
from physioclr.ecg.record import RecordingRef

SPLITS = ("train", "validation", "test")

PLAN_SCHEMA = pa.schema(
    [
        ("record_id", pa.string()),
        ("dataset", pa.string()),
        ("uri", pa.string()),
        ("patient_id", pa.string()),
        ("labels", pa.list_(pa.string())),
        ("statements", pa.list_(pa.string())),
        ("age", pa.float64()),
        ("sex", pa.string()),
        ("source", pa.int32()),  # index into the configuration's sources
    ]
)


@dataclass(frozen=True)
class Shard:
    """Recordings that end up in one Parquet file `name` of one split."""

    name: str
    split: str
    entries: tuple[tuple[int, RecordingRef], ...]  # (index of the source, recording)


@dataclass(frozen=True)
class Unit:
    """A slice of a shard that one task extracts, and that is not done again once its file is written."""

    shard: str
    split: str
    index: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        """Name of the unit's file, in the order of the recordings."""
        return f"{self.shard}.{self.index:04d}"


def patient_hash(patient_id: str, seed: int, purpose: str) -> int:
    """A 64-bit hash of a patient that is the same on every machine."""
    digest = hashlib.blake2b(f"{purpose}\0{seed}\0{patient_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def split_of(patient_id: str, config: SplitConfig) -> str:
    """The split of a patient: the same for all recordings, whatever else is in the dataset."""
    share = patient_hash(patient_id, config.seed, "split") / 2**64
    if share < config.test:
        return "test"
    return "validation" if share < config.test + config.validation else "train"


def lay_out(entries: Sequence[tuple[int, RecordingRef]], config: PrepareConfig) -> list[Shard]:
    """Shards of all recordings, by split and in the order of their patients' hash."""

    def order(entry: tuple[int, RecordingRef]) -> tuple[int, str, str, str]:
        ref = entry[1]
        return patient_hash(ref.patient_id, config.order_seed, "order"), ref.patient_id, ref.dataset, ref.record_id

    by_split: dict[str, list[tuple[int, RecordingRef]]] = {split: [] for split in SPLITS}
    for entry in sorted(entries, key=order):
        by_split[split_of(entry[1].patient_id, config.split)].append(entry)
    size = config.shard_recordings
    return [
        Shard(f"{split}-{start // size:05d}", split, tuple(members[start : start + size]))
        for split, members in by_split.items()
        for start in range(0, len(members), size)
    ]


def units_of(shard: str, split: str, recordings: int, unit_recordings: int) -> Iterator[Unit]:
    """The units of a shard that holds `recordings`."""
    for index, start in enumerate(range(0, recordings, unit_recordings)):
        yield Unit(shard, split, index, start, min(start + unit_recordings, recordings))


def plan_table(shard: Shard) -> pa.Table:
    """A shard's recordings as the table that its plan file holds."""
    rows = [{**asdict(ref), "source": source} for source, ref in shard.entries]
    return pa.Table.from_pylist(rows, schema=PLAN_SCHEMA)


def plan_entries(table: pa.Table) -> list[tuple[int, RecordingRef]]:
    """The inverse of `plan_table`."""
    entries = []
    for row in table.to_pylist():
        source = row.pop("source")
        row["labels"], row["statements"] = tuple(row["labels"]), tuple(row["statements"])
        entries.append((source, RecordingRef(**row)))
    return entries
