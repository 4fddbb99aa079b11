from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from physioclr.evaluation.ranked import RANK_METRICS, RankedScores, mean_of_defined

METRICS = tuple(RANK_METRICS)
ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=40)


def _slow(y: np.ndarray, scores: np.ndarray) -> list[float]:
    """The four metrics by scikit-learn, F-max and sensitivity by trying every threshold."""
    f_max = max(_f1(y, scores >= threshold) for threshold in np.unique(scores))
    false, true, _ = roc_curve(y, scores, drop_intermediate=False)
    sensitivity = max(t for f, t in zip(false, true, strict=True) if f <= 0.05)
    return [roc_auc_score(y, scores), average_precision_score(y, scores), f_max, sensitivity]


def _f1(y: np.ndarray, decided: np.ndarray) -> float:
    return 2 * (y & decided).sum() / (y.sum() + decided.sum())


def _one(y: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    weights = np.ones(len(y)) if weights is None else weights
    return RankedScores(y[:, None], scores[:, None]).per_class(weights[None, :], METRICS)[0, :, 0]


@settings(deadline=None, max_examples=80)
@given(ROWS)
def test_weighted_metrics_are_those_of_rows_repeated_by_weight(rows: list[tuple[bool, int, int]]) -> None:
    y, scores, weights = (np.array(column) for column in zip(*rows, strict=True))
    values = _one(y, scores, weights)
    repeated = np.repeat(y, weights)
    if repeated.any() and not repeated.all():
        assert values == pytest.approx(_slow(repeated, np.repeat(scores, weights)))
    else:
        assert np.isnan(values).all()


@settings(deadline=None, max_examples=50)
@given(ROWS, st.randoms(use_true_random=False))
def test_neither_the_order_of_rows_nor_a_rising_transform_matters(
    rows: list[tuple[bool, int, int]], draw: object
) -> None:
    y, scores, weights = (np.array(column) for column in zip(*rows, strict=True))
    order = np.array(draw.sample(range(len(y)), len(y)))  # type: ignore[attr-defined]
    expected = _one(y, scores, weights)
    np.testing.assert_allclose(_one(y[order], scores[order], weights[order]), expected)
    np.testing.assert_allclose(_one(y, np.exp(scores) - 7.0, weights), expected)
    np.testing.assert_allclose(_one(y, scores, weights * 3), expected)


def test_continuous_scores_of_many_rows_agree_with_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    y = generator.random(250) < 0.1
    scores = generator.normal(size=250) + y
    assert _one(y, scores) == pytest.approx(_slow(y, scores))


def test_sensitivity_takes_a_cut_at_exactly_95_percent() -> None:
    y = np.arange(24) < 4
    scores = np.r_[0.9, 0.7, 0.5, 0.1, 0.8, np.linspace(0.2, 0.3, 19)]  # one negative of 20 is above two positives
    assert _one(y, scores)[3] == 0.75
    scores[5] = 0.6  # a second one
    assert _one(y, scores)[3] == 0.5


def test_no_cut_with_that_specificity_is_a_sensitivity_of_nothing() -> None:
    assert _one(np.array([True, False]), np.array([0.5, 0.5]))[3] == 0.0


def test_each_class_and_resample_has_its_own_values_and_means_skip_what_is_undefined() -> None:
    y = np.array([[1, 1], [0, 0], [1, 0]], dtype=bool)
    scores = np.array([[0.9, 0.1], [0.1, 0.9], [0.8, 0.5]])
    weights = np.array([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    values = RankedScores(y, scores).per_class(weights)
    assert values.shape == (3, 1, 2)
    macro = mean_of_defined(values)[:, 0]
    assert macro[0] == pytest.approx((1.0 + 0.0) / 2)
    assert macro[1] == pytest.approx(1.0)  # the second class has no positive row left
    assert math.isnan(macro[2])
