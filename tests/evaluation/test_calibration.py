from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from physioclr.evaluation.calibration import reliability


def _data(rows: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    scores = generator.random((rows, 2)) ** 2
    return generator.random((rows, 2)) < scores, scores


@pytest.mark.parametrize(("strategy", "theirs"), [("width", "uniform"), ("count", "quantile")])
def test_curve_is_scikit_learns(strategy: str, theirs: str) -> None:
    y, scores = _data(1999)
    curves = reliability(y, scores, ["a", "b"], bins=7, strategy=strategy)  # type: ignore[arg-type]
    for column, name in enumerate("ab"):
        share, probability = calibration_curve(y[:, column], scores[:, column], n_bins=7, strategy=theirs)
        tolerance = 1e-12 if strategy == "width" else 0.01  # it interpolates between two scores, which moves one row
        np.testing.assert_allclose(curves[name].share, share, atol=tolerance)
        np.testing.assert_allclose(curves[name].probability, probability, atol=tolerance)
        assert sum(curves[name].rows) == 1999


def test_error_is_small_for_true_probabilities_and_large_for_bold_ones() -> None:
    y, scores = _data()
    assert reliability(y, scores, ["a", "b"])["a"].error < 0.04
    assert reliability(y, np.clip(3 * scores, 0, 1), ["a", "b"])["a"].error > 0.2


def test_error_by_hand() -> None:
    scores = np.array([[0.1], [0.2], [0.9], [1.0], [1.0]])
    curve = reliability([[True], [False], [True], [True], [True]], scores, ["a"], bins=5)["a"]
    assert curve.rows == (2, 3)  # 0.2 is on an edge and belongs below
    assert curve.probability == pytest.approx((0.15, 2.9 / 3))
    assert curve.share == (0.5, 1.0)
    assert curve.error == pytest.approx((2 * 0.35 + 3 * (1 - 2.9 / 3)) / 5)


def test_equal_probabilities_stay_together_and_one_outcome_is_no_obstacle() -> None:
    curve = reliability(np.zeros((8, 1)), np.full((8, 1), 0.3), ["a"], bins=4, strategy="count")["a"]
    assert curve.rows == (8,)
    assert curve.error == pytest.approx(0.3)
    assert math.isnan(reliability(np.zeros((0, 1)), np.zeros((0, 1)), ["a"])["a"].error)


def test_scores_that_are_no_probabilities_are_refused() -> None:
    with pytest.raises(ValueError, match="not probabilities"):
        reliability([[True]], [[1.1]], ["a"])
    with pytest.raises(ValueError, match="0 bins"):
        reliability([[True]], [[0.1]], ["a"], bins=0)
