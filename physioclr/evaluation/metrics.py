"""Area under the ROC curve (AUROC) per class and over classes, and segment scores brought together per recording.

Shape legend: n rows (recordings or segments), C classes, S segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_auc_score


@dataclass(frozen=True, slots=True)
class Auroc:
    """AUROC of each class with both outcomes, in class order, and the names of the classes that had only one."""

    per_class: dict[str, float]
    skipped: tuple[str, ...]

    @property
    def macro(self) -> float:
        """Unweighted mean over the classes that have both outcomes; NaN where no class has."""
        return float(np.mean(list(self.per_class.values()))) if self.per_class else float("nan")

    @property
    def counted(self) -> int:
        """Number of classes that the macro mean is over."""
        return len(self.per_class)

    def __str__(self) -> str:
        return f"{self.macro:.3f} over {self.counted} of {self.counted + len(self.skipped)} classes"


def both_outcomes(y_nC: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which classes have a positive and a negative row: bool [C]."""
    return np.asarray(y_nC.any(axis=0) & ~y_nC.all(axis=0))


def auroc(y: ArrayLike, scores: ArrayLike, classes: Sequence[str]) -> Auroc:
    """AUROC per class of `scores` [n, C] (higher = more likely) against outcomes `y` bool [n, C].

    Raises ValueError when shapes disagree or a score is NaN or infinite: a missing score has no rank, and leaving
    its row out would compare different rows between methods.
    """
    y_nC, scores_nC = check_named_scores(y, scores, classes)
    usable = both_outcomes(y_nC)
    per_class = {
        name: float(roc_auc_score(y_nC[:, column], scores_nC[:, column]))
        for column, name in enumerate(classes)
        if usable[column]
    }
    return Auroc(per_class, tuple(name for column, name in enumerate(classes) if not usable[column]))


def check_scores(y: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Outcomes as bool [n, C] and scores as float64 [n, C]; ValueError when they cannot be compared."""
    y_nC = np.asarray(y, dtype=bool)
    scores_nC = np.asarray(scores, dtype=np.float64)
    if y_nC.ndim != 2 or y_nC.shape != scores_nC.shape:
        raise ValueError(f"outcomes {y_nC.shape} and scores {scores_nC.shape} must have one shape, rows x classes")
    if not np.isfinite(scores_nC).all():
        bad = int((~np.isfinite(scores_nC)).any(axis=1).sum())
        raise ValueError(f"{bad} of {len(scores_nC)} rows have a score that is not finite; every row needs one")
    return y_nC, scores_nC


def check_named_scores(
    y: ArrayLike, scores: ArrayLike, classes: Sequence[str]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """`check_scores`, and ValueError unless there is one class name for each column."""
    y_nC, scores_nC = check_scores(y, scores)
    if y_nC.shape[1] != len(classes) or len(set(classes)) != len(classes):
        raise ValueError(
            f"{len(set(classes))} different class names for {y_nC.shape[1]} columns of outcomes; give each its own"
        )
    return y_nC, scores_nC


def record_mean(scores: ArrayLike, record: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """A recording's score is the mean over its segments (arXiv 2509.08116: classes and metrics).

    `scores` [S, C] and `record` int [S], in any order. Returns `first` int64 [n] and `means` float64 [n, C]: recordings
    in order of first appearance, and for each the index of its first segment, so that `y[first]` lines up.
    """
    scores_SC = np.asarray(scores, dtype=np.float64)
    _, first, inverse = np.unique(np.asarray(record), return_index=True, return_inverse=True)
    sums_nC = np.zeros((len(first), *scores_SC.shape[1:]))
    np.add.at(sums_nC, inverse, scores_SC)
    means_nC = (sums_nC.T / np.bincount(inverse, minlength=len(first))).T
    order = np.argsort(first)
    return first[order].astype(np.int64), means_nC[order]
