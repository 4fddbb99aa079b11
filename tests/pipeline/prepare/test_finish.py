"""A shard's file is its units' rows, a unit at a time, and the same bytes as from all of them at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.random import Generator

from physioclr.pipeline.dataset import read_table, write_table
from physioclr.pipeline.prepare import finish
from physioclr.pipeline.prepare.extract import UNIT_SCHEMA, kept_and_rejected, unit_uri
from physioclr.pipeline.prepare.finish import assemble_shard

UNITS = (40, 0, 1, 5, 7, 2)  # windows of the two recordings of each; of those of the second unit nothing is kept


def row(rng: Generator, record: int, window: int) -> dict[str, Any]:
    return {
        "record_id": f"d/{record}",
        "dataset": "d",
        "patient_id": f"d/{record // 3}",
        "window": window,
        "split": "train",
        "fs": 500,
        "unit": "mV",
        "signal": rng.bytes(12 * 5000 * 2),
        "labels": [["426783006"], []][record % 2],
        "statements": [],
        "age": [None, 50.0][window % 2],
        "sex": None,
        "features": rng.standard_normal(300).tolist(),
        "feature_status": ["ok", "no_beats"],
        "feature_quality": [0.9, 0.0],
        "r_peaks": [list(range(window % 9)), []],
        "intervals": [list(range(8 * (window % 9))), []],
    }


def rejected(record: int) -> dict[str, Any]:
    who = {"record_id": f"d/{record}", "dataset": "d", "patient_id": f"d/{record // 3}", "window": -1}
    return {**who, "uri": "x", "reason": "nan", "detail": "lead I"}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A dataset of which all units are extracted: two recordings each, the second unit's and one more are rejected."""
    uri, rng = str(tmp_path_factory.mktemp("prepared")), np.random.default_rng(0)
    for unit, windows in enumerate(UNITS):
        rows = [row(rng, 2 * unit, window) for window in range(windows)] or [rejected(2 * unit)]
        rows += [row(rng, 2 * unit + 1, 0)] if windows > 1 else [rejected(2 * unit + 1)]
        table = pa.Table.from_pylist(rows, schema=UNIT_SCHEMA)
        write_table(table, unit_uri(uri, f"train-00000.{unit:04d}"), row_group_rows=len(rows))
    return uri


@pytest.mark.parametrize("row_group_rows", [1, 4, 32, 1000])
def test_a_shard_has_the_bytes_that_all_its_units_at_once_would_have(
    work: str, tmp_path: Path, row_group_rows: int
) -> None:
    facts = assemble_shard(work, "train-00000", 2 * len(UNITS), 2, row_group_rows)
    units = pa.concat_tables(read_table(unit_uri(work, f"train-00000.{unit:04d}")) for unit in range(len(UNITS)))
    kept, refused = kept_and_rejected(units)
    size = write_table(kept, str(tmp_path / "at-once"), row_group_rows)
    shard = Path(work, "shards/train-00000.parquet")
    assert shard.read_bytes() == (tmp_path / "at-once").read_bytes()
    metadata = pq.read_metadata(shard)
    groups = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    assert (facts["rows"], facts["row_groups"], facts["bytes"]) == (kept.num_rows, groups, size)
    assert (facts["recordings"], facts["patients"]) == (9, ["d/0", "d/1", "d/2", "d/3"])
    assert facts["feature_status"] == {"ok": kept.num_rows, "no_beats": kept.num_rows}
    assert facts["rejected"].equals(refused)


def test_of_a_shard_no_unit_is_held_to_its_end(work: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As all units of long recordings together are larger than memory."""
    before, held = pa.total_allocated_bytes(), []

    def read(uri: str) -> pa.Table:
        held.append(pa.total_allocated_bytes() - before)
        return read_table(uri)

    monkeypatch.setattr(finish, "read_table", read)
    assemble_shard(work, "train-00000", 2 * len(UNITS), 2, row_group_rows=4)
    assert held[-1] < 2_000_000, "the 40 windows of its first unit, 5 MB, are gone"


def test_a_shard_of_rejected_recordings_has_no_file(work: str) -> None:
    only = [rejected(0), rejected(1)]
    write_table(pa.Table.from_pylist(only, schema=UNIT_SCHEMA), unit_uri(work, "test-00000.0000"), row_group_rows=2)
    facts = assemble_shard(work, "test-00000", 2, 2, 32)
    assert (facts["rows"], facts["row_groups"], facts["bytes"], facts["rejected"].num_rows) == (0, [], 0, 2)
    assert not Path(work, "shards/test-00000.parquet").exists()
