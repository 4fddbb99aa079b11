"""Waves in all leads together, each step against a loop over beats."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.features.batched import joint
from physioclr.features.batched.beats import Beats, find_beats
from physioclr.features.batched.coarse import coarse

SEEDS = st.integers(0, 2**32 - 1)


def make_beats(places: list[list[int]]) -> Beats:
    """Beats at these coarse places of each segment; a second before and after each."""
    flat = [(i, at, beat) for i, row in enumerate(places) for beat, at in enumerate(row)]
    segment, at = (np.array([entry[k] for entry in flat], dtype=np.int64) for k in (0, 1))
    is_first = np.array([beat == 0 for _, _, beat in flat], dtype=bool)
    is_last = np.array([beat == len(places[i]) - 1 for i, _, beat in flat], dtype=bool)
    second = np.full(len(flat), 125.0)
    return Beats(segment, at, second, second, is_first, is_last)


@st.composite
def beats_somewhere(draw: st.DrawFn) -> list[list[int]]:
    row = st.lists(st.integers(0, 199), min_size=0, max_size=5, unique=True).map(sorted)
    return draw(st.lists(row, min_size=1, max_size=3))


def flat(places: list[list[int]]) -> list[tuple[int, int]]:
    return [(i, at) for i, row in enumerate(places) for at in row]


@given(SEEDS, st.lists(st.tuples(st.integers(0, 1), st.integers(-5, 62), st.integers(0, 15)), max_size=5))
@settings(max_examples=50, deadline=None)
def test_without_qrs(seed: int, cuts: list[tuple[int, int, int]]) -> None:
    lines = np.random.default_rng(seed).normal(size=(2, 3, 60))
    cuts = sorted(cuts)
    segment, onset, length = (np.array([cut[k] for cut in cuts], dtype=np.int64) for k in range(3))
    found = joint.without_qrs(lines, segment, onset, onset + length)
    one_lead = joint.without_qrs(lines[:, 0], segment, onset, onset + length)
    expected = lines.copy()
    for i, start, width in cuts:
        first, last = min(max(start, 0), 59), min(max(start + width, 0), 59)
        for t in range(first, last + 1):
            share = (t - first) / max(last - first, 1)
            expected[i, :, t] = lines[i, :, first] + share * (lines[i, :, last] - lines[i, :, first])
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(one_lead, expected[:, 0], atol=1e-12)


@given(SEEDS, beats_somewhere(), st.integers(1, 40))
@settings(max_examples=50, deadline=None)
def test_search(seed: int, places: list[list[int]], width: int) -> None:
    """Where a beat's own energy and that of the segment's mean curve are highest together, from start to stop."""
    rng = np.random.default_rng(seed)
    curve = joint._zero_ended(rng.normal(size=(len(places), 2, 200)))
    beats = make_beats(places)
    base = beats.at - 10
    start, stop = base + rng.integers(-3, width, len(base)), base + rng.integers(0, width + 5, len(base))
    found = joint._search(curve, joint._energy(curve), beats, base, start, stop, width)
    for beat, (i, at) in enumerate(flat(places)):
        best, highest = -1, -np.inf
        for column in range(width):
            t = at - 10 + column
            if not (0 <= t < 200 and start[beat] <= t <= stop[beat]):
                continue
            others = [min(max(other - 10 + column, 0), 199) for other in places[i]]
            energy = 0.0
            for lead in range(2):
                mean = sum(curve[i, lead, place] for place in others) / len(others)
                energy += curve[i, lead, t] ** 2 + mean**2
            if energy > highest:
                best, highest = t, energy
        assert found[beat] == (best if highest > 0 and 2 <= best < 198 else -1)


def test_what_is_beyond_the_end_adds_nothing() -> None:
    curve = joint._zero_ended(np.ones((1, 2, 20), dtype=np.float32))
    assert not curve[..., [0, -1]].any()
    assert curve[..., 1:-1].all()


def test_no_beats_have_no_waves() -> None:
    found = coarse(np.zeros((2, 12, 2500)))
    waves = joint.find_waves(found, find_beats(found)[0])
    for name in ("qrs_onset", "qrs_offset", "t_peak", "p_peak"):
        assert getattr(waves, name).shape == (0,)


@pytest.mark.parametrize("rate", [40, 75, 110])
def test_waves_are_where_the_heart_has_them(heart: Callable, rate: int) -> None:
    made = heart(rate=rate)
    found = coarse(made.signal[None])
    beats = find_beats(found)[0]
    waves = joint.find_waves(found, beats)
    middle = (beats.at + 0.5) * 0.008
    inner = (middle > 0.4) & (middle < 4.4)
    r = np.array([made.r[np.abs(made.r - place).argmin()] for place in middle])
    for name in ("p_peak", "qrs_onset", "qrs_offset", "t_peak"):
        error = (getattr(waves, name) + 0.5) * 0.008 - r - made.waves[name]
        assert np.abs(error[inner]).max() < 0.025, name


def test_a_p_wave_must_recur(heart: Callable) -> None:
    """In the same shape before every QRS complex; waves that are anywhere are none."""
    r = np.arange(0.5, 5.0, 0.75)
    rng = np.random.default_rng(0)
    t = np.arange(2500) / 500

    def share(places: np.ndarray) -> float:
        signal = heart(beats=r, p_height=0.0, noise=0.003).signal
        for place in places:
            signal += 0.15 * np.exp(-0.5 * ((t - place) / 0.02) ** 2) * rng.choice([-1, 1], (12, 1)) ** int(wild)
        found = coarse(signal[None])
        return float((joint.find_waves(found, find_beats(found)[0]).p_peak >= 0).mean())

    wild = False
    assert share(r - 0.16) == 1.0
    assert share(np.array([])) == 0.0
    wild = True
    assert share(r - rng.uniform(0.1, 0.25, len(r))) == 0.0


@pytest.mark.parametrize("height", [0.2, -0.2])
def test_a_p_wave_is_one_either_way_up(heart: Callable, height: float) -> None:
    found = coarse(heart(p_height=height).signal[None])
    assert (joint.find_waves(found, find_beats(found)[0]).p_peak >= 0).all()
