"""Hearts whose every wave is known, and a run of the engine that holds all it finds against what it promises."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from physioclr.config import FeatureConfig
from physioclr.features.batched.engine import BatchedEngine
from physioclr.features.delineation import STATUSES, USABLE, WAVES, Delineation
from physioclr.features.measures import measure

GAINS = np.array([0.7, 1.0, 0.3, -0.85, 0.2, 0.65, -0.4, -0.3, 0.5, 0.9, 1.0, 0.8])  # of the 12 leads
QRS_WAVES = ((-0.040, -0.014, -0.1), (-0.020, 0.020, 1.0), (0.014, 0.040, -0.2))  # onset and offset in s from R, height


@dataclass(frozen=True)
class Heart:
    """`signal` [L, T]; `r` the R peaks in s that lie in it; `waves`: where each is, in s from its R peak."""

    signal: np.ndarray
    r: np.ndarray
    waves: dict[str, float]


def make_heart(
    rate: float = 75.0,
    fs: int = 500,
    seconds: float = 5.0,
    first: float = 0.4,
    leads: int = 12,
    noise: float = 0.005,
    seed: int = 0,
    p_height: float = 0.15,
    beats: np.ndarray | None = None,
) -> Heart:
    """A heart whose waves are raised cosines: each begins and ends at a place, and its peak is in the middle.

    P, PR and T are shorter the faster the heart. `beats` are other R peaks in s than those of a steady rate.
    """
    t = np.arange(round(seconds * fs)) / fs
    pace = min(1.0, np.sqrt(60 / rate))
    p, end_of_t = (-0.20 * pace, -0.10 * pace), (0.16 * pace + 0.02, 0.36 * pace + 0.02)
    every = np.arange(first - 3 * 60 / rate, seconds + 2, 60 / rate) if beats is None else beats
    signal = np.zeros(len(t))
    for r in every:
        for onset, offset, height in ((*p, p_height), *QRS_WAVES, (*end_of_t, 0.3)):
            share = (t - r - onset) / (offset - onset)
            signal += np.where((share > 0) & (share < 1), height * 0.5 * (1 - np.cos(2 * np.pi * share)), 0.0)
    made = GAINS[:leads, None] * signal
    made += noise * np.random.default_rng(seed).normal(size=made.shape)
    waves = dict(
        zip(WAVES, (p[0], sum(p) / 2, p[1], -0.04, 0.04, end_of_t[0], sum(end_of_t) / 2, end_of_t[1]), strict=True)
    )
    return Heart(made, every[(every >= 0) & (every < seconds)], waves)


@dataclass(frozen=True)
class Seen:
    """All that a user gets of a batch."""

    signal: np.ndarray
    delineation: Delineation
    quality: np.ndarray
    features: np.ndarray

    def differs(self, i: int, other: "Seen", j: int) -> list[str]:
        """In what segment i differs from segment j of another batch, to the last bit."""
        mine, theirs = self.delineation.of(i), other.delineation.of(j)
        pairs = {name: (getattr(mine, name), getattr(theirs, name)) for name in ("r_peaks", *WAVES)}
        for name in ("signal", "quality", "features"):
            pairs[name] = getattr(self, name)[i], getattr(other, name)[j]
        bad = [name for name, (a, b) in pairs.items() if not np.array_equal(a, b, equal_nan=True)]
        return bad + ["status"] * (mine.status != theirs.status)


def look(segments: np.ndarray, fs: int = 500, lead: str = "II") -> Seen:
    """What the engine finds and what is measured on it; fails if a promise that holds for any signal is broken."""
    before = segments.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = BatchedEngine(FeatureConfig(lead=lead))(segments, fs)
        features = measure(found.signal, found.delineation, fs)
    seen = Seen(found.signal, found.delineation, found.quality, features)
    np.testing.assert_array_equal(segments, before)
    keeps_its_promises(seen, len(segments), segments.shape[2])
    return seen


def keeps_its_promises(seen: Seen, segments: int, size: int) -> None:
    d = seen.delineation
    assert len(d.status) == segments
    assert set(d.status) <= set(STATUSES)
    assert seen.signal.shape == (segments, size)
    assert np.isfinite(seen.signal).all()
    assert ((seen.quality >= 0) & (seen.quality <= 1)).all()
    assert seen.features.shape == (segments, 150)
    assert not np.isinf(seen.features).any()
    same_segment = np.diff(d.segment) == 0
    assert (np.diff(d.segment) >= 0).all()
    assert (np.diff(d.r_peaks)[same_segment] > 0).all()
    for name in ("r_peaks", *WAVES):
        points = getattr(d, name)
        points = points[~np.isnan(points)]
        assert ((points >= 0) & (points <= size - 1)).all(), name
        assert (points == np.rint(points)).all(), name
    order = [*WAVES[:4], "r_peaks", *WAVES[4:]]
    for i, (first, second) in enumerate(pairwise(order)):
        assert not (getattr(d, first) > getattr(d, second)).any(), (first, second)
        for later in order[i + 1 :]:  # whatever is missing between the two
            assert not (getattr(d, first) > getattr(d, later)).any(), (first, later)
    for i, status in enumerate(d.status):
        one = d.of(i)
        assert len(one.r_peaks) == 0 or status != "poor_quality"
        assert (len(one.r_peaks) < 2) == (status in ("poor_quality", "no_beats"))
        if status not in USABLE and status != "delineation_failed":
            assert np.isnan(seen.features[i]).all()


@pytest.fixture(scope="session")
def heart() -> Callable[..., Heart]:
    return make_heart


@pytest.fixture(scope="session")
def engine() -> Callable[..., Seen]:
    return look
