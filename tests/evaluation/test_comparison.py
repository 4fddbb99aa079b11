from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from physioclr.evaluation.bootstrap import paired_difference
from physioclr.evaluation.comparison import MEAN, Compared, Key, Outcomes, compare

PATIENTS = np.repeat(np.arange(60), 2)  # 120 recordings


def _outcomes(seed: int, rows: np.ndarray) -> Outcomes:
    return Outcomes(np.random.default_rng(seed).random((len(rows), 2)) < 0.3, rows)


COLUMNS = {"a": _outcomes(0, np.arange(120)), "b": _outcomes(1, np.arange(30, 100))}


def _scores(column: str, seed: int, signal: float) -> np.ndarray:
    y = COLUMNS[column].y
    return signal * y + np.random.default_rng(seed).normal(size=y.shape)


@pytest.fixture(scope="module")
def scores() -> dict[Key, dict[int, np.ndarray]]:
    signal = {"good": 1.5, "poor": 0.3}
    return {
        (method, column): {seed: _scores(column, 10 * place + seed, signal[method]) for seed in range(3)}
        for place, (method, column) in enumerate([("good", "a"), ("good", "b"), ("poor", "a"), ("poor", "b")])
    } | {("partial", "a"): {0: _scores("a", 99, 1.0)}}


@pytest.fixture(scope="module")
def found(scores: dict[Key, dict[int, np.ndarray]]) -> dict[Key, Compared]:
    return compare(COLUMNS, scores, PATIENTS, "good", seed=3, resamples=200)


def test_figures_are_means_over_seeds_of_what_scikit_learn_gives(
    scores: dict[Key, dict[int, np.ndarray]], found: dict[Key, Compared]
) -> None:
    for key, seeds in scores.items():
        y = COLUMNS[key[1]].y
        for metric, judge in (("auroc", roc_auc_score), ("auprc", average_precision_score)):
            each = [np.mean([judge(y[:, c], one[:, c]) for c in range(2)]) for one in seeds.values()]
            assert found[key].figures[metric].estimate == pytest.approx(np.mean(each))
            assert found[key].by_seed[metric] == pytest.approx(each)


def test_a_difference_is_paired_on_the_same_resamples(
    scores: dict[Key, dict[int, np.ndarray]], found: dict[Key, Compared]
) -> None:
    one_seed = {key: {0: seeds[0]} for key, seeds in scores.items() if key[1] == "a"}
    alone = compare({"a": COLUMNS["a"]}, one_seed, PATIENTS, "good", seed=3, resamples=200)
    slow = paired_difference(
        COLUMNS["a"].y, scores["poor", "a"][0], scores["good", "a"][0], PATIENTS, seed=3, resamples=200
    )
    fast = alone["poor", "a"].difference["auroc"]
    assert (fast.estimate, fast.low, fast.high) == pytest.approx((slow.estimate, slow.low, slow.high))
    gap = found["poor", "a"].difference["auroc"]
    sides = [found[name, "a"].figures["auroc"] for name in ("poor", "good")]
    assert gap.estimate == pytest.approx(sides[0].estimate - sides[1].estimate)
    assert gap.high < 0


def test_the_mean_is_over_all_columns_and_only_of_methods_that_have_them(found: dict[Key, Compared]) -> None:
    both = [found["poor", column].figures["auroc"].estimate for column in COLUMNS]
    assert found["poor", MEAN].figures["auroc"].estimate == pytest.approx(np.mean(both))
    expected = np.mean([found["poor", column].difference["auroc"].estimate for column in COLUMNS])
    assert found["poor", MEAN].difference["auroc"].estimate == pytest.approx(expected)
    assert ("partial", MEAN) not in found
    assert found["partial", "a"].difference


def test_a_difference_is_over_the_seeds_that_both_have(scores: dict[Key, dict[int, np.ndarray]]) -> None:
    """The reference's cell of seed 1 has failed: without it, it would be compared with another mean."""
    lost = {
        key: {seed: one for seed, one in seeds.items() if key != ("good", "a") or seed != 1}
        for key, seeds in scores.items()
    }
    equal = {
        key: {seed: one for seed, one in seeds.items() if key[1] != "a" or seed != 1} for key, seeds in scores.items()
    }
    with_gap, fair = (compare(COLUMNS, each, PATIENTS, "good", seed=3, resamples=50) for each in (lost, equal))
    for column in ("a", "b", MEAN):
        assert with_gap["poor", column].difference == fair["poor", column].difference
    assert with_gap["poor", "a"].figures != fair["poor", "a"].figures, "a method's own figure is over all of its seeds"


def test_without_a_seed_in_common_there_is_no_difference(scores: dict[Key, dict[int, np.ndarray]]) -> None:
    lost = scores | {("good", "a"): {7: scores["good", "a"][0]}}
    found = compare(COLUMNS, lost, PATIENTS, "good", seed=3, resamples=50)
    assert found["poor", "a"].difference == found["poor", MEAN].difference == {}
    assert found["poor", "b"].difference
    assert found["poor", MEAN].figures


def test_the_reference_differs_from_nothing_and_a_missing_one_leaves_figures(
    scores: dict[Key, dict[int, np.ndarray]], found: dict[Key, Compared]
) -> None:
    assert found["good", "a"].difference == {}
    without = compare(COLUMNS, scores, PATIENTS, "nobody", resamples=10)
    assert all(cell.difference == {} for cell in without.values())
    assert without.keys() == found.keys()


def test_one_column_has_no_mean_beside_it(scores: dict[Key, dict[int, np.ndarray]]) -> None:
    alone = compare({"a": COLUMNS["a"]}, {("good", "a"): scores["good", "a"]}, PATIENTS, "good", resamples=10)
    assert list(alone) == [("good", "a")]


def test_the_same_seed_gives_the_same_intervals(
    scores: dict[Key, dict[int, np.ndarray]], found: dict[Key, Compared]
) -> None:
    assert compare(COLUMNS, scores, PATIENTS, "good", seed=3, resamples=200) == found
