from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.evaluation.noise import NOISES, add_noise, band_noise, make_noise, power

FS = 500
TIME = np.arange(5000) / FS


def spectrum(noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies, and the share of the power of all leads at each, through a window that keeps leakage away."""
    tapered = noise * np.hanning(noise.shape[-1])
    shares = (np.abs(np.fft.rfft(tapered, axis=-1)) ** 2).sum(axis=0)
    return np.fft.rfftfreq(noise.shape[-1], 1 / FS), shares / shares.sum()


def within(noise: np.ndarray, low: float, high: float) -> float:
    hertz, share = spectrum(noise)
    return float(share[(hertz >= low) & (hertz <= high)].sum())


@settings(max_examples=12, deadline=None)
@given(
    kind=st.sampled_from(sorted(NOISES)),
    decibels=st.floats(-10, 40),
    heights=st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=3),
    seed=st.integers(0, 2**32),
)
def test_the_ratio_is_the_one_asked_for(kind: str, decibels: float, heights: list[float], seed: int) -> None:
    """In every lead on its own, whatever the unit; an offset and a drift of the recording's own do not count."""
    height = np.array(heights)[:, None]
    signal = (height * (np.sin(2 * np.pi * 5 * TIME) + 7.0 + 3.0 * np.sin(2 * np.pi * 0.05 * TIME)))[None]
    noise = make_noise(kind, np.random.default_rng(seed), (3, 5000))[None]
    added = add_noise(signal, noise, decibels) - signal
    measured = 10 * np.log10((height[:, 0] ** 2 / 2) / (added**2).mean(axis=-1)[0])
    np.testing.assert_allclose(measured, decibels, atol=0.1)


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("wander", 0.0, 0.55), ("muscle", 18.0, 152.0), ("mains", 49.0, 181.0)]
)
def test_noise_is_in_its_band(kind: str, low: float, high: float) -> None:
    noise = make_noise(kind, np.random.default_rng(1), (12, 30_000))
    assert within(noise, low, high) > 0.995


def test_wander_and_muscle_fill_their_bands() -> None:
    wander, muscle = (make_noise(kind, np.random.default_rng(2), (12, 30_000)) for kind in ("wander", "muscle"))
    for low, high in ((0.05, 0.2), (0.2, 0.35), (0.35, 0.5)):
        assert within(wander, low, high) == pytest.approx(1 / 3, abs=0.12)
    for low in range(20, 150, 26):
        assert within(muscle, low, low + 26) == pytest.approx(0.2, abs=0.04)


def test_muscle_comes_in_bursts() -> None:
    def contrast(noise: np.ndarray) -> float:
        pieces = np.sqrt((noise.reshape(12, -1, 100) ** 2).mean(axis=-1))
        return float(np.median(np.quantile(pieces, 0.95, axis=1) / np.quantile(pieces, 0.05, axis=1)))

    steady = band_noise(np.random.default_rng(3), (12, 5000), 20, 150)
    assert contrast(make_noise("muscle", np.random.default_rng(3), (12, 5000))) > 2 * contrast(steady)


@pytest.mark.parametrize("seed", range(6))
def test_mains_is_of_one_frequency_with_harmonics(seed: int) -> None:
    noise = make_noise("mains", np.random.default_rng(seed), (12, 5000))
    base = 50 if within(noise, 49, 51) > within(noise, 59, 61) else 60
    shares = [within(noise, harmonic * base - 1, harmonic * base + 1) for harmonic in (1, 2, 3)]
    assert sum(shares) > 0.995
    assert shares[0] > shares[2] > shares[1] > 0.01


def test_both_mains_frequencies_occur() -> None:
    found = {within(make_noise("mains", np.random.default_rng(seed), (1, 5000)), 59, 61) > 0.5 for seed in range(12)}
    assert found == {True, False}


def test_mains_changes_slowly() -> None:
    """A sine fitted to a fifth of a second leaves almost nothing, one fitted to all 10 s leaves much more."""
    noise = make_noise("mains", np.random.default_rng(5), (12, 5000))
    base = 50 if within(noise, 49, 51) > within(noise, 59, 61) else 60

    def left(piece: slice) -> float:
        phase = 2 * np.pi * base * TIME[piece] * np.array([1, 2, 3])[:, None]
        waves = np.concatenate([np.sin(phase), np.cos(phase)]).T
        target = noise[:, piece].T
        rest = target - waves @ np.linalg.lstsq(waves, target, rcond=None)[0]
        return float((rest**2).sum() / (target**2).sum())

    assert left(slice(0, 100)) < 0.01
    assert left(slice(0, 5000)) > 0.03


def test_the_mix_has_a_third_of_each() -> None:
    noise = make_noise("mix", np.random.default_rng(6), (12, 30_000))
    assert within(noise, 0, 0.6) == pytest.approx(1 / 3, abs=0.02)
    assert within(noise, 18, 181) == pytest.approx(2 / 3, abs=0.02)
    mains = sum(within(noise, f - 1, f + 1) for base in (50, 60) for f in (base, 2 * base, 3 * base))
    assert mains == pytest.approx(1 / 3, abs=0.06)  # the muscle's part of these bands is in it


@pytest.mark.parametrize("kind", sorted(NOISES))
def test_each_lead_has_its_own(kind: str) -> None:
    noise = make_noise(kind, np.random.default_rng(7), (12, 5000))
    np.testing.assert_allclose(noise.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose((noise**2).mean(axis=1), 1)
    likeness = np.abs(np.corrcoef(noise)[np.triu_indices(12, 1)])
    assert likeness.max() < 0.999
    assert np.median(likeness) < 0.75
    np.testing.assert_array_equal(noise, make_noise(kind, np.random.default_rng(7), (12, 5000)))


def test_gaussian_noise_has_the_power_it_says() -> None:
    noise = band_noise(np.random.default_rng(8), (200, 5000), 1.0, 40.0)
    assert (noise**2).mean() == pytest.approx(1.0, rel=0.02)


def test_a_flat_lead_stays_flat() -> None:
    signal = np.stack([np.full(5000, 3.0), np.sin(2 * np.pi * 5 * TIME)])
    noisy = add_noise(signal, make_noise("mix", np.random.default_rng(0), (2, 5000)), 0.0)
    np.testing.assert_allclose(noisy[0], 3.0, atol=1e-9)
    assert np.abs(noisy[1] - signal[1]).max() > 0.5
    assert power(signal)[0] == pytest.approx(0, abs=1e-18)
