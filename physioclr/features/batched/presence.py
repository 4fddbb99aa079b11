"""Which of the places before the QRS complexes hold a P wave, and which only a fibrillating atrium, a flutter wave or
the spike of a pacemaker.

Shapes: n segments, L leads, B beats, W samples of a window, t coarse samples, h samples of every other coarse one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from physioclr.features.batched.beats import Beats
from physioclr.features.batched.windows import (
    Floats,
    Ints,
    Singles,
    cut,
    mean_by_segment,
    pick,
    sum_by_segment,
)
from physioclr.features.grouped import Grouped

# In coarse samples of 8 ms, chosen on LUDB and on the rhythm statements of PTB-XL: see docs/features.md.
_BEFORE_QRS, _BEFORE_WIDTH = 34, 29  # the window before the QRS complex that is compared from beat to beat
_AROUND_P = 10  # and the one to either side of a P wave's peak
_P_ALIKE = 0.4  # cosine of a beat's P wave with the others' sum, at least
_P_RECURS = 0.5  # median over the segment's beats of the same for the window before the QRS complex
_P_HEIGHT = 2.2  # median over the beats of a P wave's curvature over that of quiet stretches ...
_QUIET = 0.25  # ... which is this quantile over the segment

_LEFT = 0.2  # of that median, when what speaks for f waves is taken off, at least:
_OF_PERIOD, _OF_ANOTHER = 1.5, 0.5  # how much of each
_STEP = 2  # every other coarse sample will do for f waves, and from here on is the unit:
_CYCLES = range(9, 17)  # of 144 to 256 ms, 234 to 416 a minute
_AROUND_F, _NEXT_F = 4, range(8, 17)  # half of a wave; from one to the next
_AFTER_QRS = 4  # coarse samples again: nearer to the QRS complex no wave is looked for

_AROUND_SPIKE, _SPIKE_WIDTH = 8, 2  # a spike is so near to the peak, and sharper than what is farther from it than that
_NOISE = 4.0  # times the mean energy of what is around: noise alone has such points
_AT_PEAK = 6  # to either side: what the spike is compared with
_SPIKE = 0.24  # of the wave's curvature


def p_present(
    curve: Singles, energy: Singles, lines: Singles, beats: Beats, qrs_offset: Ints, p_peak: Ints
) -> NDArray[np.bool_]:
    """Whether the wave at `p_peak` (-1: none) is a P wave: bool [B].

    A P wave recurs before the QRS complexes, in the same shape in all leads, and stands out from the rest. The more
    the leads repeat themselves at the pace of f waves, and the more the next such wave follows behind the QRS complex,
    the better it has to recur. `curve` [n, L, t] is the weighted leads' curvature,
    `energy` [n, t] its sum of squares over the leads, and `lines` the leads without QRS complexes before any smoothing.
    """
    segments = len(energy)
    rank = int(_QUIET * (energy.shape[1] - 1))
    quiet = np.partition(energy, rank, axis=1)[:, rank]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        height = np.where(p_peak >= 0, energy[beats.segment, p_peak] / quiet[beats.segment], np.nan)
    fixed = likeness(curve, beats, beats.at - _BEFORE_QRS, _BEFORE_WIDTH)
    moving = likeness(curve, beats, p_peak - _AROUND_P, 2 * _AROUND_P + 1)
    common = Grouped.of(fixed, beats.segment, segments).median()
    half = np.ascontiguousarray(curve[..., ::_STEP])
    left = common - _OF_PERIOD * period(half) - _OF_ANOTHER * another(half, beats, qrs_offset, p_peak)
    steady = ((common >= _P_RECURS) & (left >= _LEFT))[beats.segment]
    recurs = (beats.is_first & beats.is_last) | ((np.fmax(fixed, moving) >= _P_ALIKE) & steady)
    typical = Grouped.of(height, beats.segment, segments).median()
    stands_out = (typical >= _P_HEIGHT**2) & ~(sharpness(lines, energy, beats, p_peak) > _SPIKE)
    return (p_peak >= 0) & recurs & stands_out[beats.segment]


def likeness(curve: Singles, beats: Beats, start: Ints, width: int) -> Floats:
    """Correlation of each beat's window with the sum of the segment's others, over all leads: [B], NaN if alone."""
    windows = cut(curve, beats.segment, start, width).reshape(len(start), width * curve.shape[1])
    length = np.sqrt((windows * windows).sum(axis=1))
    windows /= np.where(length > 0, length, 1.0)[:, None]  # or one large disturbed beat speaks for all others
    others = sum_by_segment(windows, beats.is_first)[np.cumsum(beats.is_first) - 1] - windows
    length = np.sqrt((others * others).sum(axis=1))
    likeness = (windows * others).sum(axis=1) / np.where(length > 0, length, 1.0)
    return np.where(beats.is_first & beats.is_last, np.nan, likeness)


def period(half: Singles) -> Floats:
    """How much of all leads comes again after one cycle of f waves, whichever fits best: [n], from 0 to 1."""
    whole = np.einsum("nlh,nlh->nl", half, half).sum(axis=1)
    again = [np.einsum("nlh,nlh->nl", half[..., lag:], half[..., :-lag]).sum(axis=1) for lag in _CYCLES]
    best = np.maximum(np.max(again, axis=0), 0.0)
    return np.asarray(best / np.where(whole > 0, whole, 1.0), dtype=np.float64)


def another(half: Singles, beats: Beats, qrs_offset: Ints, p_peak: Ints) -> Floats:
    """How like the segment's mean P wave is what comes one cycle after it, behind the QRS complex: [n], from 0 to 1.

    Alike in shape in all leads and in size, 2ab / (aa + bb); of the cycles the best one of each beat, and of the beats
    the median. 0 where nothing lies there.
    """
    peak, leads, size = p_peak // _STEP, *half.shape[1:]
    width = leads * (2 * _AROUND_F + 1)
    is_whole = (peak >= _AROUND_F) & (peak < size - _AROUND_F)
    waves = _flat(half, beats, peak - _AROUND_F, 2 * _AROUND_F + 1) * is_whole[:, None].astype(np.float32)
    share = mean_by_segment(is_whole.astype(np.float32), beats.is_first)
    wave = mean_by_segment(waves, beats.is_first) / np.where(share > 0, share, np.float32(1.0))[:, None]
    wave = wave[np.cumsum(beats.is_first) - 1]
    power = np.einsum("bw,bw->b", wave, wave)
    after = _flat(half, beats, peak + _NEXT_F.start - _AROUND_F, 2 * _AROUND_F + len(_NEXT_F))
    alike = np.full(len(peak), np.nan)
    for step, lag in enumerate(_NEXT_F):
        other = after[:, leads * step : leads * step + width]
        both = power + np.einsum("bw,bw->b", other, other)
        value = 2.0 * np.einsum("bw,bw->b", wave, other) / np.where(both > 0, both, 1.0)
        free = is_whole & ((peak + lag) * _STEP > qrs_offset + _AFTER_QRS) & (peak + lag < size - _AROUND_F)
        alike = np.fmax(alike, np.where(free, value, np.nan))
    return np.maximum(np.nan_to_num(Grouped.of(alike, beats.segment, len(half)).median()), 0.0)


def _flat(half: Singles, beats: Beats, start: Ints, width: int) -> Singles:
    """Windows [B, W * L], a sample's leads side by side: a later start is further on in the same row."""
    windows = cut(half, beats.segment, start, width).swapaxes(1, 2)
    return windows.reshape(len(start), width * half.shape[1])


def sharpness(lines: Singles, energy: Singles, beats: Beats, p_peak: Ints) -> Floats:
    """How much of a wave is a spike of one or two coarse samples, and not noise: median over the beats, [n].

    A P wave lasts 60 ms or more, the spike of a pacemaker that drives the atrium or the ventricle 2 ms.
    """
    windows = cut(lines, beats.segment, p_peak - _AROUND_SPIKE, 2 * _AROUND_SPIKE + 1)
    fast = 2.0 * windows[..., 1:-1] - windows[..., :-2] - windows[..., 2:]
    fast = np.einsum("blw,blw->bw", fast, fast)
    best = fast.argmax(axis=1)
    around = np.abs(np.arange(fast.shape[1]) - best[:, None]) > _SPIKE_WIDTH
    noise = (fast * around).sum(axis=1) / around.sum(axis=1)
    wave = cut(energy, beats.segment, p_peak - _AT_PEAK, 2 * _AT_PEAK + 1).sum(axis=1)
    spike = np.maximum(pick(fast, best) - _NOISE * noise, 0.0) / np.where(wave > 0, wave, 1.0)
    known = np.where(p_peak >= 0, np.sqrt(spike), np.nan)
    return np.asarray(Grouped.of(known, beats.segment, len(energy)).median())
