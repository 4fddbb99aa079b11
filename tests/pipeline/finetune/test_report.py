"""What the report of a fine-tuning run is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from physioclr.evaluation.subsets import Split
from physioclr.evaluation.tasks import get_task
from physioclr.pipeline.finetune.labelled import Labelled
from physioclr.pipeline.finetune.report import _mistakes
from physioclr.pipeline.selection import Selection


def test_where_no_class_has_both_outcomes_nothing_is_most_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small test part without the disease: what was trained for hours is still reported."""

    def take(self: Selection, rows: Any, columns: Any) -> pa.Table:
        raise AssertionError("there is nothing to draw")

    monkeypatch.setattr(Selection, "take", take)
    facts = pa.table({"dataset": ["a"] * 3, "record_id": ["1", "2", "3"]})
    rows = np.arange(3)
    data = Labelled((), get_task("afib"), facts, np.zeros((3, 1), dtype=bool), rows, Split(rows[:1], rows[1:2], rows))
    assert _mistakes(data, np.full((3, 2, 1), 0.9)) == []
