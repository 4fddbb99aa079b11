"""Peaks and bounds in the one signal that is measured, at 500 Hz, near where all leads together have the waves.

Shapes: n segments, T samples, B beats, W samples of a window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physioclr.features.batched import windows
from physioclr.features.batched.beats import Beats
from physioclr.features.batched.joint import Waves, without_qrs
from physioclr.features.batched.windows import Floats, Ints, Singles, average, cut, highest, inside, pick
from physioclr.features.grouped import Grouped
from physioclr.features.lead import STEP


@dataclass(frozen=True)
class _Shape:
    """How a wave looks at 500 Hz, all in samples: chosen on LUDB, see docs/features.md.

    `curve`: half its usual duration; `search`: how far its most bent point may be from where all leads have the wave,
    and `refine`: its peak from there; `before`, `after`: how far it reaches from its peak; `steepest`: its flank.
    """

    curve: int
    search: int
    refine: int
    before: int
    after: int
    steepest: int


_SHAPES = {
    "t": _Shape(curve=32, search=25, refine=12, before=70, after=55, steepest=50),
    "p": _Shape(curve=22, search=15, refine=8, before=44, after=36, steepest=25),
}
_SMOOTH, _TIP_SMOOTH, _TIP = 13, 7, 12
_STEADY = 0.5  # of a bound's distance from its peak: how far it is drawn towards the segment's median

_MIDDLE = STEP // 2  # from a coarse sample's index to its middle
_BEFORE, _AFTER = 80, 120  # about the middle of the QRS complex: where it begins and ends
_QRS_SMOOTH = 7
_JOINT = 0.5  # of QRS bounds: how far from this signal's own they are drawn towards those of all leads
_WIDEN = 4  # at either side of the QRS complex: where the R peak may lie, and what is cut out with the complex
_APART = 6  # at least, of an R peak from half way to the next beat: R peaks stay apart at 50 Hz as well
_LEAST_R = 0.08  # of the complex's height, above the line from onset to offset: less is no R wave


def measure_waves(signal_nT: Singles, beats: Beats, waves: Waves) -> tuple[Ints, dict[str, Floats]]:
    """R peaks int64 [B] and the eight waves of `delineation.WAVES`, float64 [B], as samples at 500 Hz; NaN: none."""
    onset, offset = _qrs_bounds(signal_nT, beats, waves)
    found = {"qrs_onset": onset.astype(np.float64), "qrs_offset": offset.astype(np.float64)}
    rest = without_qrs(signal_nT, beats.segment, onset, offset + _WIDEN)
    smooth, tips = average(rest, _SMOOTH, times=2), average(rest, _TIP_SMOOTH)
    for name, coarse in (("t", waves.t_peak), ("p", waves.p_peak)):
        shape, there = _SHAPES[name], coarse >= 0
        peak, sign = _extreme(smooth, beats, coarse * STEP + _MIDDLE, there, shape)
        start = _bound(smooth, beats.segment, peak, sign, -1, shape.before, shape.steepest)
        stop = _bound(smooth, beats.segment, peak, sign, 1, shape.after, shape.steepest)
        found[f"{name}_onset"] = peak + _steady(start - peak, there, beats, len(rest))
        found[f"{name}_peak"] = np.where(there, _tip(tips, beats.segment, peak, sign, _TIP), np.nan)
        found[f"{name}_offset"] = peak + _steady(stop - peak, there, beats, len(rest))
    return _r_peaks(signal_nT, beats, onset - _WIDEN, offset + _WIDEN), found


def r_peaks_of_cut(signal_nT: Singles, cut_beats: Beats) -> tuple[Ints, NDArray[np.bool_]]:
    """R peaks int64 [B] of complexes that the segment's ends cut, and whether they are peaks, bool [B]: the first and
    the last sample are flanks, whose peaks lie outside."""
    onset, offset = _own_qrs_bounds(signal_nT, cut_beats)
    size = signal_nT.shape[1]
    at = _r_peaks(signal_nT, cut_beats, np.clip(onset, 0, size - 1), np.clip(offset, 0, size - 1))
    return at, (at > 0) & (at < size - 1)


def _qrs_bounds(signal: Singles, beats: Beats, waves: Waves) -> tuple[Ints, Ints]:
    """Half way between the corners of this signal's activity and those of all leads'."""
    onset, offset = _own_qrs_bounds(signal, beats)
    last = signal.shape[1] - 1
    return _mixed(onset, waves.qrs_onset, last), _mixed(offset, waves.qrs_offset, last)


def _own_qrs_bounds(signal: Singles, beats: Beats) -> tuple[Ints, Ints]:
    slope = np.zeros_like(signal)
    smooth = average(signal, _QRS_SMOOTH)
    np.subtract(smooth[:, 2:], smooth[:, :-2], out=slope[:, 1:-1])
    start = beats.at * STEP + _MIDDLE - _BEFORE
    activity = np.sqrt(np.abs(cut(slope, beats.segment, start, _BEFORE + _AFTER)))
    onset, offset = windows.corners(activity, _BEFORE)
    return start + onset, start + offset


def _mixed(own: Ints, joint: Ints, last: int) -> Ints:
    mixed = (1 - _JOINT) * own + _JOINT * (joint * STEP + _MIDDLE)
    return np.clip(np.rint(mixed).astype(np.int64), 0, last)


def _r_peaks(signal: Singles, beats: Beats, onset: Ints, offset: Ints) -> Ints:
    """The highest point above the line from onset to offset, so that a raised ST segment is not it.

    Where no point stands above that line there is no R wave: then the steepest fall is the beat's place. Either is
    nearer to its own beat than to the next, or two beats that are close in noise would share one.
    """
    middle = beats.at * STEP + _MIDDLE
    onset = np.maximum(onset, middle + _APART - (beats.rr_before * (STEP / 2)).astype(np.int64))
    offset = np.minimum(offset, middle - _APART + (beats.rr_after * (STEP / 2)).astype(np.int64))
    width = _BEFORE + _AFTER + 2 * _WIDEN
    values = cut(signal, beats.segment, onset, width)
    length = np.minimum(offset - onset, width - 1)
    first, last = values[:, :1], pick(values, length)[:, None]
    column = np.arange(width)
    slope = (last - first) / np.maximum(length, 1).astype(values.dtype)[:, None]
    above = values - (first + slope * column.astype(values.dtype))
    allowed = inside(onset, width, signal.shape[1]) & (column <= length[:, None])
    best, up = highest(above, allowed)
    _, down = highest(-above, allowed)
    fall, _ = highest(-np.diff(values, axis=1), allowed[:, 1:])
    return np.clip(onset + np.where(up > _LEAST_R * (up + down), best, fall), 0, signal.shape[1] - 1)


def _extreme(
    smooth: Singles, beats: Beats, near: Ints, has_wave: NDArray[np.bool_], shape: _Shape
) -> tuple[Ints, Singles]:
    """A wave's peak near a place, and its sign: where this beat and those of the segment's others that have the wave
    are most bent, then the highest or lowest point there."""
    size, segment = smooth.shape[1], beats.segment
    start, width = near - shape.search, 2 * shape.search + 1
    there = inside(start, width, size)
    bent = cut(windows.curvature(smooth, shape.curve), segment, start, width)
    bent = np.where(there & has_wave[:, None], bent, np.float32(0.0))
    with_wave = np.maximum(windows.sum_by_segment(has_wave.astype(bent.dtype), beats.is_first), 1)
    mean = windows.sum_by_segment(bent, beats.is_first) / with_wave[:, None]
    bent = bent + mean[np.cumsum(beats.is_first) - 1]
    column, _ = highest(np.abs(bent), there)
    sign = np.where(pick(bent, column) < 0, np.float32(-1.0), np.float32(1.0))
    return _tip(smooth, segment, np.clip(near - shape.search + column, 0, size - 1), sign, shape.refine), sign


def _tip(signal: Singles, segment: Ints, near: Ints, sign: Singles, reach: int) -> Ints:
    """The highest (sign 1) or lowest (-1) point within `reach` samples."""
    start, width = near - reach, 2 * reach + 1
    values = cut(signal, segment, start, width) * sign[:, None]
    column, _ = highest(values, inside(start, width, signal.shape[1]))
    return start + column


def _bound(smooth: Singles, segment: Ints, peak: Ints, sign: Singles, side: int, reach: int, steepest: int) -> Ints:
    """Onset (side -1) or offset (side 1) of a wave.

    From the steepest point of the flank, the bound is where the trapezium under the rest of the flank is largest
    (Vazquez-Seisdedos et al. 2011, doi:10.1186/1475-925X-10-43): no threshold, no tangent, hardly moved by noise.
    """
    column = np.arange(reach)
    flank = cut(smooth, segment, peak if side > 0 else peak - reach + 1, reach)[:, ::side] * sign[:, None]
    steep = np.diff(flank, axis=1)[:, :steepest].argmin(axis=1)
    level = pick(flank, steep)[:, None]
    area = (level - flank) * (2 * (reach - 1) - column - steep[:, None]).astype(flank.dtype)
    best, _ = highest(area, column >= steep[:, None])
    return np.clip(peak + side * best, 0, smooth.shape[1] - 1)


def _steady(distance: Ints, there: NDArray[np.bool_], beats: Beats, segments: int) -> Floats:
    """A bound's distance from its peak, half way to the segment's median: within 5 s a wave's length changes little."""
    known = np.where(there, distance, np.nan)
    median = Grouped.of(known, beats.segment, segments).median()[beats.segment]
    return np.rint((1 - _STEADY) * known + _STEADY * median)
