"""Noise to add to good recordings, of a known kind and strength: what do features and pairs make of it?

Four kinds, each drawn for every lead on its own and so without the relations that real leads have (III = II - I): no
lead can be cleaned with the help of another.

- `wander`: drift of electrodes and breathing, Gaussian, 0.05 to 0.5 Hz;
- `muscle`: Gaussian, 20 to 150 Hz, in bursts over a steady third;
- `mains`: 50 Hz or 60 Hz (one for a recording) with two harmonics, size and phase of each changing slowly;
- `mix`: the three with equal power.

The ratio of signal to noise in dB compares the power of the lead above 0.5 Hz, so that its own wander does not count,
with the power of the noise. Shapes: n recordings, L leads, T samples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len
from scipy.signal import butter, sosfiltfilt

from physioclr.ecg.record import FS

Floats = NDArray[np.float64]
Shape = tuple[int, ...]

WANDER_HZ = 0.05, 0.5
MUSCLE_HZ = 20.0, 150.0
MAINS_HZ = 50.0, 60.0
_HARMONICS = {1: 1.0, 2: 0.15, 3: 0.3}  # size of each against the first
_SLOW_HZ = 0.05, 0.5  # how mains changes: size by 20 %, phase by 0.3 rad (standard deviations)
_SIZE_CHANGE, _PHASE_CHANGE = 0.2, 0.3
_PERIOD_S = 40.0  # noise repeats after this long at the earliest: a grid of 0.025 Hz, finer than the band of wander
_BURSTS_A_SECOND, _BURST_S, _BURST_SIZE, _STEADY = 0.4, (0.3, 2.0), (0.5, 3.0), 0.33
_HIGH_PASS_HZ = 0.5


def make_noise(kind: str, generator: np.random.Generator, shape: Shape, fs: float = FS) -> Floats:
    """Noise of a `kind` in `NOISES`, float64 [L, T], mean 0 and power 1 in every lead.

    The mean is taken off because a constant is no noise to any method; T should be 10 s or more.
    """
    noise = NOISES[kind](generator, shape, fs)
    noise = noise - noise.mean(axis=-1, keepdims=True)
    return noise / np.sqrt((noise**2).mean(axis=-1, keepdims=True))


def add_noise(signals_nLT: NDArray[np.floating[Any]], noise_nLT: Floats, decibels: float, fs: float = FS) -> Floats:
    """Signals with noise of power 1 scaled to the ratio `decibels` in each lead, float64. A flat lead stays flat."""
    size = np.sqrt(power(signals_nLT, fs) / 10 ** (decibels / 10))
    return np.asarray(signals_nLT + size[..., None] * noise_nLT, dtype=np.float64)


def power(signals_nLT: NDArray[np.floating[Any]], fs: float = FS) -> Floats:
    """Mean square of each lead above 0.5 Hz (Butterworth, 2nd order, there and back): [n, L]."""
    high = butter(2, _HIGH_PASS_HZ, "highpass", fs=fs, output="sos")
    filtered: Floats = sosfiltfilt(high, np.asarray(signals_nLT, dtype=np.float64), axis=-1)
    return np.asarray((filtered**2).mean(axis=-1))


def band_noise(generator: np.random.Generator, shape: Shape, low: float, high: float, fs: float = FS) -> Floats:
    """Gaussian noise, float64 of `shape`, with expected power 1, all of it from `low` to `high` Hz."""
    size = next_fast_len(max(shape[-1], round(_PERIOD_S * fs)), real=True)
    frequency = np.arange(size // 2 + 1) * fs / size
    inside = np.flatnonzero((frequency >= low) & (frequency <= high))
    spectrum = np.zeros((*shape[:-1], len(frequency)), dtype=np.complex128)
    parts = generator.standard_normal((2, *shape[:-1], len(inside)))
    spectrum[..., inside] = (parts[0] + 1j * parts[1]) * (size / 2 / np.sqrt(len(inside)))
    whole: Floats = irfft(spectrum, size, axis=-1)
    return whole[..., : shape[-1]]


def _wander(generator: np.random.Generator, shape: Shape, fs: float) -> Floats:
    return band_noise(generator, shape, *WANDER_HZ, fs)


def _muscle(generator: np.random.Generator, shape: Shape, fs: float) -> Floats:
    return band_noise(generator, shape, *MUSCLE_HZ, fs) * _bursts(generator, shape, fs)


def _bursts(generator: np.random.Generator, shape: Shape, fs: float) -> Floats:
    """How tense a muscle is over time: a steady part, and bursts that swell and fade (raised cosines)."""
    tension = np.full(shape, _STEADY)
    seconds = np.arange(shape[-1]) / fs
    for lead in tension.reshape(-1, shape[-1]):
        for _ in range(generator.poisson(_BURSTS_A_SECOND * seconds[-1])):
            middle, length = generator.uniform(0, seconds[-1]), generator.uniform(*_BURST_S)
            phase = np.clip((seconds - middle) / length, -0.5, 0.5)
            lead += generator.uniform(*_BURST_SIZE) * (1 + np.cos(2 * np.pi * phase)) / 2
    return tension


def _mains(generator: np.random.Generator, shape: Shape, fs: float) -> Floats:
    base = generator.choice(MAINS_HZ)
    seconds = np.arange(shape[-1]) / fs
    total = np.zeros(shape)
    for harmonic, share in _HARMONICS.items():
        size = 1 + _SIZE_CHANGE * band_noise(generator, shape, *_SLOW_HZ, fs)
        start = generator.uniform(0, 2 * np.pi, (*shape[:-1], 1))
        phase = start + _PHASE_CHANGE * band_noise(generator, shape, *_SLOW_HZ, fs)
        total += share * size * np.sin(2 * np.pi * harmonic * base * seconds + phase)
    return total


def _mix(generator: np.random.Generator, shape: Shape, fs: float) -> Floats:
    parts = [make_noise(kind, generator, shape, fs) for kind in ("wander", "muscle", "mains")]
    return np.sum(parts, axis=0)


NOISES: dict[str, Callable[[np.random.Generator, Shape, float], Floats]] = {
    "wander": _wander,
    "muscle": _muscle,
    "mains": _mains,
    "mix": _mix,
}
