"""What must not matter: the other segments of a batch, the unit, the baseline, and when the recording began."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.features.delineation import WAVES

POINTS = ("r_peaks", *WAVES)


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[tuple[str, int]], int]:
    """Kinds of segments and the seed of each, and how many leads they have."""
    kinds = st.sampled_from(["heart", "heart", "heart", "noise", "flat", "missing", "gap", "huge", "walk", "one beat"])
    return draw(st.lists(st.tuples(kinds, st.integers(0, 999)), min_size=2, max_size=5)), draw(st.integers(1, 12))


def segment_of(heart: Callable, kind: str, seed: int, leads: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    signal = heart(rate=rng.uniform(30, 240), noise=rng.choice([0.005, 0.1]), leads=leads, seed=seed).signal
    if kind == "gap":
        signal[rng.integers(leads), rng.integers(2500)] = np.nan
    return {
        "noise": rng.normal(size=signal.shape),
        "flat": np.full(signal.shape, rng.normal()),
        "missing": np.full(signal.shape, np.nan),
        "huge": signal * 1e20,
        "walk": np.cumsum(rng.normal(size=signal.shape), axis=1),
        "one beat": heart(beats=np.array([rng.uniform(0, 5)]), leads=leads).signal,
    }.get(kind, signal)


@given(
    batches(),
    st.sampled_from([np.float32, np.float64]),
    st.sampled_from([360, 500]),
    st.sampled_from(["pca", "II", "V1"]),
    st.randoms(use_true_random=False),
)
@settings(max_examples=25, deadline=None)
def test_a_segment_is_the_same_alone_and_in_any_company_to_the_last_bit(
    heart: Callable, engine: Callable, made: tuple, kind: type, fs: int, lead: str, random
) -> None:
    kinds, leads = made
    batch = np.stack([segment_of(heart, name, seed, leads) for name, seed in kinds]).astype(kind)
    together = engine(batch, fs, lead)
    order = list(range(len(batch)))
    random.shuffle(order)
    shuffled = engine(batch[order], fs, lead)
    for i in range(len(batch)):
        assert together.differs(i, engine(batch[i : i + 1], fs, lead), 0) == []
        assert together.differs(i, shuffled, order.index(i)) == []


def test_the_same_in_another_chunk_and_however_the_batch_lies_in_memory(heart: Callable, engine: Callable) -> None:
    batch = np.stack([segment_of(heart, "heart", seed, 12) for seed in range(40)]).astype(np.float32)
    together = engine(batch, lead="pca")
    moved = engine(np.roll(batch, 7, axis=0), lead="pca")
    strided = engine(np.asfortranarray(batch), lead="pca")
    for i in range(40):
        assert together.differs(i, moved, (i + 7) % 40) == []
        assert together.differs(i, strided, i) == []


def hearts(heart: Callable) -> np.ndarray:
    return np.stack([heart(rate=40 + 14 * seed, noise=0.02, seed=seed).signal for seed in range(10)]).astype(np.float32)


def compare(before, after) -> None:  # type: ignore[no-untyped-def]
    """The same beats and status; by rounding one bound in twenty may be a sample off, or at the limit of being one."""
    a, b = before.delineation, after.delineation
    assert a.status == b.status
    np.testing.assert_array_equal(a.r_peaks, b.r_peaks)
    np.testing.assert_allclose(before.quality, after.quality, atol=1e-4)
    for wave in WAVES:
        first, second = getattr(a, wave), getattr(b, wave)
        both = ~np.isnan(first) & ~np.isnan(second)
        assert (np.isnan(first) != np.isnan(second)).mean() < 0.05, wave
        assert np.abs(first - second)[both].max() <= 1, wave
        assert (first != second)[both].mean() < 0.05, wave


@pytest.mark.parametrize("lead", ["pca", "II"])
@pytest.mark.parametrize("factor", [2.0**-20, 0.5, 4.0, 1024.0])
def test_doubling_the_unit_changes_nothing_at_all(heart: Callable, engine: Callable, factor: float, lead: str) -> None:
    """A factor of two rounds nothing, so not one bit may differ but in the voltages."""
    before, after = engine(hearts(heart), lead=lead), engine(hearts(heart) * np.float32(factor), lead=lead)
    for name in POINTS:
        np.testing.assert_array_equal(getattr(before.delineation, name), getattr(after.delineation, name))
    np.testing.assert_array_equal(before.quality, after.quality)
    assert before.delineation.status == after.delineation.status


@pytest.mark.parametrize("lead", ["pca", "II"])
@pytest.mark.parametrize("factor", [1e-6, 0.1, 1.3, 1000.0, 1e6])
def test_any_unit_will_do(heart: Callable, engine: Callable, factor: float, lead: str) -> None:
    compare(engine(hearts(heart), lead=lead), engine(hearts(heart) * np.float32(factor), lead=lead))


def test_normalised_leads_will_do(heart: Callable, engine: Callable) -> None:
    """Each lead in its own standard deviation, as some archives have them."""
    segments = hearts(heart)
    normalised = (segments - segments.mean(axis=2, keepdims=True)) / segments.std(axis=2, keepdims=True)
    for lead in ("pca", "V5"):
        compare(engine(segments, lead=lead), engine(normalised, lead=lead))


@pytest.mark.parametrize("lead", ["pca", "II"])
@pytest.mark.parametrize("level", [-100.0, 0.37, 10.0])
def test_a_raised_baseline_changes_nothing(heart: Callable, engine: Callable, level: float, lead: str) -> None:
    compare(engine(hearts(heart), lead=lead), engine(hearts(heart) + np.float32(level), lead=lead))
    each = np.linspace(-level, level, 12, dtype=np.float32)[:, None]
    compare(engine(hearts(heart), lead=lead), engine(hearts(heart) + each, lead=lead))


@pytest.mark.parametrize("later", [4, 100, 101, 102, 103, 250])
def test_points_move_with_the_recording(heart: Callable, engine: Callable, later: int) -> None:
    """R peaks to the sample; P and T by two samples at most; QRS bounds, drawn to a grid of 8 ms, by 16 ms at most."""
    for rate in (45, 75, 100):
        whole = heart(rate=rate, seconds=7.0, noise=0.01).signal[None]
        first = engine(whole[..., :2500]).delineation
        second = engine(whole[..., later : later + 2500]).delineation
        inner = (first.r_peaks > 250 + later) & (first.r_peaks < 2200)
        assert inner.sum() >= 2
        beat = np.searchsorted(second.r_peaks, first.r_peaks[inner] - later)
        for name in POINTS:
            moved = getattr(first, name)[inner] - later - getattr(second, name)[beat]
            allowed = 0 if name == "r_peaks" else 8 if name.startswith("qrs") else 2
            assert np.nanmax(np.abs(moved)) <= allowed, name
            assert np.isnan(moved).mean() == np.isnan(getattr(first, name)[inner]).mean(), name


def test_the_order_of_leads_does_not_matter_to_the_beats(heart: Callable, engine: Callable) -> None:
    """All leads have their say alike: in any order the beats are the same."""
    segments = hearts(heart)
    order = np.random.default_rng(0).permutation(12)
    a, b = engine(segments, lead="pca").delineation, engine(segments[:, order], lead="pca").delineation
    np.testing.assert_array_equal(a.segment, b.segment)
    np.testing.assert_allclose(a.r_peaks, b.r_peaks, atol=1)
