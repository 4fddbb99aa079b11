"""A prepared dataset on storage: its manifest, its Parquet row schema, and reading rows back.

URI/manifest.json       written last: a dataset without it does not exist
    shards/SPLIT-NNNNN.parquet
    rejected.parquet    recordings and windows that could not be used, and why
    reducer.json        scaler + PCA of the features, fitted on the training split
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from physioclr import storage
from physioclr.errors import DatasetError
from physioclr.features.reducer import Reducer

FORMAT = 2  # 1 had no `feature_quality`
FILES_AT_ONCE = 8
GROUPS_AT_ONCE = 4  # row groups asked for in one go: the storage's answer takes longer than what it sends
SMALL_GROUPS_AT_ONCE = 64  # without their signals

ROW_SCHEMA = pa.schema(
    [
        ("record_id", pa.string()),
        ("dataset", pa.string()),
        ("patient_id", pa.string()),
        ("window", pa.int32()),  # which 10 s of the recording
        ("split", pa.string()),
        ("fs", pa.int32()),
        ("unit", pa.string()),  # mV, or NU for signals normalised by their publisher
        ("signal", pa.binary()),  # little-endian int16 [12, 5000] in thousandths of `unit`
        ("labels", pa.list_(pa.string())),  # SNOMED CT
        ("statements", pa.list_(pa.string())),  # the source's own
        ("age", pa.float32()),
        ("sex", pa.string()),
        ("features", pa.list_(pa.float32())),  # [2 x 150], NaN = missing
        ("feature_status", pa.list_(pa.string())),  # [2]
        ("feature_quality", pa.list_(pa.float32())),  # [2], 0 to 1; NaN where the engine has none
        ("r_peaks", pa.list_(pa.list_(pa.int16()))),  # per half, samples from its start
        ("intervals", pa.list_(pa.list_(pa.int16()))),  # per half, flat (kind, onset, offset), kind 0 P, 1 QRS, 2 T
    ]
)

REJECTED_SCHEMA = pa.schema(
    [
        ("record_id", pa.string()),
        ("dataset", pa.string()),
        ("uri", pa.string()),
        ("window", pa.int32()),  # -1: the whole recording
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)


class ShardEntry(BaseModel):
    """One Parquet file of the dataset and the number of rows in each of its row groups."""

    model_config = ConfigDict(frozen=True)
    name: Annotated[str, Field(pattern=r"^\w[\w-]*$")]  # no separators: it is a file in `shards/` and nowhere else
    split: str
    rows: int
    row_groups: tuple[int, ...]
    bytes: int


class Manifest(BaseModel):
    """What a prepared dataset is and how it was made. found = kept + rejected, in recordings."""

    model_config = ConfigDict(frozen=True)
    format: int
    config: dict[str, Any]
    patient_key: str | None = None  # name of the key that pseudonyms were made with; says nothing about the key
    found: int
    kept: int
    rejected: int
    rejected_by_reason: dict[str, int]
    rejected_windows: int
    rows: dict[str, int]  # by split
    patients: dict[str, int]  # by split
    feature_status: dict[str, int]  # halves by status
    shards: tuple[ShardEntry, ...]


@dataclass(frozen=True)
class PreparedDataset:
    """A prepared dataset opened by its URI."""

    uri: str
    manifest: Manifest

    @classmethod
    def open(cls, uri: str) -> PreparedDataset:
        """Open the dataset at `uri`. Raises `DatasetError` when it is not there, not finished or not one."""
        if not storage.exists(storage.join(uri, "manifest.json")):
            raise DatasetError(
                f"There is no prepared dataset at {uri} (no manifest.json); run jobs/prepare.py first, or give "
                "dataset.sources so that it is prepared."
            )
        try:
            manifest = Manifest.model_validate_json(storage.read_text(storage.join(uri, "manifest.json")))
        except ValidationError as error:
            raise DatasetError(f"{uri}/manifest.json is not a manifest of this software; prepare it again.") from error
        if manifest.format != FORMAT:
            raise DatasetError(f"{uri} has format {manifest.format}, this version reads {FORMAT}; prepare it again.")
        return cls(uri, manifest)

    @cached_property
    def reducer(self) -> Reducer:
        """Scaler and PCA of the features."""
        return Reducer.from_json(storage.read_text(storage.join(self.uri, "reducer.json")))

    @cached_property
    def digest(self) -> str:
        """Changes with the rows that are there, and not with how they came there."""
        said = {"format", "rows", "patients", "rejected_by_reason", "feature_status", "shards"}
        return hashlib.sha256(self.manifest.model_dump_json(include=said).encode()).hexdigest()[:16]

    def split_shards(self, split: str) -> list[ShardEntry]:
        """The shards of one split, in order."""
        return [shard for shard in self.manifest.shards if shard.split == split]

    def group_rows(self, split: str) -> NDArray[np.int64]:
        """Rows in each row group of a split, over its shards in order."""
        return np.array([rows for shard in self.split_shards(split) for rows in shard.row_groups], dtype=np.int64)

    def rows(self, split: str) -> int:
        """Rows (10 s windows) in a split."""
        return self.manifest.rows.get(split, 0)

    def take(self, split: str, rows: NDArray[np.int64], columns: Sequence[str]) -> pa.Table:
        """The given rows of a split in the given order, in one piece. Several files are read at once."""
        wanted, start = [], 0
        for shard in self.split_shards(split):
            places = np.flatnonzero((rows >= start) & (rows < start + shard.rows))
            if len(places):
                wanted.append((shard, places, rows[places] - start))
            start += shard.rows
        if not wanted:
            return _with_large_signals(ROW_SCHEMA.empty_table().select(list(columns)))
        with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
            parts = list(pool.map(lambda one: self._take_from(one[0], one[2], columns), wanted))
        order = np.concatenate([places[part[0]] for (_, places, _), part in zip(wanted, parts, strict=True)])
        tables = [part[1] for part in parts]
        del parts
        return in_one_piece(tables, order)

    def _take_from(
        self, shard: ShardEntry, rows: NDArray[np.int64], columns: Sequence[str]
    ) -> tuple[NDArray[np.int64], pa.Table]:
        """Rows of one shard by row group, and the index in `rows` of each. Of a group only what is wanted is kept."""
        sizes = np.array(shard.row_groups)
        ends = np.cumsum(sizes)
        group = np.searchsorted(ends, rows, side="right")
        groups, at_once = np.unique(group), GROUPS_AT_ONCE if "signal" in columns else SMALL_GROUPS_AT_ONCE
        order, tables = [], []
        with open_parquet(storage.join(self.uri, "shards", f"{shard.name}.parquet")) as file:
            for some in np.split(groups, range(at_once, len(groups), at_once)):
                here = np.flatnonzero((group >= some[0]) & (group <= some[-1]))
                table = _with_large_signals(file.read_row_groups(some.tolist(), columns=list(columns)))
                before = np.cumsum(sizes[some]) - sizes[some]  # rows of the table before each of the groups
                index = np.searchsorted(some, group[here])
                inside = rows[here] - (ends - sizes)[group[here]]
                tables.append(table.take(pa.array(before[index] + inside)))
                order.append(here)
        return np.concatenate(order), pa.concat_tables(tables)

    def head(self, split: str, rows: int, columns: Sequence[str] = tuple(ROW_SCHEMA.names)) -> pa.Table:
        """The first `rows` rows of a split (all of them if there are fewer)."""
        return self.take(split, np.arange(min(rows, self.rows(split))), columns)


def in_one_piece(tables: list[pa.Table], places: NDArray[np.int64]) -> pa.Table:
    """The rows of all tables, each at its place among them. Empties `tables`: signals are there twice and not thrice
    meanwhile, and afterwards once, as a task that reads ahead may hold them for long."""
    whole = pa.concat_tables(tables).combine_chunks()
    tables.clear()
    ordered = whole.take(pa.array(np.argsort(places)))
    del whole
    pa.default_memory_pool().release_unused()
    return ordered


def _with_large_signals(table: pa.Table) -> pa.Table:
    """So that more than 2 GB of signals, 17,895 rows, can be in one piece."""
    if "signal" not in table.column_names:
        return table
    place = table.column_names.index("signal")
    return table.set_column(place, "signal", table["signal"].cast(pa.large_binary()))


@contextmanager
def open_parquet(uri: str) -> Iterator[pq.ParquetFile]:
    """The Parquet file at `uri`. Raises `StorageError` when it is missing, refused or lost on the way, `DatasetError`
    when it is no Parquet file or has other than plain values."""
    fs, path = storage.filesystem(uri)
    # No read-ahead: pyarrow asks for what it needs in large pieces, and fsspec would fetch 50 MB beyond each.
    with storage.readable_errors(uri, "Reading"), fs.open(path, "rb", cache_type="none") as handle:
        try:
            file = pq.ParquetFile(handle, pre_buffer=True)
        except (pa.ArrowInvalid, ValueError) as error:
            raise DatasetError(f"{uri} is not a Parquet file of this software; make it again.") from error
        if any(_is_extension(field.type) for field in file.schema_arrow):
            raise DatasetError(f"{uri} has columns of a type that may execute code; nothing of it was read.")
        yield file


def _is_extension(kind: pa.DataType) -> bool:
    """Whether a type is or holds an extension type: those that Ray registers unpickle what is in the file."""
    if isinstance(kind, pa.BaseExtensionType):
        return True
    if pa.types.is_dictionary(kind):
        return _is_extension(kind.value_type)
    return any(_is_extension(kind.field(place).type) for place in range(kind.num_fields))


# How rows are stored. Signals hardly repeat: a dictionary would only cost time. zstd halves them.
PARQUET: dict[str, Any] = {"compression": "zstd", "use_dictionary": ["dataset", "split"]}


def write_table(table: pa.Table, uri: str, row_group_rows: int) -> int:
    """Write `table` as one Parquet file at `uri`, whole or not at all; returns its size in bytes."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=row_group_rows, **PARQUET)
    data = sink.getvalue()
    storage.write_bytes(uri, memoryview(data).tobytes())
    return int(data.size)


def read_table(uri: str, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole Parquet file at `uri`."""
    with open_parquet(uri) as file:
        return file.read(columns=list(columns) if columns else None)
