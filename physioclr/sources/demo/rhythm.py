"""When the heart beats: R peak times of a recording, with premature beats and their pauses."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from physioclr.sources.demo.conditions import Ectopy, Rhythm
from physioclr.sources.demo.history import Visit

FIRST, LAST = -1.6, 14.0  # s: beats are laid out beyond the 10 s, so that waves reach in over both ends
SHORTEST_RR = 0.33  # s: the AV node lets nothing through faster
EARLY, LATE = 1.3, 8.6  # s: premature beats lie between, so that the beat before and the pause after are seen
SPACING = 3  # beats from one premature beat to the next, at least


class Kind(IntEnum):
    """What a beat is."""

    SINUS = 0
    ATRIAL = 1
    VENTRICULAR = 2


@dataclass(frozen=True, slots=True)
class Beats:
    """B beats: R peak `times` and interval `rr` to the beat before, both in s; `kind` holds `Kind` values."""

    times: NDArray[np.float64]
    rr: NDArray[np.float64]
    kind: NDArray[np.int64]


def beats(rng: np.random.Generator, visit: Visit, breath: float, age: int) -> Beats:
    """The beats of one recording from `FIRST` to `LAST`, breathing `breath` times a second."""
    mean = 60.0 / visit.rate
    intervals = _irregular(rng, mean) if visit.rhythm is Rhythm.FIBRILLATION else _sinus(rng, visit, mean, breath, age)
    times = FIRST + rng.uniform(0.0, mean) + np.concatenate([[0.0], np.cumsum(intervals)])
    kind = np.full(len(times), Kind.SINUS)
    for beat in _premature(rng, visit.ectopy, times):
        coupling = max(float(rng.uniform(0.58, 0.72)) * mean, SHORTEST_RR + 0.04)
        if visit.ectopy is Ectopy.VENTRICULAR:  # the sinus node does not notice: the next beat comes when due
            kind[beat] = Kind.VENTRICULAR
            times[beat] = times[beat - 1] + coupling
            times[beat + 1 :] += max(0.0, times[beat] + SHORTEST_RR + 0.1 - times[beat + 1])
        else:  # the sinus node is reset and starts anew
            kind[beat] = Kind.ATRIAL
            times[beat:] -= times[beat] - times[beat - 1] - coupling
            times[beat + 1 :] += float(rng.uniform(0.05, 0.18)) * mean
    return Beats(times, np.diff(times, prepend=times[0] - mean), kind)


def _sinus(rng: np.random.Generator, visit: Visit, mean: float, breath: float, age: int) -> NDArray[np.float64]:
    """Intervals around `mean` that follow the breath, more so in the young, and vary a little by themselves."""
    count = int((LAST - FIRST) / mean) + 2
    depth = max(0.008, 0.05 - 0.0006 * age)
    if visit.rhythm is Rhythm.ARRHYTHMIA:
        depth = float(rng.uniform(0.14, 0.20))
    elif visit.rhythm is Rhythm.TACHYCARDIA:
        depth = 0.006
    phase = 2 * np.pi * (breath * mean * np.arange(count) + rng.random())
    intervals: NDArray[np.float64] = mean * (1.0 + depth * np.sin(phase) + rng.normal(0.0, 0.008, count))
    return intervals


def _irregular(rng: np.random.Generator, mean: float) -> NDArray[np.float64]:
    """Intervals of atrial fibrillation: without order, skewed to the long side."""
    count = int((LAST - FIRST) / mean) + 12
    spread = float(rng.uniform(0.19, 0.27))
    return np.maximum(SHORTEST_RR, mean * np.exp(rng.normal(-(spread**2) / 2, spread, count)))


def _premature(rng: np.random.Generator, ectopy: Ectopy, times: NDArray[np.float64]) -> list[int]:
    """Indices, ascending, of the one to three beats that come early."""
    if ectopy is Ectopy.NONE:
        return []
    inside = np.flatnonzero((times > EARLY) & (times < LATE))
    places = inside[int(rng.integers(min(SPACING, len(inside)))) :: SPACING]
    chosen: list[int] = sorted(rng.permutation(places)[: int(rng.integers(1, 4))].tolist())
    return chosen
