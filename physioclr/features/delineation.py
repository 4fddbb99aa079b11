"""Where the waves of each beat are, whichever engine found them. NaN means not found.

Shapes: n segments, B beats of all segments together, I intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

WAVES = ("p_onset", "p_peak", "p_offset", "qrs_onset", "qrs_offset", "t_onset", "t_peak", "t_offset")

STATUSES = {
    "ok": "three or more beats were found and delineated",
    "few_beats": "two beats only: one RR interval, no variability",
    "no_beats": "fewer than two R peaks: nothing can be measured",
    "delineation_failed": "R peaks were found, but no QRS complex could be delineated: only the rhythm is measured",
    "poor_quality": "the signal is too noisy, flat or broken for its beats to be trusted: nothing is measured",
}
USABLE = frozenset({"ok", "few_beats"})  # a segment of any other status has no feature vector


@dataclass(frozen=True, eq=False)
class Delineation:
    """Fiducial points of the B beats of n segments, as flat arrays; a sample index counts from its segment's start.

    `segment` is int64 [B], ascending: which of the n segments a beat belongs to. `r_peaks` is int64 [B], strictly
    ascending within a segment. The eight waves are float64 [B], NaN where that wave of that beat was not found.
    `status` has n words of `STATUSES`; a segment of `poor_quality` has no beats.
    """

    segment: NDArray[np.int64]
    r_peaks: NDArray[np.int64]
    p_onset: NDArray[np.float64]
    p_peak: NDArray[np.float64]
    p_offset: NDArray[np.float64]
    qrs_onset: NDArray[np.float64]
    qrs_offset: NDArray[np.float64]
    t_onset: NDArray[np.float64]
    t_peak: NDArray[np.float64]
    t_offset: NDArray[np.float64]
    status: tuple[str, ...]

    @classmethod
    def from_points(
        cls,
        segment: NDArray[np.int64],
        r_peaks: NDArray[np.int64],
        waves: Mapping[str, NDArray[np.float64]],
        segments: int,
    ) -> Delineation:
        """What an engine found in `segments` segments, impossible points dropped (`in_order`), with each its status.

        `waves` has the eight of `WAVES`, float64 [B]. Segments that come to `no_beats` or `delineation_failed` keep
        their R peaks and lose their waves.
        """
        points = in_order(waves, r_peaks, segment)
        beats = np.bincount(segment, minlength=segments)
        is_bounded = ~np.isnan(points["qrs_onset"]) | ~np.isnan(points["qrs_offset"])
        bounded = np.bincount(segment[is_bounded], minlength=segments)
        status = np.where(
            beats < 2,
            "no_beats",
            np.where(bounded == 0, "delineation_failed", np.where(beats == 2, "few_beats", "ok")),
        )
        delineated = ((beats >= 2) & (bounded > 0))[segment]
        points = {wave: _keep(points[wave], delineated) for wave in WAVES}
        return cls(segment=segment, r_peaks=r_peaks, status=tuple(status.tolist()), **points)

    @classmethod
    def join(cls, parts: Sequence[Delineation]) -> Delineation:
        """The segments of all parts, in order."""
        first = np.cumsum([0, *(part.segments for part in parts)])
        none = np.empty(0, dtype=np.int64)
        waves = {wave: np.concatenate([none * np.nan, *(getattr(part, wave) for part in parts)]) for wave in WAVES}
        return cls(
            segment=np.concatenate([none, *(part.segment + i for part, i in zip(parts, first[:-1], strict=True))]),
            r_peaks=np.concatenate([none, *(part.r_peaks for part in parts)]),
            status=tuple(word for part in parts for word in part.status),
            **waves,
        )

    @property
    def segments(self) -> int:
        """n."""
        return len(self.status)

    @cached_property
    def bounds(self) -> NDArray[np.int64]:
        """int64 [n + 1]: the beats of segment i are `bounds[i]` up to, not including, `bounds[i + 1]`."""
        return np.searchsorted(self.segment, np.arange(self.segments + 1)).astype(np.int64)

    def of(self, i: int) -> Delineation:
        """Segment i alone, as a delineation of one segment. Its arrays are views."""
        i = range(self.segments)[i]
        beats = slice(self.bounds[i], self.bounds[i + 1])
        flat = {name: getattr(self, name)[beats] for name in ("r_peaks", *WAVES)}
        return Delineation(segment=np.zeros(len(flat["r_peaks"]), np.int64), status=(self.status[i],), **flat)

    def intervals(self, i: int) -> NDArray[np.int64]:
        """P, QRS and T intervals of segment i with both ends found, by onset: int64 [I, 3] (kind, onset, offset).

        Kind 0 is P, 1 QRS, 2 T; the interval is `[onset, offset)`. Found for all segments at once at the first call.
        """
        intervals, bounds = self._intervals
        i = range(self.segments)[i]
        return intervals[bounds[i] : bounds[i + 1]]

    @cached_property
    def _intervals(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        waves = ("p", "qrs", "t")
        kind = np.repeat(np.arange(len(waves)), len(self.segment))
        onset = np.concatenate([getattr(self, f"{wave}_onset") for wave in waves])
        offset = np.concatenate([getattr(self, f"{wave}_offset") for wave in waves])
        found = np.flatnonzero(~np.isnan(onset) & ~np.isnan(offset))
        segment = np.tile(self.segment, len(waves))[found]
        order = np.lexsort((offset[found], onset[found], segment))
        rows = np.stack([kind[found], onset[found].astype(np.int64), offset[found].astype(np.int64)], axis=1)[order]
        return rows, np.searchsorted(segment[order], np.arange(self.segments + 1))

    def without(self, poor: NDArray[np.bool_]) -> Delineation:
        """The same with the segments where `poor` [n] is true made `poor_quality`: they have no beats any more."""
        kept = ~poor[self.segment]
        flat = {name: getattr(self, name)[kept] for name in ("segment", "r_peaks", *WAVES)}
        status = np.where(poor, "poor_quality", np.array(self.status, dtype=object))
        return Delineation(status=tuple(status.tolist()), **flat)


def without_waves(r_peaks: NDArray[np.int64], status: str) -> Delineation:
    """One segment whose R peaks are known at most: every wave is missing."""
    missing = {wave: np.full(len(r_peaks), np.nan) for wave in WAVES}
    peaks = np.asarray(r_peaks, dtype=np.int64)
    return Delineation(segment=np.zeros(len(peaks), np.int64), r_peaks=peaks, status=(status,), **missing)


def align(found: ArrayLike, r_peaks: NDArray[np.int64], *, before_r: bool) -> NDArray[np.float64]:
    """Give each found point of one segment to the beat it belongs to: float64 [B], NaN where a beat has none.

    A list of B points is taken beat by beat. A list of any other length (engines drop points, or leave out a beat) is
    placed by position. Either way a point counts for beat j only if it lies between its neighbours' R peaks: in
    `(R_{j-1}, R_j]` with `before_r` (P, QRS onset), in `[R_j, R_{j+1})` without it (QRS offset, T). Of two points for
    one beat the one nearer to its R peak stays.
    """
    points = np.asarray(found, dtype=np.float64).reshape(-1)
    beats = len(r_peaks)
    if before_r:
        owner = np.searchsorted(r_peaks, points, side="left")
    else:
        owner = np.searchsorted(r_peaks, points, side="right") - 1
    placed = ~np.isnan(points) & (owner >= 0) & (owner < beats)
    if len(points) == beats:
        placed &= owner == np.arange(beats)
    aligned = np.full(beats, np.nan)
    points, owner = points[placed], owner[placed]
    # numpy keeps the last value written to an index: write the farthest first, so that the nearest stays
    order = np.argsort(-np.abs(points - r_peaks[owner]), kind="stable")
    aligned[owner[order]] = points[order]
    return aligned


def in_order(
    waves: Mapping[str, NDArray[np.float64]], r_peaks: NDArray[np.int64], segment: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Drop points that no heart can give, each on its own; what follows a dropped point is kept. All arrays are [B].

    Within a beat: P onset < P peak < P offset <= QRS onset <= R <= QRS offset <= T onset < T peak < T offset. T is over
    before the next beat of the segment begins (QRS onset, or R), and P peaks after the T peak of the beat before. An
    onset or offset without its peak is dropped as well.
    """
    r = r_peaks.astype(np.float64)
    kept = dict(waves)
    kept["qrs_onset"] = _keep(kept["qrs_onset"], kept["qrs_onset"] <= r)
    kept["qrs_offset"] = _keep(kept["qrs_offset"], kept["qrs_offset"] >= r)
    empty = kept["qrs_onset"] >= kept["qrs_offset"]
    kept["qrs_onset"], kept["qrs_offset"] = _keep(kept["qrs_onset"], ~empty), _keep(kept["qrs_offset"], ~empty)

    start = np.where(np.isnan(kept["qrs_onset"]), r, kept["qrs_onset"])
    end = np.where(np.isnan(kept["qrs_offset"]), r, kept["qrs_offset"])
    same = segment[1:] == segment[:-1]
    following = np.append(np.where(same, start[1:], np.inf), np.inf)[: len(r)]
    kept["t_peak"] = _keep(kept["t_peak"], (kept["t_peak"] > end) & (kept["t_peak"] < following))
    kept["t_onset"] = _keep(kept["t_onset"], (kept["t_onset"] >= end) & (kept["t_onset"] < kept["t_peak"]))
    kept["t_offset"] = _keep(kept["t_offset"], (kept["t_offset"] > kept["t_peak"]) & (kept["t_offset"] <= following))

    on_previous_t = np.zeros(len(r), dtype=bool)
    on_previous_t[1:] = (kept["p_peak"][1:] <= kept["t_peak"][:-1]) & same
    kept["p_peak"] = _keep(kept["p_peak"], (kept["p_peak"] < start) & ~on_previous_t)
    kept["p_onset"] = _keep(kept["p_onset"], kept["p_onset"] < kept["p_peak"])
    kept["p_offset"] = _keep(kept["p_offset"], (kept["p_offset"] > kept["p_peak"]) & (kept["p_offset"] <= start))
    return kept


def _keep(points: NDArray[np.float64], where: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.where(where, points, np.nan)
