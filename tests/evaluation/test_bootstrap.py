from __future__ import annotations

import math

import numpy as np
import pytest

from physioclr.evaluation.bootstrap import bootstrap, intervals, macro_auroc_interval, paired_difference


def test_rows_of_a_patient_are_drawn_together_and_as_many_patients_as_there_are() -> None:
    patients = np.array(["b", "a", "b", "c"])
    seen: list[np.ndarray] = []

    def statistic(weights: np.ndarray) -> np.ndarray:
        seen.append(weights)
        return weights.sum(axis=1)

    bootstrap(statistic, patients, seed=0, resamples=200)
    everyone, drawn = seen
    assert everyone.tolist() == [[1.0, 1.0, 1.0, 1.0]]
    assert drawn.shape == (200, 4)
    np.testing.assert_array_equal(drawn[:, 0], drawn[:, 2])
    np.testing.assert_array_equal(drawn[:, [0, 1, 3]].sum(axis=1), 3)
    assert len(np.unique(drawn, axis=0)) > 5


def _scores(seed: int, rows: int, signal: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    y = generator.random((rows, 2)) < 0.4
    return y, y * signal + generator.normal(size=(rows, 2)), np.arange(rows)


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    truth = 0.760  # two unit normals, one apart: Phi(1 / sqrt 2)
    intervals = [macro_auroc_interval(*_scores(seed, 150, 1.0), seed=seed, resamples=200) for seed in range(100)]
    assert 88 <= sum(i.low <= truth <= i.high for i in intervals) <= 100
    assert np.mean([i.high - i.low for i in intervals]) < 0.2


def test_repeated_recordings_of_a_patient_do_not_narrow_the_interval() -> None:
    y, scores, patients = _scores(0, 60, 1.0)
    once = macro_auroc_interval(y, scores, patients, seed=0)
    ten_times = macro_auroc_interval(np.tile(y, (10, 1)), np.tile(scores, (10, 1)), np.tile(patients, 10), seed=0)
    assert ten_times.estimate == pytest.approx(once.estimate)
    assert ten_times.high - ten_times.low == pytest.approx(once.high - once.low)


def test_the_seed_decides() -> None:
    y, scores, patients = _scores(1, 80, 0.5)
    first = macro_auroc_interval(y, scores, patients, seed=3)
    assert macro_auroc_interval(y, scores, patients, seed=3) == first
    assert macro_auroc_interval(y, scores, patients, seed=4) != first


def test_paired_difference_is_nothing_for_equal_scores_and_sure_of_a_clear_gain() -> None:
    y, strong, patients = _scores(2, 200, 2.0)
    weak = _scores(3, 200, 0.0)[1]
    same = paired_difference(y, strong, strong, patients, seed=0)
    assert (same.estimate, same.low, same.high) == (0.0, 0.0, 0.0)
    gain = paired_difference(y, strong, weak, patients, seed=0)
    assert 0.2 < gain.low < gain.estimate < gain.high


def test_pairing_is_narrower_than_two_separate_intervals() -> None:
    y, scores, patients = _scores(4, 100, 1.0)
    nearly = scores + np.random.default_rng(0).normal(scale=0.1, size=scores.shape)
    paired = paired_difference(y, scores, nearly, patients, seed=0)
    single = macro_auroc_interval(y, scores, patients, seed=0)
    assert paired.high - paired.low < 0.5 * (single.high - single.low)


def test_one_outcome_only_ends_and_says_that_nothing_was_defined() -> None:
    interval = macro_auroc_interval(np.zeros((5, 1)), np.zeros((5, 1)), np.arange(5), seed=0, resamples=50)
    assert interval.resamples == 0
    assert math.isnan(interval.estimate)
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_a_rare_class_leaves_some_resamples_out_and_counts_the_rest() -> None:
    y = np.arange(6)[:, None] == 0
    interval = macro_auroc_interval(y, y * 1.0, np.arange(6), seed=0, resamples=500)
    assert 250 < interval.resamples < 400  # the one positive patient is in 67 % of the resamples
    assert interval.low == interval.high == 1.0


def test_several_figures_are_judged_on_the_same_resamples() -> None:
    values = np.random.default_rng(0).normal(size=30)

    def figures(weights: np.ndarray) -> np.ndarray:
        mean = weights @ values / weights.sum(axis=1)
        return np.stack([mean, mean + 1.0, np.full(len(weights), np.nan)], axis=1)

    first, shifted, undefined = intervals(figures, np.arange(30), seed=0, resamples=300)
    assert first == bootstrap(lambda weights: figures(weights)[:, 0], np.arange(30), seed=0, resamples=300)
    assert shifted.low - first.low == pytest.approx(1.0)
    assert shifted.high - first.high == pytest.approx(1.0)
    assert undefined.resamples == 0


def test_bounds_are_percentiles_of_the_resamples() -> None:
    drawn: list[np.ndarray] = []

    def total(weights: np.ndarray) -> np.ndarray:
        drawn.append(weights @ np.arange(20.0) ** 2)
        return drawn[-1]

    half = bootstrap(total, np.arange(20), seed=0, resamples=400, level=0.5)
    assert (half.low, half.high) == pytest.approx(tuple(np.quantile(np.concatenate(drawn[1:]), [0.25, 0.75])))
    assert half.estimate == drawn[0][0]


def test_no_resamples_give_the_estimate_alone() -> None:
    interval = macro_auroc_interval([[True], [False]], [[0.9], [0.1]], [1, 2], seed=0, resamples=0)
    assert (interval.estimate, interval.resamples) == (1.0, 0)
    assert math.isnan(interval.low)


def test_bad_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="no rows"):
        bootstrap(lambda weights: weights.sum(axis=1), [], seed=0)
    with pytest.raises(ValueError, match="level"):
        bootstrap(lambda weights: weights.sum(axis=1), [1], seed=0, level=1.0)
