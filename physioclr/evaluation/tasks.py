"""What a probe or a fine-tuned model is asked: named sets of classes, and the outcomes of recordings.

A recording that nobody has labelled is in no task: having no label is not the same as having no disease.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from physioclr.ecg.scp import STATEMENTS, SUPERCLASSES, superclasses
from physioclr.ecg.snomed import SCORED_CLASSES, canonical
from physioclr.errors import ConfigError

AFIB = "164889003"  # SNOMED CT, atrial fibrillation
SCORED = tuple(scored.codes[0] for scored in SCORED_CLASSES)
SUBCLASSES = tuple(dict.fromkeys(each.subclass for each in STATEMENTS.values() if each.subclass is not None))
Codes = Sequence[str]
Column = Literal["labels", "statements"]


@dataclass(frozen=True, slots=True)
class Task:
    """Classes by the names that reports show, and how to tell which of them a recording has.

    `find(labels, statements)` gives names out of `classes`, or None for a recording that is not part of the task.
    """

    name: str
    classes: tuple[str, ...]
    find: Callable[[Codes, Codes], set[str] | None]


def _superclasses(labels: Codes, statements: Codes) -> set[str] | None:
    return superclasses(statements) or None


def _subclasses(labels: Codes, statements: Codes) -> set[str] | None:
    found = (STATEMENTS[code].subclass for code in statements if code in STATEMENTS)
    return {subclass for subclass in found if subclass is not None} or None


def _statements(labels: Codes, statements: Codes) -> set[str] | None:
    return set(statements) & set(STATEMENTS) or None


def _statement(code: str, labels: Codes, statements: Codes) -> set[str] | None:
    return {code} & set(statements) if statements else None


def _afib(labels: Codes, statements: Codes) -> set[str] | None:
    if not labels and not statements:
        return None
    return {"AFIB"} if AFIB in map(canonical, labels) else set()


def _challenge(labels: Codes, statements: Codes) -> set[str] | None:
    if not labels and not statements:
        return None
    return {canonical(code) for code in labels} & set(SCORED)


TASKS = {
    task.name: task
    for task in (
        Task("superclasses", SUPERCLASSES, _superclasses),  # PTB-XL's five (Wagner et al. 2020)
        Task("subclasses", SUBCLASSES, _subclasses),  # PTB-XL's 23
        Task("statements", tuple(STATEMENTS), _statements),  # all 71 of PTB-XL: diagnosis, form and rhythm
        Task("afib", ("AFIB",), _afib),  # atrial fibrillation against the rest (arXiv 2509.08116: what it claims)
        Task("challenge-26", SCORED, _challenge),  # Challenge 2021
    )
}


def get_task(name: str) -> Task:
    """The task of that name, or statement:CODE, one of PTB-XL's against the rest. `ConfigError` lists what there is."""
    kind, colon, code = name.partition(":")
    if colon and kind == "statement" and code in STATEMENTS:
        return Task(name, (code,), partial(_statement, code))
    if name not in TASKS:
        raise ConfigError(f"there is no task {name!r}; the tasks are {', '.join(TASKS)} and statement:CODE, as of AFIB")
    return TASKS[name]


def own_task(
    name: str, column: Column, values: Sequence[Codes], *, classes: Sequence[str] = (), minimum: int = 0
) -> Task:
    """A task over labels of the user's own: the words in `column` of each recording, equivalent SNOMED CT codes as one.

    `values` are that column's labels of the recordings that the task is made from. Its classes are those named, in
    that order, or else every label of at least `minimum` recordings, the commonest first. A recording without any label
    is not part. Raises `ConfigError` when a class is named that no recording has, or no label is common enough.
    """
    if bool(classes) == (minimum > 0):
        raise ConfigError(f"task {name!r} needs either the names of its classes or how many recordings one must have.")
    counts = Counter(label for labels in values for label in _words(column, labels))
    common = sorted(counts, key=lambda label: (-counts[label], label))
    known = ", ".join(f"{label} ({counts[label]})" for label in common[:10]) or "none"
    named = list(dict.fromkeys(canonical(label) if column == "labels" else label for label in classes))
    absent = [label for label in named if label not in counts]
    if absent:
        raise ConfigError(f"task {name!r}: no recording has {', '.join(absent)}; the commonest {column} are {known}.")
    chosen = tuple(named) or tuple(label for label in common if counts[label] >= minimum)
    if not chosen:
        raise ConfigError(
            f"task {name!r}: no label is in {minimum} recordings or more; the commonest {column} are {known}."
        )
    return Task(name, chosen, partial(_own, column, frozenset(chosen)))


def _own(column: Column, classes: frozenset[str], labels: Codes, statements: Codes) -> set[str] | None:
    words = _words(column, labels if column == "labels" else statements)
    return words & classes if words else None


def _words(column: Column, words: Codes) -> set[str]:
    """Equivalent SNOMED CT codes are one label; statements are left as they are."""
    return {canonical(word) for word in words} if column == "labels" else set(words)


def label_matrix(
    task: Task, labels: Sequence[Codes], statements: Sequence[Codes]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Outcomes `y` bool [n, C] and `in_task` bool [n] for n recordings' SNOMED CT `labels` and own `statements`.

    Rows outside the task are all False and must be left out of any score. Raises ValueError when n differs.
    """
    if len(labels) != len(statements):
        raise ValueError(
            f"{len(labels)} recordings with labels and {len(statements)} with statements; give both for each"
        )
    found = [task.find(codes, words) for codes, words in zip(labels, statements, strict=True)]
    y_nC = np.array([[name in (names or ()) for name in task.classes] for names in found], dtype=bool)
    in_task_n = np.array([names is not None for names in found], dtype=bool)
    return y_nC.reshape(len(found), len(task.classes)), in_task_n


def choose_task(name: str, labels: Sequence[Codes], statements: Sequence[Codes]) -> Task | None:
    """The task `name`, none for "none", and for "auto" the one that the recordings have labels for, if any.

    "auto" takes the superclasses when any recording has a statement with one, else challenge-26 when any has a scored
    label. Raises `ConfigError` for a name that is none of these.
    """
    if name == "none":
        return None
    if name != "auto":
        return get_task(name)
    for task in (TASKS["superclasses"], TASKS["challenge-26"]):
        if label_matrix(task, labels, statements)[0].any():
            return task
    return None
