"""A delineator against cardiologists: nine fiducial points a beat, scored lead by lead and pooled.

Times are in ms from the start of the recording. Shapes: B beats, NaN for a point that a beat has not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physioclr.evaluation.fiducials import NONE, Matches, match, pair
from physioclr.features.delineation import Delineation

Floats = NDArray[np.float64]
Points = Mapping[str, Floats]  # by name of `POINTS`
Scores = Mapping[str, Matches]  # by name of `POINTS`

POINTS = (
    *("P onset", "P peak", "P offset"),
    *("QRS onset", "QRS peak", "QRS offset"),
    *("T onset", "T peak", "T offset"),
)
_FIELDS = {name: "r_peaks" if name == "QRS peak" else name.lower().replace(" ", "_") for name in POINTS}


@dataclass(frozen=True)
class Common:
    """Errors of two delineators on the `points` that both matched: the standard deviation of each in ms (n - 1)."""

    points: int
    one: float
    other: float


def points_of(delineation: Delineation, fs: float) -> Points:
    """What was found in one segment of `fs` Hz: each of `POINTS` in ms, float64 [B]."""
    assert delineation.segments == 1, "take `of` a segment first"
    return {name: getattr(delineation, field) * (1000.0 / fs) for name, field in _FIELDS.items()}


def annotated_span(annotated: Points) -> tuple[float, float]:
    """First and last annotated time of a lead. Cardiologists annotate a part of a recording: nothing is known of the
    rest."""
    times = np.concatenate([annotated[name] for name in POINTS])
    return float(np.nanmin(times)), float(np.nanmax(times))


def score(annotated: Points, found: Points, tolerance: float) -> Scores:
    """One lead. Points found outside the annotated span are neither right nor wrong."""
    span = annotated_span(annotated)
    return {name: match(annotated[name], found[name], tolerance, span) for name in POINTS}


def pool(leads: Iterable[Scores]) -> Scores:
    """Scores of several leads counted together."""
    total = dict.fromkeys(POINTS, NONE)
    for scores in leads:
        total = {name: total[name].merge(scores[name]) for name in POINTS}
    return total


def on_common_points(leads: Iterable[tuple[Points, Points, Points]], tolerance: float) -> dict[str, Common]:
    """Spread of two delineators on the same points, so that neither gains by finding the easy waves only.

    `leads` are annotated points, those of the one and those of the other.
    """
    errors: dict[str, list[Floats]] = {name: [np.empty((2, 0))] for name in POINTS}
    for annotated, one, other in leads:
        for name in POINTS:
            both = np.stack([pair(annotated[name], found[name], tolerance)[0] for found in (one, other)])
            errors[name].append(both[:, ~np.isnan(both).any(axis=0)])
    joined = {name: np.concatenate(parts, axis=1) for name, parts in errors.items()}
    return {name: Common(both.shape[1], _deviation(both[0]), _deviation(both[1])) for name, both in joined.items()}


def p_waves(annotated: Points, found: Points) -> tuple[int, int]:
    """Beats inside the annotated span of a lead for which a P wave was reported, and beats in all."""
    first, last = annotated_span(annotated)
    inside = (found["QRS peak"] >= first) & (found["QRS peak"] <= last)
    return int((inside & ~np.isnan(found["P peak"])).sum()), int(inside.sum())


def folds(recordings: int, count: int) -> list[NDArray[np.int64]]:
    """Recordings dealt into `count` folds in turn: every recording is in one."""
    return [np.arange(first, recordings, count) for first in range(count)]


def ranges(parts: Sequence[Scores]) -> dict[str, dict[str, tuple[float, float]]]:
    """Smallest and largest F1 and standard deviation of each point over the folds' scores; NaN where none has one."""
    return {
        name: {
            "f1": _range([scores[name].f1 for scores in parts]),
            "deviation": _range([scores[name].deviation for scores in parts]),
        }
        for name in POINTS
    }


def _range(values: list[float]) -> tuple[float, float]:
    known = [value for value in values if not np.isnan(value)]
    return (min(known), max(known)) if known else (float("nan"), float("nan"))


def _deviation(errors: Floats) -> float:
    return float(errors.std(ddof=1)) if len(errors) > 1 else float("nan")
