"""How far a lead and a segment can be trusted."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.features.batched import quality
from physioclr.features.batched.beats import Beats, find_beats
from physioclr.features.batched.coarse import Coarse, coarse


def leads_of(segments: np.ndarray) -> np.ndarray:
    found = coarse(segments)
    return quality.lead_quality(found, find_beats(found)[0])


@st.composite
def beats_somewhere(draw: st.DrawFn) -> list[list[int]]:
    row = st.lists(st.integers(0, 199), min_size=0, max_size=5, unique=True).map(sorted)
    return draw(st.lists(row, min_size=1, max_size=3))


@given(st.integers(0, 2**32 - 1), beats_somewhere())
@settings(max_examples=50, deadline=None)
def test_the_share_that_repeats_itself(seed: int, places: list[list[int]]) -> None:
    """1 - c / (c - 1) of the part of the windows' energy that is not the mean window's, in each lead alone."""
    smooth = np.random.default_rng(seed).normal(size=(len(places), 2, 200))
    smooth[:, 1] += np.sin(np.arange(200) / 9)
    segment = np.array([i for i, row in enumerate(places) for _ in row], dtype=np.int64)
    at = np.array([place for row in places for place in row], dtype=np.int64)
    first = np.array([k == 0 for row in places for k in range(len(row))], dtype=bool)
    last = np.array([k == len(row) - 1 for row in places for k in range(len(row))], dtype=bool)
    beats = Beats(segment, at, at * 1.0, at * 1.0, first, last)
    nothing = np.zeros((len(places), 2))
    found = quality._repeating(Coarse(smooth, smooth.copy(), nothing, nothing, nothing), beats)
    for i, row in enumerate(places):
        for lead in range(2):
            windows = []
            for place in row:  # from 200 ms before to 300 ms after, every 16 ms
                values = [smooth[i, lead, min(max(place - 25 + step, 0), 199)] for step in range(0, 62, 2)]
                windows.append([value - sum(values) / len(values) for value in values])
            if len(windows) < 2:
                assert found[i, lead] == 0.0
                continue
            mean = [sum(column) / len(windows) for column in zip(*windows, strict=True)]
            whole = sum(value**2 for window in windows for value in window)
            rest = sum(
                (value - typical) ** 2 for window in windows for value, typical in zip(window, mean, strict=True)
            )
            share = 1 - rest / whole * len(windows) / (len(windows) - 1)
            assert found[i, lead] == pytest.approx(min(max(share, 0.0), 1.0), abs=1e-9)


def test_worse_with_noise_in_every_lead_and_at_every_step(heart: Callable) -> None:
    clean = heart(noise=0.0).signal
    noise = np.random.default_rng(0).normal(size=clean.shape) * np.abs(clean).max(axis=1, keepdims=True)
    leads = leads_of(np.stack([clean + level * noise for level in (0.0, 0.03, 0.1, 0.3, 1.0)]))
    assert (leads[0] > 0.9).all()
    assert (leads[-1] < 0.35).all()
    assert (np.diff(leads, axis=0) < 0).all()
    assert ((leads >= 0) & (leads <= 1)).all()


def test_the_segment_is_as_good_as_its_worst_lead_and_usable_while_most_leads_are(heart: Callable) -> None:
    segment = heart().signal
    noise = np.random.default_rng(0).normal(size=segment.shape)
    for bad in range(1, 13):
        leads = leads_of(np.where(np.arange(12)[:, None] < bad, noise, segment)[None])
        assert quality.segment_quality(leads)[0] == leads.min()
        assert leads.argmin() < bad
        if bad <= 5:
            assert not quality.is_unusable(leads)[0]
        if bad >= 7:
            assert quality.is_unusable(leads)[0]


@pytest.mark.parametrize("mains", [50.0, 60.0])
def test_the_mains_repeat_themselves_and_are_no_heart(mains: float) -> None:
    phase = np.random.default_rng(0).uniform(0, 2 * np.pi, (64, 12, 1))
    leads = leads_of(np.sin(2 * np.pi * mains * np.arange(2500) / 500 + phase))
    assert leads.max() < 0.1


@pytest.mark.parametrize("rate", [200, 240])
def test_a_racing_heart_is_no_mains(heart: Callable, rate: int) -> None:
    """Even where its QRS complexes hardly stand out, because there is nothing else."""
    assert not quality.is_unusable(leads_of(heart(rate=rate).signal[None]))[0]


def test_a_lead_without_signal_has_nothing(heart: Callable) -> None:
    segment = heart().signal
    segment[3], segment[5, 9] = 1.0, np.nan
    leads = leads_of(segment[None])[0]
    assert leads[3] == leads[5] == 0.0
    assert (np.delete(leads, [3, 5]) > 0.7).all()
