"""The 150 physiological features without any network: logistic regression and gradient boosting.

Whatever an encoder learns of these features, a classifier on the features themselves has for nothing.

Shapes: n recordings, d features (NaN = missing), C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from physioclr.evaluation.metrics import auroc
from physioclr.evaluation.probe import Probe, check_tables, fit_probe

LEAVES = (4, 8, 16, 31)  # of a tree, smallest first; 31 is scikit-learn's own
ROUNDS = tuple(range(10, 201, 10))  # trees
LEARNING_RATE = 0.1  # scikit-learn's own


def fit_logistic(x_train: ArrayLike, y_train: ArrayLike, x_val: ArrayLike, y_val: ArrayLike) -> Probe:
    """Logistic regression on features [n, d], its penalty chosen on validation: the probe that embeddings get."""
    return fit_probe(x_train, y_train, x_val, y_val)


@dataclass(frozen=True, slots=True)
class Boosted:
    """Fitted trees for C classes, None for a class with one outcome only in training.

    `leaves` and `rounds` were chosen by `validation_auroc`, which is NaN where no class has both outcomes in
    validation; then they are the smallest trees and half of the rounds.
    """

    models: tuple[HistGradientBoostingClassifier | None, ...]
    leaves: int
    rounds: int
    validation_auroc: float
    known: NDArray[np.bool_]  # [d], features with a value in training: the trees see no others

    def scores(self, x: ArrayLike) -> NDArray[np.float64]:
        """Log-odds of each class, float64 [n, C]; 0 for a class without a model."""
        x_nd = np.asarray(x, dtype=np.float64)
        return _staged(self.models, x_nd[:, self.known], [self.rounds])[0]


def fit_boosting(
    x_train: ArrayLike,
    y_train: ArrayLike,
    x_val: ArrayLike,
    y_val: ArrayLike,
    *,
    leaves: Sequence[int] = LEAVES,
    rounds: Sequence[int] = ROUNDS,
    seed: int = 0,
) -> Boosted:
    """Gradient boosting on features [n, d] and outcomes bool [n, C], one model a class.

    Size and number of trees are those of the best validation macro-AUROC, the same for all classes; of equal ones the
    smaller and fewer. NaN is a value of its own to a tree. Raises ValueError when the shapes do not fit.
    """
    x_fit, y_fit = check_tables("training", x_train, y_train)
    x_check, y_check = check_tables("validation", x_val, y_val)
    if x_fit.shape[1] != x_check.shape[1] or y_fit.shape[1] != y_check.shape[1]:
        raise ValueError("training and validation differ in columns; take both from the same features and task")
    if not leaves or not rounds:
        raise ValueError("the grid is empty; give at least one number of leaves and one of rounds")
    known = np.asarray(~np.isnan(x_fit).all(axis=0))
    x_fit, x_check = x_fit[:, known], x_check[:, known]
    stages = sorted(rounds)
    best: Boosted | None = None
    for size in sorted(leaves):
        models = tuple(_fit_class(x_fit, y_fit[:, column], size, stages[-1], seed) for column in range(y_fit.shape[1]))
        judged = [_macro(y_check, scores_nC) for scores_nC in _staged(models, x_check, stages)]
        place = int(np.nanargmax(judged)) if np.isfinite(judged).any() else (len(stages) - 1) // 2
        if best is None or judged[place] > best.validation_auroc:
            best = Boosted(models, size, stages[place], judged[place], known)
    assert best is not None
    return best


def _fit_class(
    x_nd: NDArray[np.float64], y_n: NDArray[np.bool_], leaves: int, rounds: int, seed: int
) -> HistGradientBoostingClassifier | None:
    if y_n.all() or not y_n.any():
        return None
    model = HistGradientBoostingClassifier(
        learning_rate=LEARNING_RATE, max_iter=rounds, max_leaf_nodes=leaves, early_stopping=False, random_state=seed
    )
    return model.fit(x_nd, y_n)


def _staged(
    models: Sequence[HistGradientBoostingClassifier | None], x_nd: NDArray[np.float64], stages: Sequence[int]
) -> NDArray[np.float64]:
    """Log-odds after each of `stages` trees (ascending): [stages, n, C]."""
    staged = np.zeros((len(stages), len(x_nd), len(models)))
    for column, model in enumerate(models):
        if model is not None:
            by_round = list(islice(model.staged_decision_function(x_nd), stages[-1]))
            staged[:, :, column] = [np.ravel(by_round[stage - 1]) for stage in stages]
    return staged


def _macro(y_nC: NDArray[np.bool_], scores_nC: NDArray[np.float64]) -> float:
    return auroc(y_nC, scores_nC, [str(column) for column in range(y_nC.shape[1])]).macro
