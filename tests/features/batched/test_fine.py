"""Peaks and bounds in the measured signal, each step against a loop over beats."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.features.batched import fine
from physioclr.features.batched.beats import Beats

SEEDS = st.integers(0, 2**32 - 1)
SIZE = 400


def smooth_noise(seed: int, segments: int = 2) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(segments, SIZE + 20))
    return np.array([np.convolve(row, np.ones(21), mode="valid") for row in noise])


def beats_at(segment: list[int], at: list[int]) -> Beats:
    """Beats whose neighbours are 800 ms away."""
    order = np.argsort(segment, kind="stable")
    segment_B, at_B = np.array(segment, dtype=np.int64)[order], np.array(at, dtype=np.int64)[order]
    is_first = np.append(True, np.diff(segment_B) > 0) if len(at) else np.zeros(0, dtype=bool)
    is_last = np.append(np.diff(segment_B) > 0, True) if len(at) else np.zeros(0, dtype=bool)
    apart = np.full(len(at), 100.0)
    return Beats(segment_B, at_B, apart, apart, is_first, is_last)


PEAKS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, SIZE - 1), st.sampled_from([-1.0, 1.0])), max_size=4)


def columns(rows: list[tuple], *types: type) -> list[np.ndarray]:
    return [np.array([row[k] for row in rows], dtype=kind) for k, kind in enumerate(types)]


@given(SEEDS, PEAKS, st.sampled_from([-1, 1]), st.integers(3, 70), st.integers(2, 60))
@settings(max_examples=50, deadline=None)
def test_bound(seed: int, peaks: list[tuple[int, int, float]], side: int, reach: int, steepest: int) -> None:
    """The trapezium has its parallel sides at the height of the steepest point and of the bound, both up to the end."""
    signal = smooth_noise(seed)
    segment, peak, sign = columns(peaks, np.int64, np.int64, np.float64)
    found = fine._bound(signal, segment, peak, sign, side, reach, steepest)
    for beat, (i, at, up) in enumerate(peaks):
        places = [min(max(at + side * column, 0), SIZE - 1) for column in range(reach)]
        flank = [signal[i, place] * up for place in places]
        falls = [flank[k] - flank[k + 1] for k in range(reach - 1)][:steepest]
        steep = falls.index(max(falls))
        best, largest = steep, -np.inf
        for k in range(steep, reach):
            upper, lower, height = (reach - 1) - steep, (reach - 1) - k, flank[steep] - flank[k]
            area = 0.5 * (upper + lower) * height
            if area > largest + 1e-9:
                best, largest = k, area
        assert found[beat] == places[best]


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_bound_is_where_the_wave_ends(side: int, sign: float) -> None:
    t = np.arange(SIZE)
    share = np.clip((t - 160) / 80, 0, 1)
    signal = sign * 0.5 * (1 - np.cos(2 * np.pi * share))[None]
    found = fine._bound(signal, np.zeros(1, np.int64), np.array([200]), np.array([sign]), side, 70, 50)
    assert found[0] == pytest.approx(200 + side * 40, abs=5)


@given(SEEDS, PEAKS, st.integers(0, 30))
@settings(max_examples=50, deadline=None)
def test_tip(seed: int, peaks: list[tuple[int, int, float]], reach: int) -> None:
    signal = smooth_noise(seed)
    segment, near, sign = columns(peaks, np.int64, np.int64, np.float64)
    found = fine._tip(signal, segment, near, sign, reach)
    for beat, (i, at, up) in enumerate(peaks):
        places = [t for t in range(at - reach, at + reach + 1) if 0 <= t < SIZE]
        assert found[beat] == max(places, key=lambda t: signal[i, t] * up)  # of equal ones the first


WAVES = st.lists(st.tuples(st.integers(0, 1), st.integers(0, SIZE - 1), st.booleans()), max_size=6)


@given(SEEDS, WAVES)
@settings(max_examples=50, deadline=None)
def test_extreme(seed: int, made: list[tuple[int, int, bool]]) -> None:
    """Beats without the wave have no say in where the others' is."""
    shape = fine._Shape(curve=6, search=5, refine=3, before=0, after=0, steepest=0)
    signal = smooth_noise(seed).astype(np.float32)
    curvature = fine.windows.curvature(signal, shape.curve)
    made = sorted(made, key=lambda row: row[0])
    segment, near, has_wave = columns(made, np.int64, np.int64, np.bool_)
    found, sign = fine._extreme(signal, beats_at(segment.tolist(), [0] * len(made)), near, has_wave, shape)

    def bent(i: int, place: int) -> float:
        return float(curvature[i, place]) if 0 <= place < SIZE else 0.0

    for beat, (i, at, has) in enumerate(made):
        if not has:
            continue
        others = [place for j, place, with_wave in made if j == i and with_wave]
        total = {
            step: bent(i, at + step) + sum(bent(i, place + step) for place in others) / len(others)
            for step in range(-5, 6)
            if 0 <= at + step < SIZE
        }
        step = max(total, key=lambda one: abs(total[one]))
        up = -1.0 if total[step] < 0 else 1.0
        places = [t for t in range(at + step - 3, at + step + 4) if 0 <= t < SIZE]
        assert sign[beat] == up
        assert found[beat] == max(places, key=lambda t: signal[i, t] * up)


@given(SEEDS, st.lists(st.tuples(st.integers(0, 2), st.integers(-60, 60), st.booleans()), max_size=8))
@settings(max_examples=50, deadline=None)
def test_steady(seed: int, made: list[tuple[int, int, bool]]) -> None:
    made = sorted(made, key=lambda row: row[0])
    segment, distance, there = columns(made, np.int64, np.int64, np.bool_)
    found = fine._steady(distance, there, beats_at(segment.tolist(), [0] * len(made)), 3)
    for beat, (i, own, known) in enumerate(made):
        others = [d for j, d, is_known in made if j == i and is_known]
        if known:
            assert found[beat] == np.rint(0.5 * own + 0.5 * np.median(others))
        else:
            assert np.isnan(found[beat])


def r_peak_of(signal: np.ndarray, onset: int, offset: int, middle: int) -> int:
    """Beats are 400 samples apart here, so an R peak is at most 194 from the middle of its complex."""
    onset, offset = max(onset, middle + 6 - 200), min(offset, middle - 6 + 200)
    first, last = (signal[min(max(t, 0), SIZE - 1)] for t in (onset, offset))
    best, up, down, steepest, fall = onset, -np.inf, -np.inf, onset, -np.inf
    for t in range(onset, offset + 1):
        if not 0 <= t < SIZE:
            continue
        above = signal[t] - (first + (last - first) * (t - onset) / max(offset - onset, 1))
        if above > up + 1e-12:
            best, up = t, above
        down = max(down, -above)
        if t >= 1 and t > onset and signal[t - 1] - signal[t] > fall + 1e-12:
            steepest, fall = t - 1, signal[t - 1] - signal[t]
    return min(max(best if up > 0.08 * (up + down) else steepest, 0), SIZE - 1)


COMPLEXES = st.lists(
    st.tuples(st.integers(0, 1), st.integers(3, 96), st.integers(2, 80), st.integers(2, 120)), max_size=4
)


@given(SEEDS, COMPLEXES, st.booleans())
@settings(max_examples=50, deadline=None)
def test_r_peaks(seed: int, complexes: list[tuple[int, int, int, int]], hanging: bool) -> None:
    signal = smooth_noise(seed)
    if hanging:  # below the line from onset to offset: no R wave
        signal = signal * 0.01 + 0.001 * (np.arange(SIZE) - 200.0) ** 2
    complexes = sorted(complexes)
    segment, at, before, after = columns(complexes, *[np.int64] * 4)
    middle = at * 4 + 2
    found = fine._r_peaks(signal, beats_at(segment.tolist(), at.tolist()), middle - before, middle + after)
    for beat, (i, place, early, late) in enumerate(complexes):
        centre = place * 4 + 2
        assert found[beat] == r_peak_of(signal[i], centre - early, centre + late, centre)


@given(SEEDS, st.integers(21, 60))
@settings(max_examples=50, deadline=None)
def test_two_beats_close_together_have_r_peaks_of_their_own(seed: int, apart: int) -> None:
    """The bounds of both may reach over the same highest point."""
    signal = smooth_noise(seed, 1)
    at = np.array([15, 15 + apart])
    step = np.full(2, float(apart))
    beats = Beats(np.zeros(2, np.int64), at, step, step, np.array([True, False]), np.array([False, True]))
    first, second = fine._r_peaks(signal, beats, at * 4 - 80, at * 4 + 120)
    assert second - first > 10  # a sample at 50 Hz


def test_the_r_peak_is_the_r_wave_and_not_a_raised_st_segment() -> None:
    t = np.arange(SIZE, dtype=np.float64)
    r_wave = np.exp(-0.5 * ((t - 100) / 5) ** 2)
    raised = 1.6 / (1 + np.exp(-(t - 118) / 3))
    beats = beats_at([0], [25])
    assert fine._r_peaks((r_wave + raised)[None], beats, np.array([80]), np.array([130]))[0] == pytest.approx(
        100, abs=3
    )


def test_qrs_bounds_are_half_way_between_the_signals_own_and_those_of_all_leads() -> None:
    t = np.arange(SIZE, dtype=np.float64)
    signal = np.exp(-0.5 * ((t - 202) / 6) ** 2)[None]
    beats = beats_at([0], [50])

    def bounds(onset: int, offset: int) -> tuple[int, int]:
        waves = fine.Waves(*(np.array([place]) for place in (onset, offset, -1, -1)))
        first, last = fine._qrs_bounds(signal, beats, waves)
        return int(first[0]), int(last[0])

    near, wide = bounds(46, 54), bounds(36, 64)
    assert near[0] - wide[0] == 20
    assert wide[1] - near[1] == 20
    assert 202 - near[0] == pytest.approx(near[1] - 202, abs=3)  # symmetric, as the wave is
    assert 12 <= near[1] - 202 <= 26
