"""Matching compared with a plain loop over all pairs of points."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from physioclr.evaluation.fiducials import NONE, Matches, match, pair

# whole and half numbers: distances are exact, so that ties and tolerances are met on the point
TIMES = st.lists(st.integers(0, 80).map(lambda n: n / 2) | st.just(math.nan), max_size=12)


def slow_match(
    annotated: list[float], found: list[float], tolerance: float, span: tuple[float, float] | None
) -> tuple[list[float], int, int]:
    """Errors by annotated time, missed, false: loops over every pair, as the module's first lines say it."""
    truth = sorted({time for time in annotated if not math.isnan(time)})
    points = sorted({time for time in found if not math.isnan(time)})
    errors, used = [], set()
    for t in truth:
        nearest_point = min(points, key=lambda p: (abs(p - t), p), default=None)
        if nearest_point is None:
            continue
        nearest_truth = min(truth, key=lambda other: (abs(nearest_point - other), other))
        if nearest_truth == t and abs(nearest_point - t) <= tolerance:
            errors.append(nearest_point - t)
            used.add(nearest_point)
    false = 0
    for p in points:
        if p not in used and (span is None or span[0] <= p <= span[1]):
            false += 1
    return errors, len(truth) - len(errors), false


@given(
    TIMES,
    TIMES,
    st.integers(0, 40).map(lambda n: n / 4),
    st.none() | st.tuples(st.integers(0, 20), st.integers(15, 40)),
)
def test_it_is_what_loops_over_all_pairs_give(
    annotated: list[float], found: list[float], tolerance: float, span: tuple[float, float] | None
) -> None:
    seen = match(np.array(annotated), np.array(found), tolerance, span)
    errors, missed, false = slow_match(annotated, found, tolerance, span)
    assert seen.errors.tolist() == errors
    assert (seen.missed, seen.false) == (missed, false)


@given(TIMES, TIMES, st.integers(0, 40).map(lambda n: n / 4))
def test_every_point_is_counted_once(annotated: list[float], found: list[float], tolerance: float) -> None:
    errors, spare = pair(np.array(annotated), np.array(found), tolerance)
    truth = np.unique([time for time in annotated if not math.isnan(time)])
    points = {time for time in found if not math.isnan(time)}
    matched = (truth + errors)[~np.isnan(errors)]
    assert len(errors) == len(truth)
    assert {*matched.tolist(), *spare.tolist()} == points
    assert len(matched) + len(spare) == len(points)


def test_one_found_point_serves_one_annotated_point_only() -> None:
    seen = match(np.array([100.0, 130.0]), np.array([110.0]), 150.0)
    assert seen.errors.tolist() == [10.0]
    assert (seen.missed, seen.false) == (1, 0)


def test_of_two_equally_near_points_the_earlier_counts() -> None:
    assert match(np.array([100.0]), np.array([90.0, 110.0]), 50.0).errors.tolist() == [-10.0]
    assert match(np.array([90.0, 110.0]), np.array([100.0]), 50.0).errors.tolist() == [10.0]


def test_the_tolerance_is_inclusive() -> None:
    assert match(np.array([0.0]), np.array([150.0]), 150.0).errors.tolist() == [150.0]
    assert match(np.array([0.0]), np.array([150.5]), 150.0).missed == 1


def test_a_point_outside_the_annotated_span_is_not_false_and_may_still_match() -> None:
    annotated, found = np.array([500.0, 900.0]), np.array([100.0, 480.0, 700.0, 900.0, 1400.0])
    seen = match(annotated, found, 50.0, (500.0, 900.0))
    assert seen.errors.tolist() == [-20.0, 0.0]
    assert (seen.missed, seen.false) == (0, 1)
    assert match(annotated, found, 50.0).false == 3


def test_the_shares_have_their_usual_meaning() -> None:
    seen = Matches(np.array([2.0, 4.0, 6.0]), missed=1, false=2)
    assert seen.sensitivity == pytest.approx(3 / 4)
    assert seen.precision == pytest.approx(3 / 5)
    assert seen.f1 == pytest.approx(2 * (3 / 4) * (3 / 5) / (3 / 4 + 3 / 5))
    assert seen.mean_error == pytest.approx(4.0)
    assert seen.deviation == pytest.approx(2.0)


def test_what_cannot_be_said_is_nan() -> None:
    for name in ("sensitivity", "precision", "f1", "mean_error", "deviation"):
        assert math.isnan(getattr(NONE, name)), name
    nothing_found = match(np.array([1.0]), np.array([]), 1.0)
    assert nothing_found.sensitivity == 0.0
    assert nothing_found.f1 == 0.0
    assert math.isnan(nothing_found.precision)


def test_counts_of_several_leads_add_up() -> None:
    merged = Matches(np.array([1.0]), 2, 3).merge(Matches(np.array([4.0, 5.0]), 6, 7))
    assert merged.errors.tolist() == [1.0, 4.0, 5.0]
    assert (merged.missed, merged.false) == (8, 10)
