from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from physioclr.ecg.record import FS
from physioclr.sources.demo.noise import NoiseLevels, draw_levels, electrode_noise


def rms(levels: NoiseLevels, count: int = 40) -> float:
    noise = [electrode_noise(np.random.default_rng(seed), levels) for seed in range(count)]
    return float(np.sqrt(np.mean(np.square(noise))))


def share(noise: NDArray[np.float64], low: float, high: float) -> float:
    """Part of the power between two frequencies."""
    power = np.abs(np.fft.rfft(noise, axis=1)) ** 2
    frequency = np.fft.rfftfreq(noise.shape[1], 1 / FS)
    return float(power[:, (frequency >= low) & (frequency <= high)].sum() / power.sum())


@pytest.mark.parametrize(
    ("levels", "expected"),
    [(NoiseLevels(0.1, 0, 0, 50), 0.1), (NoiseLevels(0, 0.02, 0, 50), 0.02), (NoiseLevels(0, 0, 0.01, 60), 0.01)],
)
def test_levels_are_what_they_say(levels: NoiseLevels, expected: float) -> None:
    # electrodes hold unequally well (log-normal), so the root mean square over all is a little above the level
    assert rms(levels) == pytest.approx(expected * 1.12, rel=0.15)


@pytest.mark.parametrize("hz", [50.0, 60.0])
def test_each_noise_is_in_its_band(hz: float) -> None:
    def one(wander: float, muscle: float, mains: float) -> NDArray[np.float64]:
        return electrode_noise(np.random.default_rng(1), NoiseLevels(wander, muscle, mains, hz))

    assert share(one(1, 0, 0), 0.0, 0.8) > 0.97
    assert share(one(0, 1, 0), 20.0, 170.0) > 0.8
    assert share(one(0, 0, 1), hz - 1, hz + 1) > 0.85


def test_electrodes_have_their_own_noise() -> None:
    noise = electrode_noise(np.random.default_rng(0), NoiseLevels(0, 0.01, 0, 50))
    assert noise.shape == (9, 5000)
    correlation = np.corrcoef(noise) - np.eye(9)
    assert np.max(np.abs(correlation)) < 0.08


def test_most_recordings_are_as_in_a_clinic() -> None:
    drawn = [draw_levels(np.random.default_rng(seed)) for seed in range(300)]
    assert 0.004 < np.median([level.muscle for level in drawn]) < 0.008
    assert max(level.muscle for level in drawn) < 0.08
    assert {level.mains_hz for level in drawn} == {50.0, 60.0}
