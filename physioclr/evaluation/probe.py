"""Linear probe: what a linear classifier reads from a frozen embedding, from the 150 features, or from both.

An embedding has more columns than the features and would outweigh them under one penalty. So embedding and features
have a probe each, with a penalty of its own (`together.py` makes one answer of both).

Shape legend: n rows, d columns of x, C classes.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from physioclr.evaluation.ranked import RankedScores, mean_of_defined

GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # inverse strength of the L2 penalty
MAX_ITERATIONS = 1000


@dataclass(frozen=True, slots=True)
class Probe:
    """A fitted probe over C classes.

    `constant` are the columns that had only one outcome in training: every row gets the same score for them, which is
    an AUROC of 0.5. `validation_auroc` is the macro-AUROC that chose `c`; NaN when no class had both outcomes in
    validation, and then `c` is the middle of the grid. `converged` says that every fit of this `c` ended by itself.
    """

    preprocess: Pipeline
    coefficients: NDArray[np.float64]  # [C, d]
    intercepts: NDArray[np.float64]  # [C], infinite for constant columns
    c: float
    validation_auroc: float
    constant: tuple[int, ...]
    converged: bool

    def scores(self, x: ArrayLike) -> NDArray[np.float64]:
        """Probability of each class: float64 [n, C] for `x` [n, d]."""
        ready_nd = self.preprocess.transform(np.asarray(x, dtype=np.float64))
        return np.asarray(expit(ready_nd @ self.coefficients.T + self.intercepts))


def fit_probe(
    x_train: ArrayLike,
    y_train: ArrayLike,
    x_val: ArrayLike,
    y_val: ArrayLike,
    *,
    grid: Sequence[float] = GRID,
) -> Probe:
    """Standardise, then one L2 logistic regression a class, with the C of the best validation macro-AUROC.

    `x` float [n, d] (NaN = missing, replaced by the training mean), `y` bool [n, C]. One C serves all classes; of equal
    ones the smallest, so the strongest penalty, is taken. Deterministic. Raises ValueError when the shapes do not fit.
    """
    x_fit, y_fit = check_tables("training", x_train, y_train)
    x_check, y_check = check_tables("validation", x_val, y_val)
    if x_fit.shape[1] != x_check.shape[1] or y_fit.shape[1] != y_check.shape[1]:
        raise ValueError("training and validation differ in columns; take both from the same encoder and task")
    if not grid:
        raise ValueError("the grid of penalties is empty; give at least one value")
    preprocess = make_pipeline(SimpleImputer(strategy="mean", keep_empty_features=True), StandardScaler())
    ready_nd = preprocess.fit_transform(x_fit)
    candidates = _fit_grid(preprocess, ready_nd, y_fit, sorted(grid))
    return _best(candidates, x_check, y_check, otherwise=(len(grid) - 1) // 2)


def _best(candidates: list[Probe], x_nd: NDArray[np.float64], y_nC: NDArray[np.bool_], otherwise: int) -> Probe:
    everyone = np.ones((1, len(y_nC)))
    judged = [
        float(mean_of_defined(RankedScores(y_nC, probe.scores(x_nd)).per_class(everyone))[0, 0]) for probe in candidates
    ]
    best = int(np.nanargmax(judged)) if np.isfinite(judged).any() else otherwise
    return replace(candidates[best], validation_auroc=judged[best])


def _fit_grid(
    preprocess: Pipeline,
    ready_nd: NDArray[np.float64],
    y_nC: NDArray[np.bool_],
    grid: list[float],
) -> list[Probe]:
    """One probe for each C, ascending; each fit starts from the one before, which saves most of the iterations."""
    classes, columns = y_nC.shape[1], ready_nd.shape[1]
    constant = tuple(column for column in range(classes) if y_nC[:, column].all() or not y_nC[:, column].any())
    models = {
        column: LogisticRegression(solver="lbfgs", max_iter=MAX_ITERATIONS, warm_start=True)
        for column in range(classes)
        if column not in constant
    }
    probes = []
    for c in grid:
        coefficients = np.zeros((classes, columns))
        intercepts = np.where(y_nC.all(axis=0), np.inf, -np.inf)
        for column, model in models.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # said once, in `converged`
                model.set_params(C=c).fit(ready_nd, y_nC[:, column])
            coefficients[column], intercepts[column] = model.coef_[0], model.intercept_[0]
        converged = all(int(model.n_iter_[0]) < MAX_ITERATIONS for model in models.values())
        probes.append(Probe(preprocess, coefficients, intercepts, c, float("nan"), constant, converged))
    return probes


def check_tables(name: str, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """`x` float64 [n, d] and `y` bool [n, C] of a part called `name`. Raises ValueError where the shapes do not fit."""
    x_nd, y_nC = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=bool)
    if x_nd.ndim != 2 or y_nC.ndim != 2 or len(x_nd) != len(y_nC) or not len(x_nd):
        raise ValueError(
            f"{name}: x {x_nd.shape} and y {y_nC.shape} must be two tables with the same rows, at least one"
        )
    return x_nd, y_nC
