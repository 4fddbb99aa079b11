"""What the report of a fine-tuning run is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from physioclr.evaluation.subsets import Split
from physioclr.evaluation.tasks import get_task, own_task
from physioclr.pipeline.finetune.labelled import Labelled
from physioclr.pipeline.finetune.report import _mistakes, _names, _notes
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


def test_what_was_never_learned_is_not_most_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe gives such a class 0, and each of its recordings would come before all blunders."""
    signal = np.zeros((12, 5000), dtype="<i2").tobytes()

    def take(self: Selection, rows: Any, columns: Any) -> pa.Table:
        return pa.Table.from_pylist([{"record_id": str(n), "unit": "mV", "signal": signal} for n in range(len(rows))])

    monkeypatch.setattr(Selection, "take", take)
    facts = pa.table({"dataset": ["a"] * 6, "record_id": list("012345")})
    rows = np.arange(6)
    y = np.array([[True, False], [False, False], [False, False], [True, True], [False, True], [False, False]])
    task = own_task("own", "statements", [["A"], ["B"]], classes=("A", "B"))
    data = Labelled((), task, facts, y, rows, Split(rows[:2], rows[2:3], rows[3:]))
    scores = np.repeat(np.array([[0.9, 0.0], [0.6, 0.0], [0.2, 0.0]])[:, None], 2, axis=1)
    assert {(one.name, round(one.score, 1)) for one in _mistakes(data, scores)} == {("A", 0.9), ("A", 0.6), ("A", 0.2)}


def test_classes_that_people_call_alike_keep_their_own_names() -> None:
    assert _names(["AF", "164889003", "426783006"]) == ["AF", "164889003", "NSR"]


@pytest.mark.parametrize("found", [0, 2])
def test_patients_that_could_not_be_looked_for_are_not_called_unseen(found: int) -> None:
    counts = {"test_rows": 9, "found": found, "by_record": found, "by_patient": 0, "by_content": 0}
    summary = {"overlap": "not checked", "not_in_training": []}
    (_, apart) = _notes({**summary, "overlap_with_training": {**counts, "patients_checked": False}})
    (_, alike) = _notes({**summary, "overlap_with_training": {**counts, "patients_checked": True}})
    assert "Patients could not be looked for" in apart
    assert "Patients could not be looked for" not in alike
    assert ("None of the test recordings was seen in training" in apart) == (not found)
    assert ("None of the test recordings or their patients was seen in training" in alike) == (not found)
