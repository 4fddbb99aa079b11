"""Reading a prepared dataset back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from physioclr.errors import DatasetError
from physioclr.pipeline.dataset import FORMAT, Manifest, PreparedDataset, ShardEntry, write_table


def test_rows_come_in_the_order_asked_for(demo_dataset: PreparedDataset) -> None:
    total = demo_dataset.rows("train")
    assert len(demo_dataset.split_shards("train")) > 1, "several files are read"
    whole = demo_dataset.head("train", total)
    assert whole.num_rows == total
    for seed in range(5):
        rows = np.random.default_rng(seed).permutation(total)[: total // 2]
        table = demo_dataset.take("train", rows, ["record_id", "signal"])
        assert table.column_names == ["record_id", "signal"]
        assert table.equals(whole.select(["record_id", "signal"]).take(rows).combine_chunks())


def many_groups(folder: Path) -> PreparedDataset:
    """Two files of 100 and 67 row groups, of 3 rows or fewer; the signals are the row's number."""
    shards = []
    for name, first, last in (("train-00000", 0, 300), ("train-00001", 300, 500)):
        rows = range(first, last)
        table = pa.table({"record_id": [f"r{row}" for row in rows], "signal": [bytes([row % 256]) for row in rows]})
        size = write_table(table, str(folder / "shards" / f"{name}.parquet"), 3)
        groups = tuple(min(3, last - start) for start in range(first, last, 3))
        shards.append(ShardEntry(name=name, split="train", rows=last - first, row_groups=groups, bytes=size))
    nothing: dict[str, Any] = {key: {} for key in ("config", "rejected_by_reason", "patients", "feature_status")}
    counts: dict[str, Any] = dict.fromkeys(("found", "kept", "rejected", "rejected_windows"), 0)
    manifest = Manifest(format=FORMAT, rows={"train": 500}, shards=tuple(shards), **nothing, **counts)
    return PreparedDataset(str(folder), manifest)


@pytest.mark.parametrize("columns", [["record_id"], ["signal", "record_id"]])
def test_rows_of_many_row_groups_come_in_the_order_asked_for(tmp_path: Path, columns: list[str]) -> None:
    """Of groups that are far apart and groups that are neighbours, some of them asked for in one go."""
    dataset = many_groups(tmp_path)
    assert len(dataset.group_rows("train")) == 167
    for seed, count in enumerate((1, 2, 40, 500)):
        rows = np.random.default_rng(seed).permutation(500)[:count]
        table = dataset.take("train", rows, columns)
        assert table["record_id"].to_pylist() == [f"r{row}" for row in rows]
        if "signal" in columns:
            assert table["signal"].to_pylist() == [bytes([row % 256]) for row in rows]
            assert table.schema.field("signal").type == pa.large_binary(), "or 2 GB of signals are no table"


def test_another_content_is_another_digest(demo_dataset: PreparedDataset) -> None:
    def changed(**values: Any) -> PreparedDataset:
        return PreparedDataset(demo_dataset.uri, demo_dataset.manifest.model_copy(update=values))

    shards = demo_dataset.manifest.shards
    other = (*shards[:-1], shards[-1].model_copy(update={"bytes": shards[-1].bytes + 1}))
    assert changed(shards=other).digest != demo_dataset.digest
    assert changed(config={}, patient_key="other").digest == demo_dataset.digest


def test_the_head_is_the_first_rows_or_all(demo_dataset: PreparedDataset) -> None:
    whole = demo_dataset.head("train", 10_000, ["record_id"])
    assert demo_dataset.head("train", 7, ["record_id"]).equals(whole.slice(0, 7).combine_chunks())
    assert demo_dataset.head("train", 0).num_rows == 0


def test_what_is_no_dataset_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no prepared dataset at .*run jobs/prepare\.py first"):
        PreparedDataset.open(str(tmp_path))
    (tmp_path / "manifest.json").write_text('{"files": []}')
    with pytest.raises(DatasetError, match="not a manifest"):
        PreparedDataset.open(str(tmp_path))


def test_another_format_is_refused(demo_dataset: PreparedDataset, tmp_path: Path) -> None:
    manifest = demo_dataset.manifest.model_copy(update={"format": FORMAT + 1})
    (tmp_path / "manifest.json").write_text(manifest.model_dump_json())
    with pytest.raises(DatasetError, match=f"has format {FORMAT + 1}"):
        PreparedDataset.open(str(tmp_path))
