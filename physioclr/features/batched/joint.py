"""The waves of each beat, located in all leads together, to 8 ms. What a single noisy or flat lead hides, others show.

Shapes: n segments, L leads, B beats, W samples of a window, t coarse samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from physioclr.features.batched.beats import Beats
from physioclr.features.batched.coarse import Coarse
from physioclr.features.batched.presence import p_present
from physioclr.features.batched.windows import (
    Ints,
    Line,
    Singles,
    average,
    corners,
    curvature,
    cut,
    highest,
    inside,
    mean_by_segment,
)

# All in coarse samples of 8 ms, chosen on LUDB and PTB-XL: see docs/features.md.
_QRS_BEFORE, _QRS_AFTER = 28, 28  # about the middle of the QRS complex: where it begins and ends
_QRS_MARGIN = 1, 2  # cut out with a complex
_SMOOTH = 5  # 40 ms: P and T waves have nothing faster
_T_REACH, _P_REACH = 8, 6  # from a wave's peak: half its usual duration
_T_AFTER_QRS, _T_LATEST = 5, 60
_T_SHARE_OF_RR = 0.6
_P_AFTER_T, _P_EARLIEST = 11, 38  # the latter before the middle of the QRS complex: 304 ms
_EDGE = 2  # a peak nearer to the segment's end than this is cut


@dataclass(frozen=True, eq=False)
class Waves:
    """Coarse indices [B]: `qrs_onset` and `qrs_offset` always, `t_peak` and `p_peak` -1 where there is none."""

    qrs_onset: Ints
    qrs_offset: Ints
    t_peak: Ints
    p_peak: Ints


def find_waves(found: Coarse, beats: Beats) -> Waves:
    """QRS bounds by the activity's corners, then T and P by their curvature once the QRS complexes are cut out."""
    onset, offset = _qrs_bounds(found, beats)
    lines = without_qrs(found.lines, beats.segment, onset - _QRS_MARGIN[0], offset + _QRS_MARGIN[1])
    lines *= np.sqrt(found.gain).astype(np.float32)[..., None]
    rest = average(lines, _SMOOTH)
    t_curve, p_curve = (_zero_ended(curvature(rest, reach)) for reach in (_T_REACH, _P_REACH))
    t_peak = _t_peaks(t_curve, beats, offset)
    p_energy = _energy(p_curve)
    p_peak = _p_peaks(p_curve, p_energy, beats, onset, t_peak)
    present = p_present(p_curve, p_energy, lines, beats, offset, p_peak)
    return Waves(onset, offset, t_peak, np.where(present, p_peak, -1))


def without_qrs(lines: Line, segment_B: Ints, onset_B: Ints, offset_B: Ints) -> Line:
    """Lines [n, ..., t] with a straight line from each onset to each offset (held inside the line), as a copy."""
    size = lines.shape[-1]
    start, stop = np.clip(onset_B, 0, size - 1), np.clip(offset_B, 0, size - 1)
    out = lines.copy()
    if not len(start):
        return out
    steps = np.arange(int((stop - start).max()) + 1)
    inside = steps <= (stop - start)[:, None]
    beat, step = np.nonzero(inside)
    share = step / np.maximum(stop - start, 1)[beat]
    segment = segment_B[beat]
    first, last = lines[segment, ..., start[beat]], lines[segment, ..., stop[beat]]
    share = share.reshape(-1, *[1] * (first.ndim - 1))
    out[segment, ..., start[beat] + step] = first + (last - first) * share
    return out


def _qrs_bounds(found: Coarse, beats: Beats) -> tuple[Ints, Ints]:
    # the square root lifts the faint beginning and end of a complex against its steep middle
    slope = np.zeros_like(found.smooth)
    np.subtract(found.smooth[..., 2:], found.smooth[..., :-2], out=slope[..., 1:-1])
    np.abs(slope, out=slope)
    np.sqrt(slope, out=slope)
    slope *= np.sqrt(np.sqrt(found.gain)).astype(np.float32)[..., None]
    activity = slope.sum(axis=1).astype(np.float64)
    start = beats.at - _QRS_BEFORE
    onset, offset = corners(cut(activity, beats.segment, start, _QRS_BEFORE + _QRS_AFTER), _QRS_BEFORE)
    return start + onset, start + offset


def _zero_ended(curve: Singles) -> Singles:
    """So that a window that reaches beyond the segment, where it is held inside, adds nothing there."""
    curve[..., 0] = curve[..., -1] = 0.0
    return curve


def _energy(curve: Singles) -> Singles:
    """Sum of squares over the leads: [n, t]."""
    return np.asarray((curve * curve).sum(axis=1))


def _search(curve: Singles, energy: Singles, beats: Beats, base: Ints, start: Ints, stop: Ints, width: int) -> Ints:
    """Where a wave is: coarse index [B] from start to stop, both included; -1 where none is or a segment's end cuts it.

    `base` is where the window of `width` samples begins, equally far from the QRS complex in all beats. What counts is
    the energy of the beat's own curvature and that of the mean over the segment's beats: one disturbed beat follows
    the others.
    """
    mean = mean_by_segment(cut(curve, beats.segment, base, width), beats.is_first)
    shared = (mean * mean).sum(axis=1)[np.cumsum(beats.is_first) - 1]
    place = base[:, None] + np.arange(width)
    allowed = inside(base, width, curve.shape[2]) & (place >= start[:, None]) & (place <= stop[:, None])
    column, value = highest(cut(energy, beats.segment, base, width) + shared, allowed)
    at = base + column
    is_cut = (at < _EDGE) | (at >= curve.shape[2] - _EDGE)
    return np.where((value > 0) & ~is_cut, at, -1)


def _t_peaks(curve: Singles, beats: Beats, qrs_offset: Ints) -> Ints:
    stop = beats.at + np.minimum(_T_SHARE_OF_RR * beats.rr_after, _T_LATEST).astype(np.int64)
    return _search(curve, _energy(curve), beats, beats.at, qrs_offset + _T_AFTER_QRS, stop, _T_LATEST + 1)


def _p_peaks(curve: Singles, energy: Singles, beats: Beats, qrs_onset: Ints, t_peak: Ints) -> Ints:
    t_before = np.full(len(t_peak), -_P_EARLIEST)
    t_before[1:] = np.where(beats.is_first[1:] | (t_peak[:-1] < 0), -_P_EARLIEST, t_peak[:-1])
    base = beats.at - _P_EARLIEST
    return _search(curve, energy, beats, base, np.maximum(t_before + _P_AFTER_T, base), qrs_onset, _P_EARLIEST + 1)
