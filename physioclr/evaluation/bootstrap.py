"""Intervals by resampling PATIENTS: recordings of one patient are not independent, so they are drawn together.

A resample is a vector of weights, how often each row was drawn, so a statistic is computed for many resamples at once,
and several figures on the same ones.

Shape legend: n rows, C classes, B resamples, K figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from physioclr.evaluation.ranked import RankedScores, mean_of_defined

Weights = NDArray[np.float64]  # [B, n]
Statistic = Callable[[Weights], NDArray[np.float64]]  # [B, n] -> [B], NaN where a resample does not define it
Statistics = Callable[[Weights], NDArray[np.float64]]  # [B, n] -> [B, K]

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


def intervals(
    statistics: Statistics, patients: ArrayLike, *, seed: int, resamples: int = 1000, level: float = 0.95
) -> list[Interval]:
    """Percentile bootstrap of K figures over patients (Efron & Tibshirani 1993, ch. 13), all on the same resamples.

    `patients` [n] holds an id a row. Each resample draws as many patients as there are, with replacement. Resamples in
    which a figure is NaN are left out of its percentiles and not drawn again; with none left, or `resamples` 0, its
    bounds are NaN.
    """
    if resamples < 0 or not 0.0 < level < 1.0:
        raise ValueError(f"resamples {resamples} must not be negative and level {level} must be between 0 and 1")
    _, row_patient = np.unique(np.asarray(patients), return_inverse=True)
    if not row_patient.size:
        raise ValueError("there are no rows to resample; give at least one patient")
    estimates_K = statistics(np.ones((1, row_patient.size)))[0]
    parts = [statistics(weights) for weights in _resamples(row_patient, seed, resamples)]
    values_BK = np.concatenate(parts) if parts else np.empty((0, len(estimates_K)))
    return [_interval(*figure, level) for figure in zip(estimates_K, values_BK.T, strict=True)]


def bootstrap(
    statistic: Statistic, patients: ArrayLike, *, seed: int, resamples: int = 1000, level: float = 0.95
) -> Interval:
    """`intervals` of one figure."""
    (interval,) = intervals(
        lambda weights: statistic(weights)[:, None], patients, seed=seed, resamples=resamples, level=level
    )
    return interval


def macro_auroc_interval(
    y: ArrayLike, scores: ArrayLike, patients: ArrayLike, *, seed: int, resamples: int = 1000, level: float = 0.95
) -> Interval:
    """Macro-AUROC of `scores` [n, C] against `y` bool [n, C], with its interval over `patients` [n].

    A class without both outcomes in a resample is skipped in that resample.
    """
    return bootstrap(_macro_auroc(y, scores), patients, seed=seed, resamples=resamples, level=level)


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
    first, second = _macro_auroc(y, scores_a), _macro_auroc(y, scores_b)
    return bootstrap(
        lambda weights: first(weights) - second(weights), patients, seed=seed, resamples=resamples, level=level
    )


def _macro_auroc(y: ArrayLike, scores: ArrayLike) -> Statistic:
    ranked = RankedScores(y, scores)
    return lambda weights: mean_of_defined(ranked.per_class(weights)[:, 0])


def _resamples(row_patient: NDArray[np.int64], seed: int, resamples: int) -> Iterator[Weights]:
    """Weights of the rows, some resamples at a time."""
    generator = np.random.default_rng(seed)
    count = int(row_patient.max()) + 1
    chunk = max(1, CHUNK_ELEMENTS // row_patient.size)
    for start in range(0, resamples, chunk):
        drawn = generator.integers(0, count, size=(min(chunk, resamples - start), count))
        yield _times_drawn(drawn)[:, row_patient]


def _times_drawn(drawn: NDArray[np.int64]) -> Weights:
    """How often each patient is in each resample: `drawn` int [B, patients] -> float64 [B, patients]."""
    rows, count = drawn.shape
    flat = drawn + count * np.arange(rows)[:, None]
    return np.bincount(flat.ravel(), minlength=rows * count).reshape(rows, count).astype(np.float64)


def _interval(estimate: float, values: NDArray[np.float64], level: float) -> Interval:
    defined = values[np.isfinite(values)]
    if not defined.size:
        return Interval(float(estimate), float("nan"), float("nan"), 0)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(estimate), float(low), float(high), int(defined.size))
