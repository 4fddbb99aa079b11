"""From the joint envelope to beats, and what is before and after each."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.features.batched.beats import find_beats
from physioclr.features.batched.coarse import RATE, Coarse, coarse


def with_bumps(places: list[list[int]], height: float = 1.0, size: int = 625) -> Coarse:
    """Envelopes of 5 s with a bump at each of these places."""
    envelope = np.zeros((len(places), size))
    for row, at in zip(envelope, places, strict=True):
        for place in at:
            row += height * np.exp(-0.5 * ((np.arange(size) - place) / 4) ** 2)
    nothing = np.zeros((len(places), 1, size), dtype=np.float32)
    return Coarse(nothing, nothing, np.zeros((len(places), 1)), np.zeros((len(places), 1)), envelope)


@st.composite
def rhythms(draw: st.DrawFn) -> list[list[int]]:
    steps = st.lists(st.integers(25, 240), max_size=20)
    all_places = [np.cumsum([draw(st.integers(8, 200)), *draw(steps)]) for _ in range(draw(st.integers(1, 4)))]
    return [[int(place) for place in places if place < 610] for places in all_places]


@given(rhythms())
@settings(max_examples=50, deadline=None)
def test_every_beat_is_found_with_its_neighbours(places: list[list[int]]) -> None:
    found, _ = find_beats(with_bumps(places))
    assert found.segment.tolist() == [i for i, at in enumerate(places) for _ in at]
    assert found.at.tolist() == [place for at in places for place in at]
    beat = 0
    for at in places:
        steps = [later - earlier for earlier, later in pairwise(at)]
        typical = np.median(steps) if steps else RATE
        for i in range(len(at)):
            assert found.is_first[beat] == (i == 0)
            assert found.is_last[beat] == (i == len(at) - 1)
            assert found.rr_before[beat] == (steps[i - 1] if i > 0 else typical)
            assert found.rr_after[beat] == (steps[i] if i < len(steps) else typical)
            beat += 1


def test_what_is_less_than_four_tenths_of_a_beat_is_none() -> None:
    beats = with_bumps([[100, 200, 300, 400, 500]])
    for height, is_beat in ((0.35, False), (0.45, True)):
        extra = with_bumps([[250]], height)
        assert (250 in find_beats(replace(beats, envelope=beats.envelope + extra.envelope))[0].at) == is_beat


def test_of_two_within_160_ms_the_larger_is_the_beat() -> None:
    both = with_bumps([[100, 200, 300, 400, 500]]).envelope + with_bumps([[318]], 0.8).envelope
    assert find_beats(replace(with_bumps([[]]), envelope=both))[0].at.tolist() == [100, 200, 300, 400, 500]


@pytest.mark.parametrize("r", [0.004, 4.996])
def test_a_complex_cut_by_the_end_is_no_beat_of_the_middle(heart: Callable, r: float) -> None:
    """It may be found, but then at its side of the segment; the others are as they were."""
    whole = find_beats(coarse(heart(beats=np.array([1.0, 2.0, 3.0, 4.0])).signal[None]))[0].at
    cut = find_beats(coarse(heart(beats=np.array([1.0, 2.0, 3.0, 4.0, r])).signal[None]))[0].at
    extra = sorted(set(cut.tolist()) - set(whole.tolist()))
    assert set(whole.tolist()) <= set(cut.tolist())
    assert all(min(at, 624 - at) <= 8 for at in extra)


def test_beats_at_the_very_ends_are_kept_apart_and_know_their_neighbours() -> None:
    whole, cut = find_beats(with_bumps([[2, 100, 200, 300, 400, 500, 622]]))
    assert whole.at.tolist() == [100, 200, 300, 400, 500]
    assert whole.is_first.tolist() == [True, False, False, False, False]
    assert cut.at.min() < 3
    assert cut.at.max() >= 622
    assert cut.rr_after[0] == 100 - cut.at[0]
    assert cut.rr_before[1] == cut.at[1] - 500


def test_no_beats_and_no_segments() -> None:
    for none in (with_bumps([[], []]), with_bumps([])):
        found, _ = find_beats(none)
        for name in ("segment", "at", "rr_before", "rr_after", "is_first", "is_last"):
            assert getattr(found, name).shape == (0,)
