"""What the order of the scores alone decides: AUROC, AUPRC, F-max and sensitivity at a specificity, for weighted rows.

A weight says how often a row counts, so one call judges many resamples. All four need counts at the scores of positive
rows only, so each class is cut there, once, and a resample is two sparse sums.

Shape legend: n rows, C classes, B resamples, M metrics, G cuts of a class, one at each distinct score of its positive
rows, from the highest down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from physioclr.evaluation.metrics import check_scores

Floats = NDArray[np.float64]
SPECIFICITY = 0.95
ROUNDING = 1e-9  # a cut at exactly 95 % counts, whatever the last bit says


@dataclass(frozen=True, slots=True)
class Curve:
    """One class at its cuts: weight of positive and of negative rows at or above, of negative rows above: all [G, B].

    `positives` and `negatives` [B] are the weights of all rows.
    """

    true: Floats
    false: Floats
    above: Floats
    positives: Floats
    negatives: Floats

    @property
    def gained(self) -> Floats:
        """Weight of the positive rows at each cut: [G, B]."""
        return np.diff(self.true, axis=0, prepend=0.0)


def _auroc(curve: Curve) -> Floats:
    """Share of (positive, negative) pairs in the right order, ties half: [B]."""
    wrong = np.einsum("gb,gb->b", curve.gained, curve.false + curve.above) / 2.0
    return 1.0 - divide(wrong, curve.positives * curve.negatives)


def _auprc(curve: Curve) -> Floats:
    """Average precision: the mean over positive rows of the precision at their score, without interpolation: [B]."""
    precision = divide(curve.true, curve.true + curve.false, otherwise=0.0)
    return divide(np.einsum("gb,gb->b", precision, curve.gained), curve.positives)


def _f_max(curve: Curve) -> Floats:
    """Largest F1 at any cut: [B]. The cut is chosen on the same rows, so it is a bound and no forecast."""
    return divide(2.0 * curve.true, curve.true + curve.false + curve.positives).max(axis=0)


def _sensitivity(curve: Curve) -> Floats:
    """Largest sensitivity at any cut with a specificity of at least `SPECIFICITY`: [B]; 0 where there is none."""
    allowed = curve.false <= (1.0 - SPECIFICITY) * curve.negatives + ROUNDING
    return divide(np.where(allowed, curve.true, 0.0).max(axis=0), curve.positives)


RANK_METRICS: dict[str, Callable[[Curve], Floats]] = {
    "auroc": _auroc,
    "auprc": _auprc,
    "f_max": _f_max,
    "sensitivity_at_95_specificity": _sensitivity,
}


class RankedScores:
    """Scores of C classes, cut once, ready to be judged under any weights of their rows."""

    def __init__(self, y: ArrayLike, scores: ArrayLike) -> None:
        y_nC, scores_nC = check_scores(y, scores)
        self._cuts = [_cut(y_nC[:, column], scores_nC[:, column]) for column in range(y_nC.shape[1])]

    def per_class(self, weights: ArrayLike, metrics: Sequence[str] = ("auroc",)) -> Floats:
        """The named `RANK_METRICS` under weights [B, n], none negative: float64 [B, M, C].

        NaN where the rows of a resample have only one outcome of a class, whatever the metric.
        """
        weights_nB = np.ascontiguousarray(np.asarray(weights, dtype=np.float64).T)
        values = np.full((weights_nB.shape[1], len(metrics), len(self._cuts)), np.nan)
        for column, cut in enumerate(self._cuts):
            curve = cut.curve(weights_nB)
            usable_B = (curve.positives > 0) & (curve.negatives > 0)
            if usable_B.any():
                for index, name in enumerate(metrics):
                    values[usable_B, index, column] = RANK_METRICS[name](curve)[usable_B]
        return values


def mean_of_defined(values: Floats) -> Floats:
    """Mean over the last axis of what is not NaN; NaN where all are."""
    defined = ~np.isnan(values)
    return divide(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1, dtype=np.float64))


def divide(part: Floats, whole: Floats, otherwise: float = np.nan) -> Floats:
    """part / whole in the shape of both, and `otherwise` where whole is 0."""
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, otherwise), where=whole > 0))


@dataclass(frozen=True, slots=True)
class _Cut:
    """Which rows each cut adds: positive ones [G, n]; negative ones [2 G + 1, n], between the cuts and at them."""

    positive: csr_array
    negative: csr_array

    def curve(self, weights_nB: Floats) -> Curve:
        true = np.cumsum(self.positive @ weights_nB, axis=0)
        false = np.cumsum(self.negative @ weights_nB, axis=0)
        positives = true[-1] if len(true) else np.zeros(weights_nB.shape[1])
        return Curve(true, false[1::2], false[:-1:2], positives, false[-1])


def _cut(y_n: NDArray[np.bool_], scores_n: Floats) -> _Cut:
    cuts = np.unique(scores_n[y_n])
    below = len(cuts) - np.searchsorted(cuts, scores_n, side="right")  # cuts that are above each row's score
    tied = np.isin(scores_n, cuts)
    return _Cut(_sums(below, y_n, len(cuts)), _sums(2 * below + tied, ~y_n, 2 * len(cuts) + 1))


def _sums(step_n: NDArray[np.int64], wanted_n: NDArray[np.bool_], steps: int) -> csr_array:
    """Matrix [steps, n] that adds up the wanted rows of each step."""
    rows = np.flatnonzero(wanted_n)
    return csr_array((np.ones(len(rows)), (step_n[rows], rows)), shape=(steps, len(step_n)))
