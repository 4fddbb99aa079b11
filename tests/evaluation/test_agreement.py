from __future__ import annotations

import math

import numpy as np
import pytest

from physioclr.evaluation.agreement import END_MS, REASONS, Beats, compare_beats, limits_of_agreement

DURATION = 5000.0


def compare(values: list[float], reference: list[float], leads: int = 12) -> Beats:
    return compare_beats(np.array(values), np.array(reference), DURATION, 20.0, lambda _: leads)


def test_limits_are_those_of_bland_and_altman() -> None:
    values, reference = [10.0, 21.0, 29.0, math.nan, 50.0], [8.0, 20.0, 30.0, 40.0, math.nan]
    differences = [2.0, 1.0, -1.0]
    mean = sum(differences) / 3
    spread = math.sqrt(sum((one - mean) ** 2 for one in differences) / 2)
    seen = limits_of_agreement(np.array(values), np.array(reference))
    assert seen.count == 3
    assert seen.bias == pytest.approx(mean)
    assert seen.low == pytest.approx(mean - 1.96 * spread)
    assert seen.high == pytest.approx(mean + 1.96 * spread)
    assert seen.correlation == pytest.approx(np.corrcoef(values[:3], reference[:3])[0, 1])


def test_what_cannot_be_said_is_nan() -> None:
    nothing = limits_of_agreement(np.array([math.nan]), np.array([1.0]))
    assert nothing.count == 0
    assert math.isnan(nothing.bias)
    one = limits_of_agreement(np.array([3.0]), np.array([1.0]))
    assert one.bias == 2.0
    assert math.isnan(one.high)
    constant = limits_of_agreement(np.array([3.0, 3.0]), np.array([1.0, 2.0]))
    assert math.isnan(constant.correlation)
    assert constant.bias == pytest.approx(1.5)


def test_beats_of_both_are_matched_within_the_tolerance() -> None:
    seen = compare([1000.0, 2020.0, 3021.0], [1005.0, 2000.0, 3000.0])
    assert sorted(seen.all.errors.tolist()) == [-5.0, 20.0]
    assert (seen.all.missed, seen.all.false) == (1, 1)
    assert seen.only_values["place"] == seen.only_reference["place"] == 1


@pytest.mark.parametrize(
    ("time", "leads", "reason"),
    [
        (END_MS, 12, "start"),
        (END_MS + 1, 12, "seen"),
        (DURATION - END_MS, 12, "end"),
        (DURATION - END_MS - 1, 6, "unseen"),
        (2080.0, 12, "place"),
        (2081.0, 7, "seen"),
        (2081.0, 6, "unseen"),
    ],
)
def test_the_reason_of_a_beat_that_the_other_has_not(time: float, leads: int, reason: str) -> None:
    both = [2000.0, 3000.0]
    ours = compare([*both, time], both, leads)
    theirs = compare(both, [*both, time], leads)
    nothing = dict.fromkeys(REASONS, 0)
    assert ours.only_values == nothing | {reason: 1}
    assert theirs.only_reference == nothing | {reason: 1}
    assert ours.only_reference == theirs.only_values == nothing
    assert ours.inside.false == theirs.inside.missed == (reason not in ("start", "end"))
    assert ours.all.false == theirs.all.missed == 1


def test_leads_are_not_looked_at_where_the_engines_agree() -> None:
    def never(_: float) -> int:
        raise AssertionError

    compare_beats(np.array([100.0, 1000.0, 2000.0]), np.array([1010.0, 2060.0, 4900.0]), DURATION, 20.0, never)


def test_a_segment_without_beats_of_one_engine() -> None:
    seen = compare([], [1000.0, 2000.0], leads=12)
    assert (seen.all.missed, seen.all.false) == (2, 0)
    assert seen.only_reference["seen"] == 2
