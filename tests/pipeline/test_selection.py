"""Rows of several splits as one table: counted by row group, and taken in any order."""

from __future__ import annotations

import numpy as np
import pytest

from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.prepare.layout import SPLITS
from physioclr.pipeline.selection import Selection


def all_ids(dataset: PreparedDataset) -> list[str]:
    return [name for split in SPLITS for name in dataset.head(split, 1000, ["record_id"])["record_id"].to_pylist()]


def test_rows_of_several_splits_come_in_the_order_asked_for(demo_dataset: PreparedDataset) -> None:
    ids = all_ids(demo_dataset)
    rows = np.sort(np.random.default_rng(0).permutation(len(ids))[:17])
    selection = Selection.of(demo_dataset, SPLITS, rows)
    assert len(selection) == 17
    order = np.random.default_rng(1).permutation(17)
    taken = selection.take(order, ("record_id", "split"))
    assert taken["record_id"].to_pylist() == [ids[row] for row in rows[order]]
    assert len(set(taken["split"].to_pylist())) > 1
    assert selection.take(order[:0], ("record_id",)).num_rows == 0


def test_groups_hold_the_selected_rows_in_the_order_of_reading(demo_dataset: PreparedDataset) -> None:
    groups = [rows for split in SPLITS for rows in demo_dataset.group_rows(split).tolist()]
    chosen = np.sort(np.random.default_rng(2).permutation(sum(groups))[:9])
    expected, start = [], 0
    for rows in groups:
        inside = sum(start <= row < start + rows for row in chosen.tolist())
        expected += [inside] if inside else []
        start += rows
    assert Selection.of(demo_dataset, SPLITS, chosen).group_rows().tolist() == expected
    whole = Selection.of(demo_dataset, ("train",))
    assert whole.group_rows().tolist() == demo_dataset.group_rows("train").tolist()
    assert len(whole) == demo_dataset.rows("train")


def test_rows_out_of_order_or_twice_are_refused(demo_dataset: PreparedDataset) -> None:
    for rows in ([2, 1], [1, 1]):
        with pytest.raises(ValueError, match="ascending"):
            Selection.of(demo_dataset, SPLITS, np.array(rows))
