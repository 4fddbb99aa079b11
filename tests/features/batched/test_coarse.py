"""Which lead has a say, and where beats stand out in all of them together."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.features.batched.coarse import RATE, coarse, local_maxima, typical_maximum


def typical_of(line: list[float]) -> float:
    """The largest value of each half second, of four in a row, and of these the one at 0.4 of their order."""
    starts = [start for start in range(0, len(line), 62) if start == 0 or len(line) - start > 31]
    blocks = [max(line[start:stop]) for start, stop in zip(starts, [*starts[1:], len(line)], strict=True)]
    width = min(4, len(blocks))
    ordered = sorted(max(blocks[i : i + width]) for i in range(len(blocks) - width + 1))
    return ordered[int(0.4 * (len(ordered) - 1))]


@given(st.integers(0, 2**32 - 1), st.integers(1, 1300))
@settings(max_examples=50, deadline=None)
def test_typical_maximum(seed: int, size: int) -> None:
    lines = np.random.default_rng(seed).normal(size=(2, 2, size))
    found = typical_maximum(lines)
    for i in range(2):
        for j in range(2):
            assert found[i, j] == typical_of(lines[i, j].tolist())


@pytest.mark.parametrize("rate", [30, 60, 240])
def test_the_typical_maximum_is_a_beats_height_at_any_rate_and_one_spike_is_none(rate: int) -> None:
    t = np.arange(5 * RATE) / RATE
    beats = sum(np.exp(-0.5 * ((t - r) / 0.03) ** 2) for r in np.arange(0.5, 5, 60 / rate))
    for place in range(0, len(t), 5):
        spiky = beats.copy()
        spiky[place] = 100.0
        assert typical_maximum(spiky) == pytest.approx(beats.max(), rel=0.1)


def maxima_of(line: list[float], reach: int) -> list[bool]:
    found = []
    for t, value in enumerate(line):
        before, after = line[max(t - reach, 0) : t], line[t + 1 : t + 1 + reach]
        found.append(value > 0 and all(value > other for other in before) and all(value >= other for other in after))
    return found


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.sampled_from([2, 4, 10, 20]), st.booleans())
@settings(max_examples=50, deadline=None)
def test_local_maxima(seed: int, size: int, reach: int, rounded: bool) -> None:
    lines = np.random.default_rng(seed).normal(size=(3, size))
    lines = np.round(lines) if rounded else lines  # with equal ones
    found = local_maxima(lines, reach)
    for row in range(3):
        assert found[row].tolist() == maxima_of(lines[row].tolist(), reach)


def test_leads_that_are_flat_missing_or_infinite_have_no_say(heart: Callable) -> None:
    segment = heart().signal
    segment[0], segment[1, 7], segment[2, 7], segment[3, 7] = 0.3, np.nan, np.inf, 1e30
    found = coarse(segment[None])
    assert not found.lines[0, :4].any()
    assert not found.gain[0, :4].any()
    assert (found.gain[0, 4:] > 0).all()
    assert not coarse(np.full((1, 12, 2500), 2.0)).envelope.any()


def test_the_clearer_lead_says_more_and_its_size_does_not_matter(heart: Callable) -> None:
    segment = heart(rate=90, noise=0.0).signal
    rng = np.random.default_rng(0)
    noise = np.linspace(0.01, 0.2, 12)[:, None] * np.ptp(segment, axis=1, keepdims=True)
    segment = segment + noise * rng.normal(size=segment.shape)
    found = coarse(segment[None])
    assert (np.diff(found.clearness[0])[[0, 2, 5, 7, 9]] < 0).all()
    assert found.clearness[0, 0] > 2 * found.clearness[0, -1]
    weight = found.gain[0] * typical_maximum(_height(found.gain[0], segment)) ** 2
    assert weight[0] > 3 * weight[-1]
    larger = coarse(segment[None] * np.linspace(0.01, 99, 12)[:, None])
    np.testing.assert_allclose(larger.envelope, found.envelope, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(larger.clearness, found.clearness, rtol=1e-3)


def _height(gain: np.ndarray, segment: np.ndarray) -> np.ndarray:
    """Each lead's own envelope in its own unit: with the others flat it has all the say."""
    alone = [np.where(np.arange(12)[:, None] == lead, segment, 0.0) for lead in range(12)]
    found = coarse(np.stack(alone))
    return found.envelope / np.sqrt(found.gain.max(axis=1))[:, None]


def test_the_envelope_is_one_at_a_typical_beat(heart: Callable) -> None:
    for rate in (40, 75, 150):
        found = coarse(heart(rate=rate).signal[None])
        assert typical_maximum(found.envelope)[0] == pytest.approx(1.0, abs=0.1)


def test_one_lead_full_of_spikes_makes_no_beat(heart: Callable) -> None:
    """A beat needs 0.4 of a typical one, whatever the size of the spikes."""
    segment = heart(rate=180, noise=0.05).signal
    clean = coarse(segment[None]).envelope[0]
    segment[5] += np.where(np.arange(2500) % 411 == 200, 100.0, 0.0)
    spiky = coarse(segment[None]).envelope[0]
    quiet = clean < 0.2
    assert quiet.any()
    assert spiky[quiet].max() < 0.4
