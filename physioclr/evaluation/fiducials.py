"""Found fiducial points against a cardiologist's: sensitivity, precision, F1 and timing error.

A found and an annotated point are a match if each is the other's nearest and they lie within the tolerance. The
standard tolerance is 150 ms (ANSI/AAMI EC57). Annotations may cover only part of a recording, so a found point without
a match is false only inside the annotated span.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Matches:
    """What was found of one kind of point. `errors` [matches] are found minus annotated, in the unit of the points."""

    errors: Floats
    missed: int
    false: int

    @property
    def sensitivity(self) -> float:
        """Share of annotated points that were found; NaN without any."""
        return _share(len(self.errors), self.missed)

    @property
    def precision(self) -> float:
        """Positive predictive value: share of found points that are annotated; NaN without any."""
        return _share(len(self.errors), self.false)

    @property
    def f1(self) -> float:
        """Harmonic mean of the two."""
        return _share(2 * len(self.errors), self.missed + self.false)

    @property
    def mean_error(self) -> float:
        """Positive: found too late. NaN without a match."""
        return float(self.errors.mean()) if len(self.errors) else float("nan")

    @property
    def deviation(self) -> float:
        """Standard deviation of the errors (n - 1)."""
        return float(self.errors.std(ddof=1)) if len(self.errors) > 1 else float("nan")

    def merge(self, other: Matches) -> Matches:
        """Both counted together."""
        errors = np.concatenate([self.errors, other.errors])
        return Matches(errors, self.missed + other.missed, self.false + other.false)


NONE = Matches(np.empty(0), 0, 0)


def match(annotated: Floats, found: Floats, tolerance: float, span: tuple[float, float] | None = None) -> Matches:
    """Points of one kind in one lead; NaN and order do not matter. All arguments in one unit, such as ms.

    `span` is the part that was annotated, both ends included; without it everything is. A tolerance is inclusive.
    """
    errors, spare = pair(annotated, found, tolerance)
    if span is not None:
        spare = spare[(spare >= span[0]) & (spare <= span[1])]
    missed = np.isnan(errors)
    return Matches(errors[~missed], int(missed.sum()), len(spare))


def pair(annotated: Floats, found: Floats, tolerance: float) -> tuple[Floats, Floats]:
    """The error of each annotated point (in ascending order, without repeats), NaN where it was missed, and the found
    points that match none."""
    truth, points = _sorted(annotated), _sorted(found)
    if not len(truth) or not len(points):
        return np.full(len(truth), np.nan), points
    nearest = _nearest(truth, points)
    errors = points[nearest] - truth
    is_mutual = _nearest(points, truth)[nearest] == np.arange(len(truth))
    matched = is_mutual & (np.abs(errors) <= tolerance)
    return np.where(matched, errors, np.nan), np.delete(points, nearest[matched])


def _sorted(points: Floats) -> Floats:
    known = np.asarray(points, dtype=np.float64)
    return np.unique(known[~np.isnan(known)])


def _nearest(of: Floats, among: Floats) -> NDArray[np.int64]:
    """For each of `of` the index of the nearest of `among`; of two equally near ones the earlier."""
    right = np.clip(np.searchsorted(among, of), 1, len(among) - 1) if len(among) > 1 else np.zeros(len(of), np.int64)
    left = np.maximum(right - 1, 0)
    nearest: NDArray[np.int64] = np.where(of - among[left] <= among[right] - of, left, right)
    return nearest


def _share(part: int, rest: int) -> float:
    return part / (part + rest) if part + rest else float("nan")
