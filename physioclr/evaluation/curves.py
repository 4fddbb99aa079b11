"""ROC and precision-recall curves of each class as points, for pictures and tables; the areas are in `summary`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from physioclr.evaluation.metrics import both_outcomes, check_named_scores

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Points:
    """A curve as `x` and `y` with the threshold of each point: what scores at least that much is decided.

    ROC: x 1 - specificity, y sensitivity. Precision-recall: x sensitivity, y precision. The point that decides nothing
    has the threshold infinity.
    """

    x: Floats
    y: Floats
    threshold: Floats


def roc_curves(y: ArrayLike, scores: ArrayLike, classes: Sequence[str]) -> dict[str, Points]:
    """ROC curve of each class with both outcomes, corners only, from (0, 0) to (1, 1). `y` bool and `scores` [n, C]."""
    return _curves(y, scores, classes, _roc)


def precision_recall_curves(y: ArrayLike, scores: ArrayLike, classes: Sequence[str]) -> dict[str, Points]:
    """Precision-recall curve of each class with both outcomes, by rising sensitivity, from nothing decided (precision
    1 by convention). It is a step: AUPRC is the sum of precision x gain in sensitivity, without interpolation."""
    return _curves(y, scores, classes, _precision_recall)


def _curves(
    y: ArrayLike, scores: ArrayLike, classes: Sequence[str], one_class: Callable[[NDArray[np.bool_], Floats], Points]
) -> dict[str, Points]:
    y_nC, scores_nC = check_named_scores(y, scores, classes)
    usable = both_outcomes(y_nC)
    return {
        name: one_class(y_nC[:, column], scores_nC[:, column]) for column, name in enumerate(classes) if usable[column]
    }


def _roc(y_n: NDArray[np.bool_], scores_n: Floats) -> Points:
    return Points(*roc_curve(y_n, scores_n))


def _precision_recall(y_n: NDArray[np.bool_], scores_n: Floats) -> Points:
    precision, recall, threshold = precision_recall_curve(y_n, scores_n)
    return Points(recall[::-1], precision[::-1], np.append(threshold, np.inf)[::-1])
