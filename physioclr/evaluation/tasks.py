"""What a probe or a fine-tuned model is asked: named sets of classes, and the outcomes of recordings.

A recording that nobody has labelled is in no task: having no label is not the same as having no disease.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physioclr.ecg.scp import SUPERCLASSES, superclasses
from physioclr.ecg.snomed import SCORED_CLASSES, canonical
from physioclr.errors import ConfigError

AFIB = "164889003"  # SNOMED CT, atrial fibrillation
SCORED = tuple(scored.codes[0] for scored in SCORED_CLASSES)
Codes = Sequence[str]


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
        Task("afib", ("AFIB",), _afib),  # atrial fibrillation against the rest (arXiv 2509.08116: what it claims)
        Task("challenge-26", SCORED, _challenge),  # Challenge 2021
    )
}


def get_task(name: str) -> Task:
    """The task of that name; `ConfigError` that lists the names there are."""
    if name not in TASKS:
        raise ConfigError(f"there is no task {name!r}; the tasks are {', '.join(TASKS)}")
    return TASKS[name]


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
