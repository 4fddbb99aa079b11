"""Heart beats, found in all leads together.

Shapes: n segments, B beats of all segments, t coarse samples.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from physioclr.features.batched.coarse import RATE, Coarse, local_maxima, typical_maximum
from physioclr.features.batched.windows import Floats, Ints, average
from physioclr.features.grouped import Grouped

_REACH = round(0.160 * RATE)  # two beats are farther apart than this: up to 370 a minute
_LOWEST = 0.4  # of a typical beat's height
_PLATEAU = 13  # the envelope is level over a narrow complex: averaged once more, it is highest in the middle
_EDGE = 3  # coarse samples: a complex whose middle is so near to the segment's end is cut by it


@dataclass(frozen=True, eq=False)
class Beats:
    """`segment` [B] ascending, `at` [B] the middle of the QRS complex as a coarse index; `rr_before` and `rr_after`
    [B] in coarse samples, the median of the segment where there is no neighbour, 1 s where there is one beat only."""

    segment: Ints
    at: Ints
    rr_before: Floats
    rr_after: Floats
    is_first: NDArray[np.bool_]
    is_last: NDArray[np.bool_]


def find_beats(found: Coarse) -> tuple[Beats, Beats]:
    """Local maxima of the joint envelope that are at least 0.4 of what is typical for the segment.

    The whole ones, and those that the segment's ends cut, which have no waves to compare with the others'. Of these the
    neighbours are all beats, of the whole ones the whole ones.
    """
    envelope = average(found.envelope, _PLATEAU)
    peaks = local_maxima(envelope, _REACH) & (envelope > _LOWEST * typical_maximum(envelope)[:, None])
    segment, at = (index.astype(np.int64) for index in np.nonzero(peaks))
    is_cut = (at < _EDGE) | (at >= envelope.shape[1] - _EDGE)
    every = _with_neighbours(segment, at, len(envelope))
    cut = Beats(*(getattr(every, field.name)[is_cut] for field in fields(Beats)))
    return _with_neighbours(segment[~is_cut], at[~is_cut], len(envelope)), cut


def _with_neighbours(segment: Ints, at: Ints, segments: int) -> Beats:
    is_first = np.ones(len(at), dtype=bool)
    is_first[1:] = segment[1:] != segment[:-1]
    is_last = np.ones(len(at), dtype=bool)
    is_last[:-1] = is_first[1:]
    step = np.full(len(at), np.nan)
    step[1:] = np.where(is_first[1:], np.nan, np.diff(at))
    typical = Grouped.of(step, segment, segments).median()
    typical = np.where(np.isnan(typical), float(RATE), typical)[segment]
    after = np.full(len(at), np.nan)
    after[:-1] = step[1:]
    return Beats(
        segment,
        at,
        np.where(is_first, typical, step),
        np.where(is_last, typical, after),
        is_first,
        is_last,
    )
