"""What is recorded besides the heart: wandering baseline, muscle and mains, at each electrode."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physioclr.ecg.record import FS, WINDOW_SAMPLES

ELECTRODES = 9
WANDER_HZ = np.array([0.08, 0.15, 0.23, 0.31, 0.44, 0.58])
MAINS_SHARES = np.array([1.0, 0.25])  # of the mains frequency and its third harmonic
MUSCLE_INNER, MUSCLE_OUTER = 0.35, 0.61  # of a 4-tap antisymmetric filter that passes about 25 to 150 Hz at 500 Hz

_TIME = np.arange(WINDOW_SAMPLES) / FS


def _waves(frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sines and cosines [2 F, 5000] of the frequencies."""
    phase = 2 * np.pi * frequencies[:, None] * _TIME
    return np.concatenate([np.sin(phase), np.cos(phase)])


# Wandering and mains together [16, 5000]; transformers add the third harmonic of the mains.
SLOW_AND_MAINS = {hz: _waves(np.array([*WANDER_HZ, hz, 3 * hz])) for hz in (50.0, 60.0)}


@dataclass(frozen=True, slots=True)
class NoiseLevels:
    """Root mean square at an electrode, in mV."""

    wander: float
    muscle: float
    mains: float
    mains_hz: float


def draw_levels(rng: np.random.Generator) -> NoiseLevels:
    """How noisy one recording is: mostly clean as in a clinic, now and then poor."""
    wander, muscle, mains = np.exp(rng.normal(np.log((0.035, 0.006, 0.0015)), (0.6, 0.6, 0.8)))
    return NoiseLevels(float(wander), float(muscle), float(mains), 50.0 if rng.random() < 0.7 else 60.0)


def electrode_noise(rng: np.random.Generator, levels: NoiseLevels) -> NDArray[np.float64]:
    """Noise [9, 5000] in mV at the electrodes of `physioclr.sources.demo.electrodes`."""
    held = np.exp(rng.normal(0.0, 0.4, (ELECTRODES, 1)))  # some electrodes hold worse than others
    falloff = 1.0 / (1.0 + WANDER_HZ / 0.15)
    sizes = np.concatenate([levels.wander * falloff / np.sqrt(np.sum(falloff**2)), levels.mains * MAINS_SHARES])
    waves = held * rng.standard_normal((ELECTRODES, 2 * len(sizes))) * np.tile(sizes, 2)
    muscle = levels.muscle * np.exp(rng.normal(0.0, 0.3, (ELECTRODES, 1)))
    # Double precision here: what is rounded to integers later then comes out alike whatever a machine's order of sums.
    noise: NDArray[np.float64] = waves @ SLOW_AND_MAINS[levels.mains_hz]
    noise += _muscle(rng, muscle.astype(np.float32))
    return noise


def _muscle(rng: np.random.Generator, level: NDArray[np.float32]) -> NDArray[np.float32]:
    """White noise [9, 5000] of `level` [9, 1] through the band that muscle and an ECG amplifier leave."""
    white = rng.standard_normal((ELECTRODES, WINDOW_SAMPLES + 3), dtype=np.float32)
    noise: NDArray[np.float32] = white[:, :-3] - white[:, 3:]
    noise *= np.float32(MUSCLE_OUTER) * level
    inner = white[:, 1:-2] - white[:, 2:-1]
    inner *= np.float32(MUSCLE_INNER) * level
    noise += inner
    return noise
