"""Reading a prepared dataset back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from physioclr.errors import DatasetError
from physioclr.pipeline.dataset import FORMAT, PreparedDataset


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
