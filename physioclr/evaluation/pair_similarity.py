"""Ways to compare the features of two segments: what stands for a missing value, and how many components are kept.

The pipeline's own way is the rule `absent` (`physioclr.features.reducer`). Everything is fitted on training rows and
gives the cosines of other rows. Shapes: n rows to fit on, S segments to compare, C columns: the 150 of
`features.columns`, or those of several leads side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physioclr.errors import ConfigError
from physioclr.features.columns import COLUMNS, STATISTIC_COLUMNS
from physioclr.features.reducer import Covariance, Moments, Reducer, Scaler

Floats = NDArray[np.float64]
Features = NDArray[np.floating[Any]]
Similarity = Callable[[Features], Floats]  # [S, C] -> [S, S]

RULES = {
    "mean": "the training mean, before the cut (a missing value is 0 in training standard deviations)",
    "median": "the training median",
    "centre": "0 after the cut and the centring of the PCA: a missing value adds nothing to a product",
    "pairwise": "nothing: cosine over the columns that both segments have, without a PCA",
    "indicator": "the training mean, and for each column another one that says whether it is missing",
    "absent": "the training mean, and the same for each of the 40 statistics: is the measure missing in all beats?",
}


def fit_similarity(train_nC: Features, rule: str, components: int | None, clip: float) -> Similarity:
    """What gives the cosines of segments by a `rule` of `RULES`, after a PCA to `components` (None: all directions).

    Raises `ConfigError` for another rule, or for `pairwise` with components.
    """
    if rule == "pairwise":
        if components is not None:
            raise ConfigError("rule 'pairwise' has no PCA; give it components null.")
        return _pairwise(train_nC, clip)
    if rule not in RULES:
        raise ConfigError(f"there is no rule {rule!r} for missing values; the rules are {', '.join(RULES)}.")
    size = components or 2 * train_nC.shape[1]
    if rule in ("indicator", "absent"):
        marked = [i for i in range(train_nC.shape[1]) if rule == "indicator" or i % len(COLUMNS) in STATISTIC_COLUMNS]
        reducer = Reducer.fit(train_nC, size, clip, marked)
        return lambda rows: cosines(reducer.transform(rows))
    scaler = Scaler.from_moments(Moments.from_features(train_nC), clip)
    if rule == "median":
        median_C = _median(train_nC)
        filled = scaler(_filled(train_nC, median_C))
        reducer = Reducer.from_covariance(scaler, Covariance.from_rows(filled), size)
        return lambda rows: cosines(reducer.transform(_filled(rows, median_C)))
    reducer = Reducer.from_covariance(scaler, Covariance.from_rows(scaler(train_nC)), size)
    if rule == "centre":
        return lambda rows: cosines(np.where(np.isnan(rows), 0.0, scaler(rows) - reducer.centre) @ reducer.components.T)
    return lambda rows: cosines(reducer.transform(rows))


def cosines(rows_SK: Features) -> Floats:
    """Cosine of every two rows, float64 [S, S]; 0 with a row of zeros."""
    rows = np.asarray(rows_SK, dtype=np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / np.where(length > 0, length, 1.0)
    return unit @ unit.T


def mean_known(parts: Sequence[Features]) -> Floats:
    """Mean of several [S, C] where it is known, such as of the features of several leads; NaN where none is."""
    there = [~np.isnan(part) for part in parts]
    count = np.sum(there, axis=0)
    total = np.sum([np.where(mask, part, 0.0) for mask, part in zip(there, parts, strict=True)], axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _pairwise(train_nC: Features, clip: float) -> Similarity:
    scaler = Scaler.from_moments(Moments.from_features(train_nC), clip)

    def similarity(rows: Features) -> Floats:
        scaled = scaler(rows)
        there = (~np.isnan(rows)).astype(np.float64)
        squares = scaled**2 @ there.T  # [i, j]: of row i over the columns that row j has as well
        length = np.sqrt(squares * squares.T)
        return scaled @ scaled.T / np.where(length > 0, length, 1.0)

    return similarity


def _median(rows_nC: Features) -> Floats:
    """Of each column's numbers; 0 for a column without any, which the scaler does not use."""
    known = ~np.isnan(rows_nC).all(axis=0)
    median = np.zeros(rows_nC.shape[1])
    median[known] = np.nanmedian(rows_nC[:, known].astype(np.float64), axis=0)
    return median


def _filled(rows_SC: Features, values_C: Floats) -> Features:
    return np.where(np.isnan(rows_SC), values_C, rows_SC)
