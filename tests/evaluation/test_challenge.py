from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.ecg.snomed import SCORED_CLASSES
from physioclr.evaluation.challenge import ChallengeScore, challenge_score, choose_thresholds, decide, weights

NAMES = [scored.abbreviation for scored in SCORED_CLASSES]


def _table(*recordings: str) -> np.ndarray:
    """Each recording by its classes' abbreviations: bool [n, 26]."""
    return np.array([[name in recording.split() for name in NAMES] for recording in recordings])


def _slow(y: np.ndarray, decided: np.ndarray) -> float:
    """As published: a confusion matrix in which each recording counts 1 over the classes it has in either, weighted."""

    def total(answer: np.ndarray) -> float:
        confusion = np.zeros((26, 26))
        for truth, given_classes in zip(y, answer, strict=True):
            shared = max(sum(truth | given_classes), 1)
            for row in range(26):
                for column in range(26):
                    if truth[row] and given_classes[column]:
                        confusion[row, column] += 1 / shared
        return float((confusion * weights()).sum())

    normal = np.tile(np.array(NAMES) == "NSR", (len(y), 1))
    return (total(decided) - total(normal)) / (total(y) - total(normal))


@pytest.mark.parametrize(
    ("one", "other", "weight"),
    [
        ("AF", "AFL", 0.5),
        ("AF", "NSR", 0.25),
        ("AF", "PAC", 0.3375),
        ("BBB", "CLBBB", 0.475),
        ("LQRSV", "PRWP", 0.475),
        ("QAb", "NSR", 0.15),
        ("PVC", "STach", 0.5),
        ("NSR", "SB", 0.45),
        ("CRBBB", "BBB", 0.425),
        ("PAC", "PAC", 1.0),
    ],
)
def test_weights_are_the_published_ones(one: str, other: str, weight: float) -> None:
    table = weights()
    assert table[NAMES.index(one), NAMES.index(other)] == weight
    assert table[NAMES.index(other), NAMES.index(one)] == weight


def test_weights_have_the_published_sums() -> None:
    table = weights()
    assert table.sum() == pytest.approx(286.075)
    assert table[:, NAMES.index("NSR")].sum() == pytest.approx(9.8375)
    assert (np.diag(table) == 1.0).all()


def test_one_recording_by_hand() -> None:
    y = _table("AF")
    # right earns 1, sinus rhythm 0.25 / 2 as both classes share; flutter as well earns (1 + 0.5) / 2
    inactive = 0.25 / 2
    assert challenge_score(y, _table("AF")) == pytest.approx(1.0)
    assert challenge_score(y, _table("NSR")) == pytest.approx(0.0)
    assert challenge_score(y, _table("AF AFL")) == pytest.approx((0.75 - inactive) / (1 - inactive))
    assert challenge_score(y, _table("AFL")) == pytest.approx((0.25 - inactive) / (1 - inactive))
    assert challenge_score(y, _table("")) == pytest.approx((0.0 - inactive) / (1 - inactive))


def test_two_recordings_by_hand() -> None:
    y = _table("NSR SA", "PVC")
    decided = _table("NSR", "PVC PAC")
    # the truth earns (1 + 1 + 2 x 0.45) / 2 and 1; sinus rhythm (1 + 0.45) / 2 and 0.375 / 2
    perfect, inactive = 1.45 + 1.0, 0.725 + 0.1875
    observed = 0.725 + (1.0 + 0.4625) / 2
    assert challenge_score(y, decided) == pytest.approx((observed - inactive) / (perfect - inactive))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000))
def test_it_equals_the_loop_under_any_weights(seed: int) -> None:
    generator = np.random.default_rng(seed)
    y, decided = generator.random((2, 6, 26)) < 0.12
    y[0, 0] = True  # at least one class other than sinus rhythm
    times = np.r_[1, generator.integers(0, 3, 5)]
    score = ChallengeScore(y, decided).score(np.stack([np.ones(6), times]))
    assert score[0] == pytest.approx(_slow(y, decided))
    assert score[1] == pytest.approx(_slow(np.repeat(y, times, axis=0), np.repeat(decided, times, axis=0)))


def test_nothing_to_win_is_not_a_number_and_recordings_without_a_scored_class_change_nothing() -> None:
    assert math.isnan(challenge_score(_table("NSR", ""), _table("NSR", "AF")))
    alone = challenge_score(_table("AF"), _table("AFL"))
    assert challenge_score(_table("AF", ""), _table("AFL", "PVC")) == pytest.approx(alone)


def _scores(seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    y = generator.random((150, 26)) < np.linspace(0.0, 0.3, 26)  # the first class never
    return y, 0.5 * y + generator.random((150, 26))


def test_chosen_thresholds_earn_at_least_what_any_change_of_one_class_would() -> None:
    y, scores = _scores(0)
    chosen = choose_thresholds(y, scores)
    best = challenge_score(y, decide(scores, chosen))
    assert best > challenge_score(y, decide(scores, np.full(26, 0.75)))
    for column in range(26):
        for other in (*np.quantile(scores[:, column], np.linspace(0, 1, 9)), np.inf):
            changed = chosen.copy()
            changed[column] = other
            assert challenge_score(y, decide(scores, changed)) <= best + 1e-9


def test_scores_that_tell_classes_apart_are_cut_between_them() -> None:
    y, _ = _scores(1)
    chosen = choose_thresholds(y, y * 0.6 + 0.2)
    assert challenge_score(y, decide(y * 0.6 + 0.2, chosen)) == pytest.approx(1.0)
    assert chosen[y.any(axis=0)] == pytest.approx(0.5)
    assert (chosen[~y.any(axis=0)] == np.inf).all()
    assert not y[:, 0].any()


def test_tables_that_are_not_of_the_26_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="26 scored classes"):
        challenge_score(np.ones((2, 5)), np.ones((2, 5)))
    with pytest.raises(ValueError, match="same recordings"):
        challenge_score(np.ones((2, 26)), np.ones((3, 26)))
    with pytest.raises(ValueError, match="finite"):
        choose_thresholds(np.ones((1, 26)), np.full((1, 26), np.nan))
