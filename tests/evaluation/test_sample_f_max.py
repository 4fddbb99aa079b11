from __future__ import annotations

import math

import numpy as np
import pytest

from physioclr.evaluation.sample_f_max import THRESHOLDS, SampleFMax


def _slow(y: np.ndarray, scores: np.ndarray) -> float:
    best = 0.0
    for threshold in np.unique(scores):
        precisions, recalls = [], []
        for truth, row in zip(y, scores, strict=True):
            given = row >= threshold
            if given.any():
                precisions.append((given & truth).sum() / given.sum())
            if truth.any():
                recalls.append((given & truth).sum() / truth.sum())
        precision, recall = np.mean(precisions), np.mean(recalls)
        if precision + recall:
            best = max(best, 2 * precision * recall / (precision + recall))
    return best


def _all(y: np.ndarray, scores: np.ndarray) -> float:
    return float(SampleFMax(y, scores).score(np.ones((1, len(y))))[0])


def test_it_is_the_best_harmonic_mean_of_precision_and_recall_over_recordings() -> None:
    generator = np.random.default_rng(0)
    y = generator.random((30, 4)) < 0.3  # some rows have no class
    scores = generator.integers(0, 20, (30, 4)) / 20
    assert _all(y, scores) == pytest.approx(_slow(y, scores))


def test_by_hand() -> None:
    y = np.array([[1, 1], [1, 0]], dtype=bool)
    # at 0.6: the first is given one class of its two, rightly, the second nothing: precision 1, recall (0.5 + 0) / 2
    # at 0.4: the second is given a wrong one: precision 0.5, recall 0.25; at 0.2 the first has both: recall 0.5;
    # at 0.1 everything: precision (1 + 0.5) / 2, recall 1
    scores = np.array([[0.6, 0.2], [0.1, 0.4]])
    assert _all(y, scores) == pytest.approx(2 * 0.75 / 1.75)


def test_weights_are_rows_repeated() -> None:
    generator = np.random.default_rng(1)
    y, scores = generator.random((20, 3)) < 0.4, generator.random((20, 3))
    weights = generator.integers(0, 3, 20)
    thrice = generator.integers(0, 3, 20)
    both = SampleFMax(y, scores).score(np.stack([weights, thrice]))
    for value, times in zip(both, (weights, thrice), strict=True):
        # a resample keeps the thresholds of all rows, among which are those of its own
        assert value == pytest.approx(_slow(np.repeat(y, times, axis=0), np.repeat(scores, times, axis=0)))


def test_many_distinct_scores_are_sampled_and_a_rising_transform_changes_nothing() -> None:
    generator = np.random.default_rng(2)
    y = generator.random((100, 3)) < 0.4
    scores = generator.random((100, 3)) + 0.5 * y
    assert scores.size > THRESHOLDS
    assert _all(y, scores) == pytest.approx(_slow(y, scores), abs=0.02)
    assert _all(y, np.exp(5 * scores)) == pytest.approx(_all(y, scores))


def test_recordings_without_any_class_leave_nothing_to_judge() -> None:
    assert math.isnan(_all(np.zeros((3, 2), dtype=bool), np.ones((3, 2))))


def test_rare_classes_among_many_have_thresholds_where_it_matters() -> None:
    """Most scores are of classes that are not there: steps of all scores would pass over the best one."""
    generator = np.random.default_rng(0)
    y = generator.random((120, 20)) < 0.02
    scores = np.where(y, generator.normal(3.0, 0.5, y.shape), generator.normal(0.0, 0.5, y.shape))
    assert scores.size > 10 * THRESHOLDS
    assert _all(y, scores) == pytest.approx(_slow(y, scores))
