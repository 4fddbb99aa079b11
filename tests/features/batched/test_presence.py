"""Whether there is a P wave: each measure against a loop over beats, and hearts with and without one."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.features.batched import presence
from physioclr.features.batched.beats import Beats, find_beats
from physioclr.features.batched.coarse import coarse
from physioclr.features.batched.joint import find_waves

SEEDS = st.integers(0, 2**32 - 1)
LEADS, SIZE = 2, 200


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
    row = st.lists(st.integers(0, SIZE - 1), min_size=0, max_size=5, unique=True).map(sorted)
    return draw(st.lists(row, min_size=1, max_size=3))


@given(SEEDS, beats_somewhere(), st.integers(-40, 10), st.integers(1, 40))
@settings(max_examples=50, deadline=None)
def test_likeness(seed: int, places: list[list[int]], before: int, width: int) -> None:
    """Cosine of a beat's window, all leads in a row, with the sum of the others' after each has length 1."""
    curve = np.random.default_rng(seed).normal(size=(len(places), 2, 200)).astype(np.float32)
    curve[:, :, 150:] = 0.0  # windows without anything in them
    beats = make_beats(places)
    found = presence.likeness(curve, beats, beats.at + before, width)
    windows: list[list[np.ndarray]] = []
    for i, row in enumerate(places):
        windows.append([])
        for at in row:
            index = [min(max(t, 0), 199) for t in range(at + before, at + before + width)]
            values = np.array([[curve[i, lead, t] for t in index] for lead in range(2)], dtype=np.float64)
            length = np.sqrt((values**2).sum())
            windows[-1].append(values / length if length > 0 else values)
    beat = 0
    for row in windows:
        for k, own in enumerate(row):
            others = sum((other for j, other in enumerate(row) if j != k), np.zeros_like(own))
            length = np.sqrt((others**2).sum())
            if len(row) == 1:
                assert np.isnan(found[beat])
            elif length > 1e-3:  # two opposite ones cancel to nothing but rounding
                assert found[beat] == pytest.approx((own * others).sum() / length, abs=1e-3)
            beat += 1


@given(SEEDS, st.integers(9, 60))
@settings(max_examples=50, deadline=None)
def test_period(seed: int, cycle: int) -> None:
    """The largest autocorrelation over all leads at one of the cycles, over the energy."""
    t = np.arange(100)
    half = np.random.default_rng(seed).normal(size=(2, LEADS, 100)) + np.sin(2 * np.pi * t / cycle)
    half = half.astype(np.float32)
    half[1] = 0.0
    found = presence.period(half)
    again = [
        sum(half[0, k, h] * half[0, k, h - lag] for k in range(LEADS) for h in range(lag, 100)) for lag in range(9, 17)
    ]
    assert found[0] == pytest.approx(max(0.0, *again) / (half[0] ** 2).sum(), abs=1e-4)
    assert found[1] == 0.0


@given(SEEDS, beats_somewhere(), st.integers(-30, 5), st.integers(0, 40))
@settings(max_examples=50, deadline=None)
def test_another(seed: int, places: list[list[int]], before: int, after: int) -> None:
    """2ab / (aa + bb) of the mean wave with what comes a cycle later: the best cycle of each beat, the median beat."""
    half = np.random.default_rng(seed).normal(size=(len(places), LEADS, SIZE // 2)).astype(np.float32)
    beats = make_beats(places)
    found = presence.another(half, beats, beats.at + after, np.maximum(beats.at + before, -1))
    for i, row in enumerate(places):
        peaks = [max(at + before, -1) // 2 for at in row]
        waves = [half[i, :, p - 4 : p + 5] for p in peaks if 4 <= p < SIZE // 2 - 4]
        values = []
        for at, p in zip(row, peaks, strict=True):
            mean = sum(waves) / max(len(waves), 1)
            others = [
                half[i, :, p + lag - 4 : p + lag + 5]
                for lag in range(8, 17)
                if p >= 4 and (p + lag) * 2 > at + after + 4 and p + lag < SIZE // 2 - 4
            ]
            if others:
                values.append(max(2 * (mean * b).sum() / ((mean**2).sum() + (b**2).sum()) for b in others))
        assert found[i] == pytest.approx(max(np.median(values), 0.0) if values else 0.0, abs=1e-4)


@given(SEEDS, beats_somewhere(), st.booleans())
@settings(max_examples=50, deadline=None)
def test_sharpness(seed: int, places: list[list[int]], spikes: bool) -> None:
    """Energy of the second difference where it is largest, less four times its mean elsewhere, over the wave's."""
    rng = np.random.default_rng(seed)
    places = [[at for at in row if 10 <= at < SIZE - 10] for row in places]
    lines = rng.normal(size=(len(places), LEADS, SIZE)).astype(np.float32)
    energy = rng.uniform(0.5, 2.0, size=(len(places), SIZE)).astype(np.float32)
    beats = make_beats(places)
    if spikes:
        lines[beats.segment, :, beats.at + 3] += 20.0
    found = presence.sharpness(lines, energy, beats, beats.at)
    for i, row in enumerate(places):
        values = []
        for at in row:
            second = [
                ((2 * lines[i, :, t] - lines[i, :, t - 1] - lines[i, :, t + 1]) ** 2).sum()
                for t in range(at - 7, at + 8)
            ]
            best = int(np.argmax(second))
            rest = np.mean([value for k, value in enumerate(second) if abs(k - best) > 2])
            values.append(np.sqrt(max(second[best] - 4 * rest, 0.0) / energy[i, at - 6 : at + 7].sum()))
        if row:
            assert found[i] == pytest.approx(np.median(values), abs=1e-3)
        else:
            assert np.isnan(found[i])


def share_with_p(signal: np.ndarray) -> float:
    """Of the beats of one segment [L, T], those with a P wave."""
    found = coarse(signal[None].astype(np.float32))
    return float((find_waves(found, find_beats(found)[0]).p_peak >= 0).mean())


def irregular(rng: np.random.Generator, spread: float) -> np.ndarray:
    return 0.5 + np.cumsum(np.maximum(rng.normal(0.7, spread * 0.7, 9), 0.35))


def atrium(rng: np.random.Generator, rate: float, jitter: float, height: float = 0.15) -> np.ndarray:
    """Waves of an atrium that beats `rate` times a minute on its own, pointed as those of flutter: [12, 2500]."""
    cycles = 60 / rate * (1 + jitter * rng.normal(size=60))
    t = np.arange(2500) / 500
    at = np.cumsum(cycles)
    waves = sum(np.exp(-0.5 * ((t - place) / 0.03) ** 2) for place in at)
    return height * np.array([0.3, 1.0, 0.8, -0.6, -0.3, 0.9, 1.0, 0.5, 0.3, 0.2, 0.2, 0.2])[:, None] * waves


def test_a_fibrillating_atrium_has_no_p_waves(heart: Callable) -> None:
    shares = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        made = heart(beats=irregular(rng, 0.2), p_height=0.0, noise=0.01, seed=seed)
        shares.append(share_with_p(made.signal + atrium(rng, 380, 0.15, 0.06)))
    assert np.median(shares) == 0.0
    assert np.mean(shares) < 0.2


@pytest.mark.parametrize(("rate", "conducted"), [(300, [4]), (300, [2, 3, 4])])
def test_flutter_waves_are_no_p_waves(
    heart: Callable, monkeypatch: pytest.MonkeyPatch, rate: int, conducted: list[int]
) -> None:
    """They recur before every QRS complex as P waves do, and go on behind it."""
    rng = np.random.default_rng(0)
    beats = 0.3 + np.cumsum(rng.choice(conducted, 20)) * 60 / rate
    made = heart(beats=beats, rate=rate / np.mean(conducted), p_height=0.0, noise=0.01)
    signal = made.signal + atrium(rng, rate, 0.0)
    assert share_with_p(signal) == 0.0
    monkeypatch.setattr(presence, "_OF_PERIOD", 0.0)
    monkeypatch.setattr(presence, "_OF_ANOTHER", 0.0)
    assert share_with_p(signal) > 0.5


@pytest.mark.parametrize("rate", [40, 60, 100, 150])
def test_sinus_rhythm_keeps_its_p_waves(heart: Callable, rate: int) -> None:
    assert share_with_p(heart(rate=rate, noise=0.01).signal) == 1.0


@pytest.mark.parametrize("early", [0.0, 0.25])
def test_an_irregular_sinus_rhythm_keeps_its_p_waves(heart: Callable, early: float) -> None:
    """Breathing changes the pace by a fifth either way, and one beat is early."""
    for seed in range(5):
        rr = 0.8 * (1 + 0.2 * np.sin(2 * np.pi * np.arange(9) / 5 + seed))
        beats = 0.4 + np.cumsum(rr)
        beats[3] -= early * rr[3]
        assert share_with_p(heart(beats=beats, noise=0.01, seed=seed).signal) == 1.0


@pytest.mark.parametrize("before", [0.15, 0.2])
def test_the_spike_of_a_pacemaker_is_no_p_wave(heart: Callable, monkeypatch: pytest.MonkeyPatch, before: float) -> None:
    made = heart(p_height=0.0, noise=0.01)
    signal = made.signal.copy()
    for r in made.r:
        at = round((r - before) * 500)
        signal[:, at : at + 2] += 1.0
    assert share_with_p(signal) == 0.0
    monkeypatch.setattr(presence, "_SPIKE", np.inf)
    assert share_with_p(signal) == 1.0
