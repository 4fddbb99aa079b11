from __future__ import annotations

import math

import numpy as np
import pytest

from physioclr.evaluation import waves
from physioclr.evaluation.waves import POINTS, Points
from physioclr.features.delineation import WAVES, Delineation

NAN = math.nan


def points(**times: list[float]) -> Points:
    """Points by name with underscores; the others are missing."""
    beats = max(len(of) for of in times.values())
    return {name: np.array(times.get(name.replace(" ", "_"), [NAN] * beats)) for name in POINTS}


def test_points_of_a_segment_are_in_ms_and_each_has_its_own_name() -> None:
    found = {wave: np.array([number, NAN]) for number, wave in enumerate(WAVES)}
    one = Delineation(segment=np.zeros(2, np.int64), r_peaks=np.array([100, 200]), status=("ok",), **found)
    seen = waves.points_of(one, fs=250)
    assert tuple(seen) == POINTS
    assert seen["QRS peak"].tolist() == [400.0, 800.0]
    for number, wave in enumerate(WAVES):
        letters, place = wave.split("_")
        assert seen[f"{letters.upper()} {place}"][0] == number * 4.0
    assert np.isnan(seen["T offset"][1])


def test_only_the_annotated_span_is_judged() -> None:
    annotated = points(QRS_peak=[2000.0, 3000.0], P_onset=[1800.0, NAN], T_offset=[2400.0, 3400.0])
    assert waves.annotated_span(annotated) == (1800.0, 3400.0)
    found = points(QRS_peak=[1000.0, 2010.0, 2500.0, 3010.0, 4000.0])
    seen = waves.score(annotated, found, 150.0)["QRS peak"]
    assert seen.errors.tolist() == [10.0, 10.0]
    assert (seen.missed, seen.false) == (0, 1)


def test_leads_are_pooled_by_their_counts() -> None:
    one = waves.score(points(T_peak=[100.0, 900.0]), points(T_peak=[110.0, NAN]), 50.0)
    other = waves.score(points(T_peak=[100.0, 900.0]), points(T_peak=[100.0, 904.0]), 50.0)
    pooled = waves.pool([one, other])["T peak"]
    assert sorted(pooled.errors.tolist()) == [0.0, 4.0, 10.0]
    assert pooled.missed == 1
    assert pooled.sensitivity == pytest.approx(3 / 4)


def test_who_finds_the_easy_waves_only_gains_nothing_on_common_points() -> None:
    annotated = points(T_peak=[0.0, 1000.0, 2000.0, 3000.0])
    thorough = points(T_peak=[1.0, 1003.0, 2040.0, 2940.0])
    choosy = points(T_peak=[2.0, 1006.0, NAN, NAN])
    alone = waves.score(annotated, thorough, 150.0)["T peak"].deviation
    common = waves.on_common_points([(annotated, thorough, choosy)], 150.0)["T peak"]
    assert common.points == 2
    assert common.one == pytest.approx(np.std([1.0, 3.0], ddof=1))
    assert common.other == pytest.approx(np.std([2.0, 6.0], ddof=1))
    assert common.one < common.other < alone


def test_common_points_of_several_leads_are_not_mixed_up() -> None:
    first = (points(P_peak=[100.0, 500.0]), points(P_peak=[110.0, 520.0]), points(P_peak=[101.0, NAN]))
    second = (points(P_peak=[100.0, 500.0]), points(P_peak=[NAN, 530.0]), points(P_peak=[102.0, 503.0]))
    common = waves.on_common_points([first, second], 150.0)["P peak"]
    assert common.points == 2
    assert common.one == pytest.approx(np.std([10.0, 30.0], ddof=1))
    assert common.other == pytest.approx(np.std([1.0, 3.0], ddof=1))
    assert math.isnan(waves.on_common_points([first], 150.0)["T peak"].one)


def test_reported_p_waves_are_counted_by_beats_inside_the_span() -> None:
    annotated = points(QRS_peak=[1000.0, 2000.0, 3000.0])
    found = points(QRS_peak=[500.0, 1000.0, 2000.0, 3000.0], P_peak=[400.0, 900.0, NAN, 2900.0])
    assert waves.p_waves(annotated, found) == (2, 3)


def test_every_recording_is_in_one_fold() -> None:
    dealt = waves.folds(13, 5)
    assert len(dealt) == 5
    assert sorted(np.concatenate(dealt).tolist()) == list(range(13))
    assert {len(fold) for fold in dealt} == {2, 3}


def test_ranges_go_over_folds_that_have_a_value() -> None:
    annotated = points(P_peak=[100.0, 900.0])
    good = waves.score(annotated, points(P_peak=[100.0, 910.0]), 50.0)
    poor = waves.score(annotated, points(P_peak=[100.0, NAN]), 50.0)
    seen = waves.ranges([good, poor])
    assert seen["P peak"]["f1"] == (pytest.approx(2 / 3), 1.0)
    assert seen["P peak"]["deviation"] == (pytest.approx(np.std([0.0, 10.0], ddof=1)),) * 2
    assert all(math.isnan(end) for end in seen["T peak"]["f1"])
