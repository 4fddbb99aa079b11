"""Where the waves of each beat are, whichever engine found them. NaN means not found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

WAVES = ("p_onset", "p_peak", "p_offset", "qrs_onset", "qrs_offset", "t_onset", "t_peak", "t_offset")

STATUSES = {
    "ok": "three or more beats were found and delineated",
    "few_beats": "two beats only: one RR interval, no variability",
    "no_beats": "fewer than two R peaks (also flat and missing signals): nothing can be measured",
    "delineation_failed": "R peaks were found, but no QRS complex could be delineated: only the rhythm is measured",
}
USABLE = frozenset({"ok", "few_beats"})  # a segment of any other status has no feature vector


@dataclass(frozen=True)
class Delineation:
    """Fiducial points of B beats in one segment, as sample indices.

    `r_peaks` is int64 [B], strictly ascending. The others are float64 [B], one entry a beat, NaN where that wave of
    that beat was not found. `status` is a word of `STATUSES`.
    """

    r_peaks: NDArray[np.int64]
    p_onset: NDArray[np.float64]
    p_peak: NDArray[np.float64]
    p_offset: NDArray[np.float64]
    qrs_onset: NDArray[np.float64]
    qrs_offset: NDArray[np.float64]
    t_onset: NDArray[np.float64]
    t_peak: NDArray[np.float64]
    t_offset: NDArray[np.float64]
    status: str

    def intervals(self) -> NDArray[np.int64]:
        """P, QRS and T intervals with both ends found, by onset: int64 [I, 3], each (kind, onset, offset).

        Kind 0 is P, 1 QRS, 2 T; the interval is `[onset, offset)`.
        """
        found = np.concatenate(
            [
                np.column_stack(
                    [np.full(len(self.r_peaks), kind), getattr(self, f"{w}_onset"), getattr(self, f"{w}_offset")]
                )
                for kind, w in enumerate(("p", "qrs", "t"))
            ]
        )
        found = found[~np.isnan(found).any(axis=1)].astype(np.int64)
        return found[np.lexsort((found[:, 2], found[:, 1]))]


def without_waves(r_peaks: NDArray[np.int64], status: str) -> Delineation:
    """A delineation that knows R peaks at most: every wave is missing."""
    missing = {wave: np.full(len(r_peaks), np.nan) for wave in WAVES}
    return Delineation(r_peaks=np.asarray(r_peaks, dtype=np.int64), status=status, **missing)


def align(found: ArrayLike, r_peaks: NDArray[np.int64], *, before_r: bool) -> NDArray[np.float64]:
    """Give each found point to the beat it belongs to: float64 [B], NaN where a beat has none.

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


def in_order(waves: dict[str, NDArray[np.float64]], r_peaks: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Drop points that no heart can give, each on its own; what follows a dropped point is kept.

    Within a beat: P onset < P peak < P offset <= QRS onset <= R <= QRS offset <= T onset < T peak < T offset. A P peak
    comes after the T peak of the beat before. An onset or offset without its peak is dropped as well.
    """
    r = r_peaks.astype(np.float64)
    kept = dict(waves)
    kept["qrs_onset"] = _keep(kept["qrs_onset"], kept["qrs_onset"] <= r)
    kept["qrs_offset"] = _keep(kept["qrs_offset"], kept["qrs_offset"] >= r)
    empty = kept["qrs_onset"] >= kept["qrs_offset"]
    kept["qrs_onset"], kept["qrs_offset"] = _keep(kept["qrs_onset"], ~empty), _keep(kept["qrs_offset"], ~empty)

    start = np.where(np.isnan(kept["qrs_onset"]), r, kept["qrs_onset"])
    end = np.where(np.isnan(kept["qrs_offset"]), r, kept["qrs_offset"])
    kept["t_peak"] = _keep(kept["t_peak"], kept["t_peak"] > end)
    kept["t_onset"] = _keep(kept["t_onset"], (kept["t_onset"] >= end) & (kept["t_onset"] < kept["t_peak"]))
    kept["t_offset"] = _keep(kept["t_offset"], kept["t_offset"] > kept["t_peak"])

    previous_t = np.concatenate([[-np.inf], kept["t_peak"][:-1]])[: len(r)]
    on_previous_t = kept["p_peak"] <= previous_t
    kept["p_peak"] = _keep(kept["p_peak"], (kept["p_peak"] < start) & ~on_previous_t)
    kept["p_onset"] = _keep(kept["p_onset"], kept["p_onset"] < kept["p_peak"])
    kept["p_offset"] = _keep(kept["p_offset"], (kept["p_offset"] > kept["p_peak"]) & (kept["p_offset"] <= start))
    return kept


def _keep(points: NDArray[np.float64], where: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.where(where, points, np.nan)
