"""Several classifiers of the same rows as one: the mean of their log-odds, even, or weighed as is best on validation.

Shape legend: n rows, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from physioclr.evaluation.ranked import RankedScores, mean_of_defined

SUREST = 1 - 1e-7
STEPS = 4  # weights are multiples of a quarter: a finer choice is not to be had from few validation rows


def together(scores: Sequence[ArrayLike], weights: Sequence[float] | None = None) -> NDArray[np.float64]:
    """Probabilities of each classifier, any shape, to those of the weighted mean of their log-odds; even by default.

    None counts as surer than `SUREST`, so that one which is sure beyond what float32 can say does not decide alone.
    """
    odds = [logit(np.clip(np.asarray(each, dtype=np.float64), 1 - SUREST, SUREST)) for each in scores]
    return np.asarray(expit(np.average(odds, axis=0, weights=weights)))


def best_weights(scores: Sequence[ArrayLike], y: ArrayLike) -> list[float]:
    """The weights with the best macro-AUROC of probabilities [n, C] against outcomes bool [n, C].

    The same for all classes, each a multiple of a quarter, together 1. Of equal ones the most even are taken, and even
    ones where no class has both outcomes.
    """
    outcomes_nC = np.asarray(y, dtype=bool)
    everyone = np.ones((1, len(outcomes_nC)))
    even = np.full(len(scores), 1 / len(scores))
    grid = [np.array(one) / STEPS for one in product(range(STEPS + 1), repeat=len(scores)) if sum(one) == STEPS]
    best, best_score = even, -np.inf
    for weights in sorted([even, *grid], key=lambda one: float(np.square(one - even).sum())):
        ranked = RankedScores(outcomes_nC, together(scores, list(weights)))
        score = float(mean_of_defined(ranked.per_class(everyone))[0, 0])
        if score > best_score + 1e-12:
            best, best_score = weights, score
    return [float(weight) for weight in best]
