"""How far noise moves the features of segments, by group of columns, and which of their pairs it costs.

Shapes: S segments, C columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physioclr.evaluation.pair_similarity import Floats, cosines
from physioclr.features.columns import COLUMNS, FIRST_BEATS, MEASURES, SEGMENT_COLUMNS, STATISTICS
from physioclr.features.reducer import Reducer

Features = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
_RHYTHM = ("rmssd", "pnn50", "rr_cv", "premature")


@dataclass(frozen=True, slots=True)
class KeptPairs:
    """Pairs before, pairs after, and those that are pairs both times."""

    before: int
    after: int
    both: int

    @property
    def sensitivity(self) -> float:
        """Share of the pairs before that are still pairs; NaN without any."""
        return _share(self.both, self.before)

    @property
    def precision(self) -> float:
        """Share of the pairs after that were pairs before; NaN without any."""
        return _share(self.both, self.after)

    @property
    def jaccard(self) -> float:
        """Pairs both times, of those that are pairs at any time."""
        return _share(self.both, self.before + self.after - self.both)


@dataclass(frozen=True, slots=True)
class Shift:
    """`change`: median absolute change, in training standard deviations, of values that are there both times.

    `lost`: share of the values before that are missing after. NaN where there is nothing to compare.
    """

    change: float
    lost: float


def kept_pairs(before_SS: Mask, after_SS: Mask) -> KeptPairs:
    """Pairs i < j of two symmetric matrices."""
    upper = np.triu_indices(len(before_SS), 1)
    before, after = before_SS[upper], after_SS[upper]
    return KeptPairs(int(before.sum()), int(after.sum()), int((before & after).sum()))


def pair_matrix(
    reducer: Reducer, features_SC: Features, usable_S: Mask, recording_S: NDArray[np.int64], delta: float
) -> Mask:
    """Which segments of different recordings are pairs, bool [S, S]: cosine at or above `delta`, both usable."""
    pair_SS = np.zeros((len(usable_S), len(usable_S)), dtype=bool)
    rows = np.flatnonzero(usable_S)
    pair_SS[np.ix_(rows, rows)] = cosines(reducer.transform(features_SC[rows])) >= delta
    return pair_SS & (recording_S[:, None] != recording_S[None, :])


def column_groups() -> dict[str, NDArray[np.int64]]:
    """Columns by what they are of: each of the 10 measures (beats and statistics), `rhythm` and `shape`."""
    statistics = len(MEASURES) * FIRST_BEATS
    segment = statistics + len(MEASURES) * len(STATISTICS)
    groups = {
        measure.name: np.concatenate(
            [
                np.arange(i * FIRST_BEATS, (i + 1) * FIRST_BEATS),
                statistics + np.arange(i * len(STATISTICS), (i + 1) * len(STATISTICS)),
            ]
        )
        for i, measure in enumerate(MEASURES)
    }
    is_rhythm = np.array([column.name in _RHYTHM for column in SEGMENT_COLUMNS])
    assert segment + len(is_rhythm) == len(COLUMNS)
    return groups | {"rhythm": segment + np.flatnonzero(is_rhythm), "shape": segment + np.flatnonzero(~is_rhythm)}


def shift(clean_SC: Features, noisy_SC: Features, scale_C: Floats) -> Shift:
    """Of segments that are usable both times, over some columns. `scale_C` is the reducer's."""
    was, stays = ~np.isnan(clean_SC), ~np.isnan(clean_SC) & ~np.isnan(noisy_SC)
    change = (np.abs(noisy_SC.astype(np.float64) - clean_SC) / scale_C)[stays]
    lost = _share(int((was & ~stays).sum()), int(was.sum()))
    return Shift(float(np.median(change)) if len(change) else float("nan"), lost)


def with_group(clean_SC: Features, noisy_SC: Features, columns: NDArray[np.int64]) -> Features:
    """The clean features with only these columns as noise left them."""
    mixed = clean_SC.copy()
    mixed[:, columns] = noisy_SC[:, columns]
    return mixed


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
