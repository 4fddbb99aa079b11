from __future__ import annotations

import pickle

import pytest

from physioclr.ecg.snomed import SCORED_CLASSES
from physioclr.errors import ConfigError
from physioclr.evaluation.tasks import TASKS, choose_task, get_task, label_matrix, own_task

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


def test_a_statement_is_a_task_against_the_rest() -> None:
    y, in_task = label_matrix(get_task("statement:PVC"), [[], [], []], [["PVC", "NORM"], ["NORM"], []])
    assert y[:, 0].tolist() == [True, False, False]
    assert in_task.tolist() == [True, True, False]
    with pytest.raises(ConfigError, match="statement:CODE"):
        get_task("statement:NOPE")


def test_an_unknown_task_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'afibb'.*superclasses, .*afib, challenge-26"):
        choose_task("afibb", [], [])


def test_labels_and_statements_must_be_of_the_same_recordings() -> None:
    with pytest.raises(ValueError, match="2 recordings"):
        label_matrix(get_task("afib"), [[], []], [[]])


def test_subclasses_and_statements_are_those_of_ptb_xl() -> None:
    subclasses, statements = get_task("subclasses"), get_task("statements")
    assert (len(subclasses.classes), len(statements.classes)) == (23, 71)
    words = [["IMI", "ASMI", "SR"], ["SR"], ["unknown"], []]
    y, in_task = label_matrix(subclasses, [[]] * 4, words)
    assert {subclasses.classes[column] for column in y[0].nonzero()[0]} == {"IMI", "AMI"}
    assert in_task.tolist() == [True, False, False, False]
    y, in_task = label_matrix(statements, [[]] * 4, words)
    assert {statements.classes[column] for column in y[0].nonzero()[0]} == {"IMI", "ASMI", "SR"}
    assert in_task.tolist() == [True, True, False, False]


WORDS = [["sepsis", "fever"], ["fever"], [], ["fever", "fever", "cough"], ["rash"]]


def test_own_labels_are_chosen_by_how_many_recordings_have_them() -> None:
    task = own_task("ward", "statements", WORDS, minimum=1)
    assert task.classes == ("fever", "cough", "rash", "sepsis")
    task = own_task("ward", "statements", WORDS, minimum=2)
    assert task.classes == ("fever",)
    y, in_task = label_matrix(task, [["sepsis"]] * 5, WORDS)
    assert y[:, 0].tolist() == [True, True, False, True, False]
    assert in_task.tolist() == [True, True, False, True, True]  # a recording without any label is not part


def test_own_labels_are_chosen_by_name_and_equivalent_codes_are_one() -> None:
    task = own_task("ward", "statements", WORDS, classes=["sepsis", "cough"])
    assert task.classes == ("sepsis", "cough")
    labels = [[RBBB, "own word"], [RBBB_COMPLETE], ["own word"]]
    task = own_task("rbbb", "labels", labels, classes=[RBBB, RBBB_COMPLETE])
    y, in_task = label_matrix(task, labels, [[]] * 3)
    assert y.tolist() == [[True], [True], [False]]
    assert in_task.all()


def test_a_task_of_own_labels_can_be_sent_to_another_process() -> None:
    task = pickle.loads(pickle.dumps(own_task("ward", "statements", WORDS, minimum=2)))
    assert task.find([], ["fever"]) == {"fever"}


def test_own_labels_that_nobody_has_are_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'ward': no recording has fevers; .* fever \(3\), cough \(1\)"):
        own_task("ward", "statements", WORDS, classes=["fevers"])
    with pytest.raises(ConfigError, match=r"no label is in 9 recordings or more; .* fever \(3\)"):
        own_task("ward", "statements", WORDS, minimum=9)
    with pytest.raises(ConfigError, match="either"):
        own_task("ward", "statements", WORDS)
    with pytest.raises(ConfigError, match="either"):
        own_task("ward", "statements", WORDS, classes=["fever"], minimum=2)
