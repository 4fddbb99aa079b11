"""Two engines on the same segments, neither of them the truth: how far their beats and intervals agree.

Bland & Altman 1986, doi:10.1016/S0140-6736(86)90837-8. Times are in ms from the start of a segment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physioclr.evaluation.fiducials import Matches, pair

Floats = NDArray[np.float64]

# NeuroKit2's threshold is a moving average over 750 ms: nearer to an end than half of that it is what the engine
# `neurokit` makes of it, which has the signal go on beyond its ends.
END_MS = 375.0
SAME_COMPLEX_MS = 80.0  # two points of one QRS complex, such as R and S, are no farther apart

REASONS = {
    "start": f"in the first {END_MS:g} ms",
    "end": f"in the last {END_MS:g} ms",
    "place": f"another point of the same complex (within {SAME_COMPLEX_MS:g} ms)",
    "seen": "no complex of the other; a beat in most single leads by NeuroKit2",
    "unseen": "no complex of the other; no beat in most single leads by NeuroKit2",
}


@dataclass(frozen=True)
class Limits:
    """Values minus reference over `count` pairs: Pearson `correlation`, `bias` (the mean), and `low` and `high`: 95 %
    of differences lie between them if they are normally distributed. NaN for too few pairs, or if nothing varies."""

    count: int
    correlation: float
    bias: float
    low: float
    high: float


@dataclass(frozen=True)
class Beats:
    """R peaks of one segment by both engines: `inside` without the parts at its ends where NeuroKit2 is not itself,
    `all` with them; `reasons` counts the points of each that are no match, by word of `REASONS`."""

    all: Matches
    inside: Matches
    only_values: dict[str, int]
    only_reference: dict[str, int]


def limits_of_agreement(values: Floats, reference: Floats) -> Limits:
    """Over the pairs in which both are known."""
    known = ~np.isnan(values) & ~np.isnan(reference)
    one, other = values[known], reference[known]
    difference = one - other
    count, missing = len(difference), float("nan")
    if count < 2:
        return Limits(count, missing, float(difference.mean()) if count else missing, missing, missing)
    varies = np.ptp(one) > 0 and np.ptp(other) > 0
    correlation = float(np.corrcoef(one, other)[0, 1]) if varies else missing
    bias, reach = float(difference.mean()), 1.96 * float(difference.std(ddof=1))
    return Limits(count, correlation, bias, bias - reach, bias + reach)


def compare_beats(
    values: Floats, reference: Floats, duration: float, tolerance: float, leads_with: Callable[[float], int]
) -> Beats:
    """R peaks of one segment that lasts `duration`. `leads_with` says in how many of 12 leads, each taken alone, there
    is a beat at a time; it is asked only where the engines' beats differ for no other reason."""
    errors, only_values = pair(reference, values, tolerance)
    only_reference = np.unique(reference)[np.isnan(errors)]
    return Beats(
        *_matches(errors, only_values, reference, duration),
        _reasons(only_values, reference, duration, leads_with),
        _reasons(only_reference, values, duration, leads_with),
    )


def same_beats(values: Floats, reference: Floats, duration: float, tolerance: float) -> tuple[Matches, Matches]:
    """R peaks of one segment by two detectors: of all of it, and of the part that is farther than `END_MS` from both
    ends."""
    return _matches(*pair(reference, values, tolerance), reference, duration)


def _matches(errors: Floats, only_values: Floats, reference: Floats, duration: float) -> tuple[Matches, Matches]:
    """What `pair` gives, counted in all of a segment and away from its ends."""
    missed, inside = np.isnan(errors), _inside(np.unique(reference), duration)
    return (
        Matches(errors[~missed], int(missed.sum()), len(only_values)),
        Matches(errors[~missed & inside], int((missed & inside).sum()), int(_inside(only_values, duration).sum())),
    )


def _inside(times: Floats, duration: float) -> NDArray[np.bool_]:
    return (times > END_MS) & (times < duration - END_MS)


def _reasons(times: Floats, others: Floats, duration: float, leads_with: Callable[[float], int]) -> dict[str, int]:
    counts = dict.fromkeys(REASONS, 0)
    for time in times.tolist():
        counts[_reason(time, others, duration, leads_with)] += 1
    return counts


def _reason(time: float, others: Floats, duration: float, leads_with: Callable[[float], int]) -> str:
    if time <= END_MS:
        return "start"
    if time >= duration - END_MS:
        return "end"
    if len(others) and np.abs(others - time).min() <= SAME_COMPLEX_MS:
        return "place"
    return "seen" if leads_with(time) > 6 else "unseen"
