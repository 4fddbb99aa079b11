"""Noise on stored recordings, decided by their names: whoever adds it, where and when, adds the same.

The generator of a recording's noise depends on the seed, the kind of noise and the recording, and not on the ratio: at
another ratio it is the same noise, larger or smaller. Shapes: n recordings, 12 leads, 5,000 samples.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physioclr.config import NoiseConfig
from physioclr.ecg.record import INT16_PER_UNIT
from physioclr.evaluation.noise import NOISES, add_noise, make_noise

KEY = ("dataset", "record_id", "window")  # what names 10 s of a recording
Key = tuple[str, str, int]
Signals = NDArray[np.int16]
_LIMITS = np.iinfo(np.int16)


def level_name(noise: NoiseConfig) -> str:
    """As it stands in the names of files."""
    return f"{noise.kind}-{noise.db:g}-{noise.seed}"


def by_kind(levels: Iterable[NoiseConfig]) -> list[list[NoiseConfig]]:
    """Levels of the same noise, which is drawn once for all its ratios."""
    groups: dict[tuple[str, int], list[NoiseConfig]] = {}
    for level in levels:
        groups.setdefault((level.kind, level.seed), []).append(level)
    return list(groups.values())


def keys_of(rows: Iterable[Mapping[str, Any]]) -> list[Key]:
    """The names of rows that have the columns `KEY`."""
    return [(row["dataset"], row["record_id"], row["window"]) for row in rows]


def noise_of(keys: Sequence[Key], kind: str, seed: int, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Noise of power 1 in each lead of each recording: float64 [n, *shape]."""
    number = list(NOISES).index(kind)
    generators = (np.random.default_rng([seed, number, _number(key)]) for key in keys)
    return np.stack([make_noise(kind, generator, shape) for generator in generators])


def at_ratio(signals: Signals, noise: NDArray[np.float64], db: float) -> Signals:
    """Stored signals [n, 12, 5000] with their noise at this ratio, as they would be stored: rounded, and cut at what
    int16 holds."""
    noisy = add_noise(signals / float(INT16_PER_UNIT), noise, db)
    return np.rint(noisy * INT16_PER_UNIT).clip(_LIMITS.min, _LIMITS.max).astype(np.int16)


def with_noise(signals: Signals, keys: Sequence[Key], noise: NoiseConfig) -> Signals:
    """Stored signals [n, 12, 5000] of the recordings `keys` with the noise that `noise` describes."""
    return with_levels(signals, keys, [noise])[0]


def with_levels(signals: Signals, keys: Sequence[Key], levels: Sequence[NoiseConfig]) -> Signals:
    """The same at levels that differ in their ratio only: [levels, n, 12, 5000]."""
    (group,) = by_kind(levels)
    noise = noise_of(keys, group[0].kind, group[0].seed, (signals.shape[1], signals.shape[2]))
    return np.stack([at_ratio(signals, noise, level.db) for level in levels])


def _number(key: Key) -> int:
    """A recording as a number that is equal on every machine."""
    name = "\0".join(map(str, key)).encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big")
