"""Which patients a method is trained and judged on: label fractions, cross-validation folds and fixed splits.

Everything is by patient and a pure function of (patients, outcomes, seed), so every method sees the same rows, whatever
their order. A patient has a class if any of the patient's rows has it.

Shape legend: n rows, P patients, C classes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import ArrayLike, NDArray

from physioclr.errors import DatasetError

CANDIDATES = 10
PARTS = ("train", "validation", "test")
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers, ascending, no patient in two of them, unless the test rows are of another dataset."""

    train: Rows
    validation: Rows
    test: Rows


def label_fraction(patients: Sequence[str], y: ArrayLike, fraction: float, seed: int) -> Rows:
    """Rows of the given fraction of patients (at least one), ascending; `y` bool [n, C] of the same n rows.

    Patients are put in one order such that each class keeps its share in every beginning of it as well as can be, and
    the first are taken: so the 5 % are among the 10 %. Raises ValueError for a fraction outside (0, 1].
    """
    if not 0.0 < fraction <= 1.0:
        raise ValueError(f"fraction {fraction} must be above 0 and at most 1")
    table = _Patients.of(patients, y, seed)
    count = max(1, round(fraction * len(table.names)))
    if count == len(table.names):
        return np.arange(len(table.row_patient))
    chosen = np.zeros(len(table.names), dtype=bool)
    chosen[_stratified(table.classes, count)] = True
    return np.flatnonzero(chosen[table.row_patient])


def patient_folds(patients: Sequence[str], y: ArrayLike, folds: int, seed: int) -> NDArray[np.int64]:
    """Fold 0 to `folds` - 1 of each row, each class spread evenly over them (iterative stratification, Sechidis et al.
    2011: the class with fewest patients left is shared out first). Raises `DatasetError` for fewer patients than folds.
    """
    if folds < 2:
        raise ValueError(f"{folds} folds cannot be held against each other; give at least 2")
    table = _Patients.of(patients, y, seed)
    if len(table.names) < folds:
        raise DatasetError(f"{len(table.names)} patients cannot fill {folds} folds; ask for fewer folds.")
    return _spread(table.classes, folds)[table.row_patient]


def cross_validation(fold: ArrayLike, index: int) -> Split:
    """Fold `index` of `fold` int [n] to test on, the next one (the first after the last) to choose on, the rest to
    train on. `fold` holds at least three different numbers: from `patient_folds`, or as the data's publisher made them.
    """
    fold_n = np.asarray(fold, dtype=np.int64)
    numbers = np.unique(fold_n)
    if len(numbers) < 3 or not 0 <= index < len(numbers):
        raise ValueError(f"fold {index} of {len(numbers)}: there must be at least 3, counted from 0")
    test, validation = fold_n == numbers[index], fold_n == numbers[(index + 1) % len(numbers)]
    return Split(*(np.flatnonzero(each) for each in (~(test | validation), validation, test)))


def fixed_split(names: Sequence[str], patients: Sequence[str], apart: Sequence[str] = PARTS) -> Split:
    """Rows by their split's name "train", "validation" or "test"; others are left out.

    Raises `DatasetError` when one has no rows, or a patient has rows in two of those in `apart`.
    """
    name_n, patient_n = np.asarray(names, dtype=np.str_), np.asarray(patients, dtype=np.str_)
    if len(name_n) != len(patient_n):
        raise ValueError(f"{len(name_n)} names of splits for {len(patient_n)} rows; give one a row")
    parts = {name: np.flatnonzero(name_n == name) for name in PARTS}
    empty = [name for name, rows in parts.items() if not len(rows)]
    if empty:
        raise DatasetError(f"No recording is in split {' or '.join(empty)}; prepare larger splits or cross-validate.")
    found = np.concatenate([np.unique(patient_n[parts[name]]) for name in apart])
    twice = len(found) - len(np.unique(found))
    if twice:
        raise DatasetError(f"{twice} patients have recordings in more than one split; split by patient.")
    return Split(**parts)


@dataclass(frozen=True, slots=True)
class _Patients:
    """Patients in an order drawn by (name, seed), their classes bool [P, C], and the patient of each row."""

    names: list[str]
    classes: NDArray[np.bool_]
    row_patient: NDArray[np.int64]

    @classmethod
    def of(cls, patients: Sequence[str], y: ArrayLike, seed: int) -> _Patients:
        y_nC = np.asarray(y, dtype=bool)
        if y_nC.ndim != 2 or len(y_nC) != len(patients) or not len(y_nC):
            raise ValueError(
                f"outcomes {y_nC.shape} for {len(patients)} rows with patients; give one a row, at least 1"
            )
        names = sorted(set(patients), key=lambda name: (_draw(name, seed), name))
        place = {name: index for index, name in enumerate(names)}
        row_patient = np.array([place[name] for name in patients], dtype=np.int64)
        classes = np.zeros((len(names), y_nC.shape[1]), dtype=bool)
        np.logical_or.at(classes, row_patient, y_nC)
        return cls(names, classes, row_patient)


def _draw(name: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=16).digest()


def _with_none(classes_PC: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Having none of the classes is kept in its share as well."""
    return np.column_stack([classes_PC, ~classes_PC.any(axis=1)])


def _stratified(classes_PC: NDArray[np.bool_], count: int) -> Rows:
    """The first `count` patients of an order: next is one of the class furthest behind its share, and of the first
    `CANDIDATES` left of that class the one whose other classes fit best, rare classes weighing as much as common."""
    member = _with_none(classes_PC)
    share = member.mean(axis=0)
    queues, starts = [np.flatnonzero(column).tolist() for column in member.T], [0] * member.shape[1]
    left, have = member.sum(axis=0), np.zeros(member.shape[1])
    taken = np.zeros(len(member), dtype=bool)
    order = np.empty(count, dtype=np.int64)
    for place in range(count):
        behind = (place + 1) * share - have
        wanted = int(np.argmax(np.where(left > 0, behind, -np.inf)))
        candidates = _first_left(queues[wanted], starts[wanted], taken)
        starts[wanted] = candidates[0]
        patients = [queues[wanted][index] for index in candidates]
        misfit = ((behind - member[patients]) ** 2 / np.maximum(share, 1 / len(member))).sum(axis=1)
        patient = patients[int(np.argmin(misfit))]
        order[place], taken[patient] = patient, True
        have += member[patient]
        left -= member[patient]
    return order


def _first_left(queue: list[int], start: int, taken: NDArray[np.bool_]) -> list[int]:
    """Places in `queue`, from `start` on, of up to `CANDIDATES` patients that are not taken."""
    left = (place for place in range(start, len(queue)) if not taken[queue[place]])
    return list(islice(left, CANDIDATES))


def _spread(classes_PC: NDArray[np.bool_], folds: int) -> NDArray[np.int64]:
    """Fold of each patient: that which lacks most of the patient's rarest class; of equal ones the emptiest."""
    member = _with_none(classes_PC)
    lacks_FC = np.tile(member.sum(axis=0) / folds, (folds, 1))
    room_F = np.full(folds, len(member) / folds)
    fold = np.full(len(member), -1, dtype=np.int64)
    while (fold < 0).any():
        left_C = member[fold < 0].sum(axis=0)
        rarest = int(np.argmin(np.where(left_C > 0, left_C, len(member) + 1)))
        for patient in np.flatnonzero((fold < 0) & member[:, rarest]):
            chosen = int(np.lexsort((-room_F, -lacks_FC[:, rarest]))[0])
            fold[patient] = chosen
            lacks_FC[chosen] -= member[patient]
            room_F[chosen] -= 1
    return fold
