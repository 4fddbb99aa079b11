"""Who an exported encoder was trained on, kept beside it, and whether a test set has any of them.

`trained_on.parquet` has a row a 10 s window: dataset, record_id, patient_id, and the signal's fingerprint. It is as
private as the prepared dataset's ids are; an encoder works without it, and then overlap cannot be checked.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import ray
from rich.console import Console

from physioclr import storage
from physioclr.evaluation.overlap import BITS, Identities, Overlap, find_overlap, fingerprints
from physioclr.pipeline import cluster
from physioclr.pipeline.dataset import read_table, write_table
from physioclr.pipeline.prepare.finish import in_parallel
from physioclr.pipeline.progress import Meter
from physioclr.pipeline.selection import Selection
from physioclr.pipeline.training.packing import signals_of

FILE = "trained_on.parquet"
NAMES = ("dataset", "record_id", "patient_id")
SCHEMA = pa.schema([*((name, pa.string()) for name in NAMES), ("fingerprint", pa.binary(BITS // 8))])
ROWS_AT_ONCE = 512  # windows of one task: 61 MB
ROW_GROUP_ROWS = 65_536


def identities_of(selection: Selection, console: Console) -> pa.Table:
    """Who the selected rows are, in order, `SCHEMA`. Reads every signal once, in Ray tasks unless there are few."""
    chunks = [
        np.arange(start, min(start + ROWS_AT_ONCE, len(selection))) for start in range(0, len(selection), ROWS_AT_ONCE)
    ]
    if len(chunks) < 2:
        return pa.concat_tables([SCHEMA.empty_table(), *(_identities(selection, rows) for rows in chunks)])
    task, shared = cluster.task(_identities), ray.put(selection)
    with Meter("Fingerprints of signals", len(chunks), f"x {ROWS_AT_ONCE} windows", console) as meter:
        return pa.concat_tables(in_parallel([task.remote(shared, rows) for rows in chunks], meter))


def _identities(selection: Selection, rows: np.ndarray) -> pa.Table:
    table = selection.take(rows, (*NAMES, "signal"))
    prints = [one.tobytes() for one in fingerprints(signals_of(table))]
    column = pa.array(prints, type=SCHEMA.field("fingerprint").type)
    return table.select(NAMES).append_column("fingerprint", column).cast(SCHEMA)


def write_trained_on(table: pa.Table, encoder: str) -> None:
    """Leave `table` of `SCHEMA` beside the encoder exported at the URI `encoder`."""
    write_table(table, storage.join(encoder, FILE), ROW_GROUP_ROWS)


def read_trained_on(encoder: str) -> pa.Table | None:
    """The table beside an encoder; None where there is none."""
    uri = storage.join(encoder, FILE)
    return read_table(uri) if storage.exists(uri) else None


def overlap_of(trained_on: pa.Table, test: pa.Table) -> Overlap:
    """Rows of `test` that are known from `trained_on`; both of `SCHEMA`."""
    return find_overlap(_as_identities(trained_on), _as_identities(test))


def _as_identities(table: pa.Table) -> Identities:
    datasets, records, patients = (table[name].to_pylist() for name in NAMES)
    prints = np.frombuffer(b"".join(table["fingerprint"].to_pylist()), dtype=np.uint8)
    return Identities(datasets, records, patients, prints.reshape(table.num_rows, BITS // 8))
