from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.sources.demo.conditions import Ectopy, Rhythm
from physioclr.sources.demo.history import RATES, Visit
from physioclr.sources.demo.rhythm import SHORTEST_RR, Beats, Kind, beats

SEEDS = st.integers(0, 2**32)


def make(seed: int, rhythm: Rhythm, ectopy: Ectopy = Ectopy.NONE, place: float = 0.5) -> Beats:
    slowest, fastest = RATES[rhythm]
    visit = Visit(rhythm, ectopy, slowest + place * (fastest - slowest), ())
    return beats(np.random.default_rng(seed), visit, breath=0.25, age=40)


def variation(seen: Beats) -> float:
    return float(np.std(seen.rr) / np.mean(seen.rr))


@given(SEEDS, st.sampled_from(Rhythm), st.sampled_from(Ectopy), st.floats(0.0, 1.0))
@settings(max_examples=200, deadline=None)
def test_beats_go_on_through_the_recording(seed: int, rhythm: Rhythm, ectopy: Ectopy, place: float) -> None:
    if ectopy is not Ectopy.NONE and rhythm is Rhythm.TACHYCARDIA:
        ectopy = Ectopy.NONE  # a history never asks for that
    seen = make(seed, rhythm, ectopy, place)
    assert np.allclose(np.diff(seen.times), seen.rr[1:])
    assert seen.rr.min() >= SHORTEST_RR - 1e-9
    assert seen.times[0] < 0.0
    assert seen.times[-1] > 10.7
    inside = (seen.times > 0.5) & (seen.times < 9.5)
    assert (np.count_nonzero(seen.kind[inside] != Kind.SINUS) > 0) == (ectopy is not Ectopy.NONE)


@pytest.mark.parametrize("rhythm", [rhythm for rhythm in Rhythm if rhythm is not Rhythm.FIBRILLATION])
def test_sinus_rhythms_keep_their_rate(rhythm: Rhythm) -> None:
    rate = 0.5 * sum(RATES[rhythm])
    assert 60.0 / np.mean([make(seed, rhythm).rr.mean() for seed in range(20)]) == pytest.approx(rate, rel=0.02)


def test_fibrillation_is_irregular_and_sinus_rhythm_is_not() -> None:
    regular = [variation(make(seed, rhythm)) for seed in range(20) for rhythm in (Rhythm.SINUS, Rhythm.TACHYCARDIA)]
    breathing = [variation(make(seed, Rhythm.ARRHYTHMIA)) for seed in range(20)]
    irregular = [variation(make(seed, Rhythm.FIBRILLATION)) for seed in range(20)]
    assert max(regular) < 0.06 < min(breathing)
    assert min(irregular) > 0.11


def test_the_breath_orders_sinus_arrhythmia_but_nothing_orders_fibrillation() -> None:
    def persistence(seen: Beats) -> float:
        return float(np.corrcoef(seen.rr[1:-1], seen.rr[2:])[0, 1])

    breathing = np.mean([persistence(make(seed, Rhythm.ARRHYTHMIA)) for seed in range(30)])
    fibrillating = np.mean([persistence(make(seed, Rhythm.FIBRILLATION)) for seed in range(30)])
    assert breathing > 0.15
    assert abs(fibrillating) < 0.1


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_ventricular_beats_come_early_and_their_pause_makes_up_for_it(seed: int) -> None:
    seen = make(seed, Rhythm.SINUS, Ectopy.VENTRICULAR)
    usual = float(np.median(seen.rr))
    for beat in np.flatnonzero(seen.kind == Kind.VENTRICULAR):
        assert seen.rr[beat] < 0.85 * usual
        assert seen.rr[beat] + seen.rr[beat + 1] == pytest.approx(2 * usual, rel=0.15)


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_atrial_beats_come_early_and_reset_the_sinus_node(seed: int) -> None:
    seen = make(seed, Rhythm.SINUS, Ectopy.ATRIAL)
    usual = float(np.median(seen.rr))
    for beat in np.flatnonzero(seen.kind == Kind.ATRIAL):
        assert seen.rr[beat] < 0.85 * usual
        assert usual * 0.9 < seen.rr[beat + 1] < 1.35 * usual
        assert seen.rr[beat] + seen.rr[beat + 1] < 1.95 * usual
