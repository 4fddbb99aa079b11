from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from physioclr.baselines.tabular import Boosted, fit_boosting, fit_logistic
from physioclr.evaluation.metrics import auroc

Tables = tuple[NDArray[np.float64], NDArray[np.bool_]]


def tables(rows: int, seed: int) -> Tables:
    """Class 0 is linear in a column, class 1 says whether two columns have one sign, class 2 whether one is missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 6))
    y = np.stack((x[:, 0] > 0, (x[:, 1] > 0) == (x[:, 2] > 0), rng.random(rows) < 0.4), axis=1)
    x[y[:, 2], 4] = np.nan
    return x, y


def figures(scores: NDArray[np.float64], y: NDArray[np.bool_]) -> list[float]:
    assert scores.shape == y.shape
    return list(auroc(y, scores, ["linear", "product", "missing"]).per_class.values())


@pytest.fixture(scope="module")
def boosted() -> Boosted:
    return fit_boosting(*tables(300, 0), *tables(200, 1), leaves=(4, 8), rounds=(5, 20, 40))


def test_trees_find_what_is_linear_what_is_not_and_what_is_missing(boosted: Boosted) -> None:
    x, y = tables(300, 2)
    linear, product, missing = figures(boosted.scores(x), y)
    assert linear > 0.98
    assert product > 0.9
    assert missing == 1.0


def test_a_logistic_regression_finds_what_is_linear_only() -> None:
    x, y = tables(300, 2)
    linear, product, _ = figures(fit_logistic(*tables(300, 0), *tables(200, 1)).scores(x), y)
    assert linear > 0.98
    assert product < 0.65


def test_size_and_number_of_trees_are_the_best_on_validation(boosted: Boosted) -> None:
    """Against every pair of the grid fitted by itself."""
    x, y = tables(200, 1)
    judged = {}
    for leaves in (4, 8):
        for rounds in (5, 20, 40):
            one = fit_boosting(*tables(300, 0), x, y, leaves=(leaves,), rounds=(rounds,))
            judged[leaves, rounds] = float(np.mean(figures(one.scores(x), y)))
    assert boosted.validation_auroc == pytest.approx(max(judged.values()))
    assert judged[boosted.leaves, boosted.rounds] == pytest.approx(max(judged.values()))


def test_the_same_seed_gives_the_same_scores(boosted: Boosted) -> None:
    again = fit_boosting(*tables(300, 0), *tables(200, 1), leaves=(4, 8), rounds=(5, 20, 40))
    x, _ = tables(50, 3)
    np.testing.assert_array_equal(again.scores(x), boosted.scores(x))


def test_a_feature_that_nobody_in_training_has_says_nothing(boosted: Boosted) -> None:
    (x, y), (x_val, y_val) = tables(300, 0), tables(200, 1)
    x[:, 3] = np.nan
    found = fit_boosting(x, y, x_val, y_val, leaves=(4,), rounds=(20,))
    changed = x_val.copy()
    changed[:, 3] = 100.0
    np.testing.assert_array_equal(found.scores(changed), found.scores(x_val))
    assert figures(found.scores(x_val), y_val)[0] > 0.95


def test_a_class_with_one_outcome_gets_one_score() -> None:
    x, y = tables(60, 0)
    y[:, 1] = False
    fitted = fit_boosting(x, y, *tables(40, 1), leaves=(4,), rounds=(5,))
    assert (fitted.scores(x)[:, 1] == 0).all()
    assert np.ptp(fitted.scores(x)[:, 0]) > 0


def test_without_outcomes_in_validation_the_smallest_trees_are_taken() -> None:
    x, y = tables(60, 0)
    fitted = fit_boosting(x, y, x, np.zeros_like(y), leaves=(4, 8), rounds=(5, 10, 20))
    assert np.isnan(fitted.validation_auroc)
    assert (fitted.leaves, fitted.rounds) == (4, 10)


def test_tables_that_do_not_fit_are_refused() -> None:
    x, y = tables(20, 0)
    with pytest.raises(ValueError, match="the same rows"):
        fit_boosting(x, y[:-1], x, y)
    with pytest.raises(ValueError, match="differ in columns"):
        fit_boosting(x, y, x[:, :-1], y)
    with pytest.raises(ValueError, match="grid is empty"):
        fit_boosting(x, y, x, y, leaves=())
