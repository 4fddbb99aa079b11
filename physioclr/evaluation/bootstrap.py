"""Intervals by resampling PATIENTS: recordings of one patient are not independent, so they are drawn together.

A resample is a vector of weights, how often each row was drawn, so a statistic is computed for many resamples at once.

Shape legend: n rows, C classes, B resamples, P positive and N negative rows of a class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from physioclr.evaluation.metrics import check_scores

Weights = NDArray[np.float64]  # [B, n]
Statistic = Callable[[Weights], NDArray[np.float64]]  # [B, n] -> [B], NaN where a resample does not define it

CHUNK_ELEMENTS = 1_000_000  # weights held at once: 8 MB, near what a core's cache holds


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate on all rows with its percentile interval; `resamples` is how many of the resamples defined it."""

    estimate: float
    low: float
    high: float
    resamples: int

    def __str__(self) -> str:
        return f"{self.estimate:.3f} ({self.low:.3f} to {self.high:.3f})"


def bootstrap(
    statistic: Statistic, patients: ArrayLike, *, seed: int, resamples: int = 1000, level: float = 0.95
) -> Interval:
    """Percentile bootstrap of `statistic` over patients (Efron & Tibshirani 1993, ch. 13).

    `patients` [n] holds an id a row. Each resample draws as many patients as there are, with replacement. Resamples in
    which the statistic is NaN are left out of the percentiles and not drawn again; with none left the bounds are NaN.
    """
    if resamples < 1 or not 0.0 < level < 1.0:
        raise ValueError(f"resamples {resamples} must be at least 1 and level {level} between 0 and 1")
    _, row_patient = np.unique(np.asarray(patients), return_inverse=True)
    if not row_patient.size:
        raise ValueError("there are no rows to resample; give at least one patient")
    count = int(row_patient.max()) + 1
    generator = np.random.default_rng(seed)
    chunk = max(1, CHUNK_ELEMENTS // row_patient.size)
    values = []
    for start in range(0, resamples, chunk):
        drawn = generator.integers(0, count, size=(min(chunk, resamples - start), count))
        values.append(statistic(_times_drawn(drawn)[:, row_patient]))
    defined = np.concatenate(values)
    defined = defined[np.isfinite(defined)]
    estimate = float(statistic(np.ones((1, row_patient.size)))[0])
    if not defined.size:
        return Interval(estimate, float("nan"), float("nan"), 0)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high), int(defined.size))


def macro_auroc_interval(
    y: ArrayLike, scores: ArrayLike, patients: ArrayLike, *, seed: int, resamples: int = 1000, level: float = 0.95
) -> Interval:
    """Macro-AUROC of `scores` [n, C] against `y` bool [n, C], with its interval over `patients` [n].

    A class without both outcomes in a resample is skipped in that resample.
    """
    ranked = WeightedAuroc(y, scores)
    return bootstrap(ranked.macro, patients, seed=seed, resamples=resamples, level=level)


def paired_difference(
    y: ArrayLike,
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    patients: ArrayLike,
    *,
    seed: int,
    resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Macro-AUROC of `scores_a` minus that of `scores_b`, both on the same rows, both judged on each same resample."""
    ranked_a, ranked_b = WeightedAuroc(y, scores_a), WeightedAuroc(y, scores_b)
    return bootstrap(
        lambda weights: ranked_a.macro(weights) - ranked_b.macro(weights),
        patients,
        seed=seed,
        resamples=resamples,
        level=level,
    )


class WeightedAuroc:
    """AUROC as the share of (positive, negative) pairs in the right order, ties half, each row counted by its weight.

    Scores are ranked once; a resample only changes the weights.
    """

    def __init__(self, y: ArrayLike, scores: ArrayLike) -> None:
        y_nC, scores_nC = check_scores(y, scores)
        self._ranks = [_rank(y_nC[:, column], scores_nC[:, column]) for column in range(y_nC.shape[1])]

    def per_class(self, weights: Weights) -> NDArray[np.float64]:
        """float64 [B, C] for weights [B, n]; NaN where a class has only one outcome among the rows drawn."""
        weights_nB = np.ascontiguousarray(weights.T)
        return np.stack([_one_class(weights_nB, rank) for rank in self._ranks], axis=1)

    def macro(self, weights: Weights) -> NDArray[np.float64]:
        """Mean over the classes that have both outcomes in each resample: float64 [B]; NaN where none has."""
        per_class_BC = self.per_class(weights)
        defined_BC = np.isfinite(per_class_BC)
        counted_B = defined_BC.sum(axis=1, dtype=np.float64)
        total_B = np.where(defined_BC, per_class_BC, 0.0).sum(axis=1)
        return _divide(total_B, counted_B)


@dataclass(frozen=True, slots=True)
class _Rank:
    """One class: positive rows, each with how many negatives score lower and no higher, and negative rows, sorted."""

    positives: NDArray[np.int64]
    lower: NDArray[np.int64]
    no_higher: NDArray[np.int64]
    negatives: NDArray[np.int64]


def _rank(y_n: NDArray[np.bool_], scores_n: NDArray[np.float64]) -> _Rank:
    positives, negatives = np.flatnonzero(y_n), np.flatnonzero(~y_n)
    negatives = negatives[np.argsort(scores_n[negatives], kind="stable")]
    lower = np.searchsorted(scores_n[negatives], scores_n[positives], side="left")
    no_higher = np.searchsorted(scores_n[negatives], scores_n[positives], side="right")
    return _Rank(positives, lower, no_higher, negatives)


def _one_class(weights_nB: NDArray[np.float64], rank: _Rank) -> NDArray[np.float64]:
    """AUROC of one class in each resample: float64 [B]."""
    positive_PB = weights_nB[rank.positives]
    below_NB = np.zeros((len(rank.negatives) + 1, weights_nB.shape[1]))
    np.cumsum(weights_nB[rank.negatives], axis=0, out=below_NB[1:])
    right_B = (positive_PB * (below_NB[rank.lower] + below_NB[rank.no_higher])).sum(axis=0) / 2
    return _divide(right_B, positive_PB.sum(axis=0) * below_NB[-1])


def _divide(part_B: NDArray[np.float64], whole_B: NDArray[np.float64]) -> NDArray[np.float64]:
    """part / whole, NaN where whole is 0."""
    return np.asarray(np.divide(part_B, whole_B, out=np.full(len(part_B), np.nan), where=whole_B > 0))


def _times_drawn(drawn: NDArray[np.int64]) -> Weights:
    """How often each patient is in each resample: `drawn` int [B, patients] -> float64 [B, patients]."""
    rows, count = drawn.shape
    flat = drawn + count * np.arange(rows)[:, None]
    return np.bincount(flat.ravel(), minlength=rows * count).reshape(rows, count).astype(np.float64)
