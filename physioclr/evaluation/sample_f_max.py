"""F-max over recordings: how good the best single threshold makes the SET of classes that each recording is given.

Precision is the mean over recordings given any class, recall the mean over recordings that have any; F-max is the
largest harmonic mean of the two at one threshold for all classes (Clark & Radivojac 2013; PTB-XL's benchmark,
Strodthoff et al. 2020). Unlike F-max per class it asks that the scores of different classes can be compared.

Shape legend: n rows, C classes, T thresholds, B resamples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from physioclr.evaluation.metrics import check_scores
from physioclr.evaluation.ranked import divide

Floats = NDArray[np.float64]
THRESHOLDS = 200


class SampleFMax:
    """`scores` [n, C] against `y` bool [n, C], ready to be judged under any weights of the rows.

    Thresholds are distinct scores of classes that are there, at most `THRESHOLDS` of them, at equal steps of their
    rank. The best of all thresholds is such a score: from any other up to the next one of them only false classes go.
    """

    def __init__(self, y: ArrayLike, scores: ArrayLike) -> None:
        y_nC, scores_nC = check_scores(y, scores)
        chosen_T = _thresholds(scores_nC[y_nC])
        self._given_nT = np.zeros((len(y_nC), len(chosen_T)))
        self._precision_nT, self._recall_nT = np.zeros_like(self._given_nT), np.zeros_like(self._given_nT)
        self._has_n = y_nC.any(axis=1).astype(np.float64)
        truth_n = y_nC.sum(axis=1, dtype=np.float64)
        for index, threshold in enumerate(chosen_T):
            flagged_nC = scores_nC >= threshold
            given_n = flagged_nC.sum(axis=1, dtype=np.float64)
            right_n = (flagged_nC & y_nC).sum(axis=1, dtype=np.float64)
            self._given_nT[:, index] = given_n > 0
            self._precision_nT[:, index] = divide(right_n, given_n, otherwise=0.0)
            self._recall_nT[:, index] = divide(right_n, truth_n, otherwise=0.0)

    def score(self, row_weights: ArrayLike) -> Floats:
        """float64 [B] for weights [B, n]; NaN where no recording drawn has a class."""
        weights_Bn = np.asarray(row_weights, dtype=np.float64)
        precision_BT = divide(weights_Bn @ self._precision_nT, weights_Bn @ self._given_nT, otherwise=0.0)
        has_B1 = (weights_Bn @ self._has_n)[:, None]
        recall_BT = (weights_Bn @ self._recall_nT) / np.where(has_B1 > 0, has_B1, np.nan)
        f_BT = divide(2.0 * precision_BT * recall_BT, precision_BT + recall_BT, otherwise=0.0)
        return np.where(has_B1[:, 0] > 0, f_BT.max(axis=1, initial=0.0), np.nan)


def _thresholds(scores: Floats) -> Floats:
    distinct = np.unique(scores)
    if len(distinct) <= THRESHOLDS:
        return distinct
    return distinct[np.linspace(0, len(distinct) - 1, THRESHOLDS).round().astype(np.int64)]
