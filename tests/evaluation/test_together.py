"""Several classifiers as one, against the definition."""

from __future__ import annotations

import numpy as np
import pytest

from physioclr.evaluation.metrics import auroc
from physioclr.evaluation.together import best_weights, together


def test_together_is_the_mean_of_the_log_odds() -> None:
    first, second = np.array([[0.2, 0.5, 0.0]]), np.array([[0.8, 0.9, 0.0]])
    odds = np.sqrt((0.2 / 0.8) * (0.8 / 0.2)), np.sqrt((0.5 / 0.5) * (0.9 / 0.1))
    np.testing.assert_allclose(
        together([first, second]), [[odds[0] / (1 + odds[0]), odds[1] / (1 + odds[1]), 0.0]], atol=1e-6
    )
    np.testing.assert_allclose(together([first]), first, atol=1e-6)


def test_one_that_is_beyond_doubt_does_not_decide_alone() -> None:
    scores = together([[[1.0], [0.0], [1.0]], [[0.5], [1.0], [0.2]]])[:, 0]
    assert np.isfinite(scores).all()
    assert scores[1] == pytest.approx(0.5), "two that contradict each other"
    assert scores[0] > scores[2] > 0.5


def test_together_has_what_either_knows() -> None:
    """One classifier tells the first half of the rows apart, the other the second half."""
    generator = np.random.default_rng(0)
    y = generator.random((400, 1)) > 0.5
    knows = np.where(y, 0.9, 0.1) + 0.05 * generator.normal(size=y.shape)
    halves = np.arange(400)[:, None] < 200
    noise = 0.5 + 0.01 * generator.normal(size=(2, 400, 1))
    first, second = np.where(halves, knows, noise[0]), np.where(halves, noise[1], knows)
    single = max(auroc(y, scores, ["a"]).macro for scores in (first, second))
    assert auroc(y, together([first.clip(0.01, 0.99), second.clip(0.01, 0.99)]), ["a"]).macro > single + 0.1


def test_the_better_weighs_more_than_one_that_guesses() -> None:
    generator = np.random.default_rng(1)
    y = generator.random((300, 2)) > 0.5
    good, fair = (1 / (1 + np.exp(-(2 * y - 1 + noise * generator.normal(size=y.shape)))) for noise in (0.7, 2.0))
    guess = generator.random(y.shape)
    weights = best_weights([fair, good, guess], y)
    assert sum(weights) == pytest.approx(1)
    assert weights[1] > weights[0] >= weights[2]
    scores = [together([fair, good, guess], one) for one in (weights, [1 / 3] * 3, [1, 0, 0], [0, 1, 0])]
    found = [auroc(y, one, ["a", "b"]).macro for one in scores]
    assert found[0] == max(found)


def test_of_equal_ones_the_most_even_and_even_where_nothing_can_be_judged() -> None:
    y = np.array([[True], [False], [True]])
    right = np.array([[0.9], [0.1], [0.8]])
    assert best_weights([right, right], y) == [0.5, 0.5]
    assert best_weights([right, right, right], np.ones((3, 1))) == pytest.approx([1 / 3] * 3)
