from __future__ import annotations

import pytest

from physioclr.ecg.snomed import SCORED_CLASSES
from physioclr.errors import ConfigError
from physioclr.evaluation.tasks import TASKS, choose_task, get_task, label_matrix

AFIB, SINUS, RBBB_COMPLETE, RBBB = "164889003", "426783006", "713427006", "59118001"
UNSCORED = "55930002"


def test_superclasses_come_from_statements_and_records_without_one_are_not_part() -> None:
    y, in_task = label_matrix(get_task("superclasses"), [[]] * 3, [["NORM", "SR"], ["SR"], ["IMI", "LVH"]])
    assert get_task("superclasses").classes == ("NORM", "MI", "STTC", "CD", "HYP")
    assert y.tolist() == [[True, False, False, False, False], [False] * 5, [False, True, False, False, True]]
    assert in_task.tolist() == [True, False, True]


def test_afib_is_against_every_other_labelled_recording() -> None:
    y, in_task = label_matrix(get_task("afib"), [[AFIB, RBBB], [SINUS], [], []], [[], [], ["ABQRS"], []])
    assert y.tolist() == [[True], [False], [False], [False]]
    assert in_task.tolist() == [True, True, True, False]  # the last has no label of any kind


def test_challenge_merges_equivalent_codes_and_leaves_unscored_ones_out() -> None:
    task = get_task("challenge-26")
    assert len(task.classes) == 26
    y, in_task = label_matrix(task, [[RBBB], [RBBB_COMPLETE], [UNSCORED], []], [[]] * 4)
    column = task.classes.index(RBBB_COMPLETE)
    assert y[:, column].tolist() == [True, True, False, False]
    assert y.sum() == 2
    assert in_task.tolist() == [True, True, True, False]


def test_challenge_classes_stand_in_the_order_of_the_score_weights() -> None:
    assert get_task("challenge-26").classes == tuple(scored.codes[0] for scored in SCORED_CLASSES)


@pytest.mark.parametrize(
    ("labels", "statements", "expected"),
    [
        ([[SINUS], []], [["SR"], ["NORM"]], "superclasses"),
        ([[SINUS], []], [["SR"], []], "challenge-26"),
        ([[SINUS], [UNSCORED]], [[], []], "challenge-26"),
        ([[UNSCORED]], [[]], None),
        ([[]], [[]], None),
        ([], [], None),
    ],
)
def test_auto_takes_the_task_that_there_are_labels_for(
    labels: list[list[str]], statements: list[list[str]], expected: str | None
) -> None:
    task = choose_task("auto", labels, statements)
    assert (task.name if task else None) == expected


def test_a_named_task_is_taken_as_it_is_and_none_is_none() -> None:
    assert choose_task("afib", [[]], [[]]) is TASKS["afib"]
    assert choose_task("none", [[SINUS]], [[]]) is None


def test_an_unknown_task_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'afibb'.*superclasses, afib, challenge-26"):
        choose_task("afibb", [], [])


def test_labels_and_statements_must_be_of_the_same_recordings() -> None:
    with pytest.raises(ValueError, match="2 recordings"):
        label_matrix(get_task("afib"), [[], []], [[]])
