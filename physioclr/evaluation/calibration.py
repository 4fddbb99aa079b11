"""Do probabilities mean what they say? Brier score, reliability curve and expected calibration error of each class.

Shape legend: n rows, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from physioclr.evaluation.metrics import check_named_scores

Floats = NDArray[np.float64]
Strategy = Literal["width", "count"]


@dataclass(frozen=True, slots=True)
class Reliability:
    """One class, in the bins that hold any row, ascending: mean probability, share of positives, and number of rows.

    `error` is the expected calibration error: the mean over rows of |probability - share| of their bin.
    """

    probability: tuple[float, ...]
    share: tuple[float, ...]
    rows: tuple[int, ...]

    @property
    def error(self) -> float:
        """Between 0 and 1; NaN without rows."""
        if not self.rows:
            return float("nan")
        gaps = np.abs(np.subtract(self.probability, self.share))
        return float(np.average(gaps, weights=self.rows))


def reliability(
    y: ArrayLike, scores: ArrayLike, classes: Sequence[str], *, bins: int = 10, strategy: Strategy = "width"
) -> dict[str, Reliability]:
    """Reliability of each class of probabilities `scores` [n, C] against `y` bool [n, C] (Naeini et al. 2015).

    Bins are of equal width, or of equal count, where equal probabilities stay together. Classes with one outcome are
    included: a probability can be wrong about them. Raises ValueError for scores that are not probabilities.
    """
    y_nC, scores_nC = check_named_scores(y, scores, classes)
    if not are_probabilities(scores_nC):
        raise ValueError("scores below 0 or above 1 are not probabilities and cannot be calibrated; give probabilities")
    if bins < 1:
        raise ValueError(f"{bins} bins cannot hold rows; give at least 1")
    return {
        name: _one_class(y_nC[:, column], scores_nC[:, column], bins, strategy) for column, name in enumerate(classes)
    }


def squared_errors(y_nC: NDArray[np.bool_], scores_nC: Floats) -> Floats:
    """(probability - outcome)^2 of each row, [n, C]: their mean over rows is the Brier score (Brier 1950)."""
    return np.asarray((scores_nC - y_nC) ** 2)


def are_probabilities(scores_nC: Floats) -> bool:
    """Whether all scores lie between 0 and 1, which scores of a ridge classifier, for one, do not."""
    return bool(((scores_nC >= 0.0) & (scores_nC <= 1.0)).all())


def _one_class(y_n: NDArray[np.bool_], scores_n: Floats, bins: int, strategy: Strategy) -> Reliability:
    if not len(scores_n):
        return Reliability((), (), ())
    inner = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    edges = inner if strategy == "width" else np.unique(np.quantile(scores_n, inner, method="inverted_cdf"))
    place_n = np.searchsorted(edges, scores_n)  # a probability on an edge belongs to the bin below
    rows = np.bincount(place_n, minlength=len(edges) + 1)
    filled = rows > 0
    probability = np.bincount(place_n, weights=scores_n, minlength=len(rows))[filled] / rows[filled]
    share = np.bincount(place_n, weights=y_n, minlength=len(rows))[filled] / rows[filled]
    return Reliability(tuple(probability.tolist()), tuple(share.tolist()), tuple(rows[filled].tolist()))
