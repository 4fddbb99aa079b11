"""From fiducial points to 150 numbers, whichever engine found the points. `columns.py` has every definition.

Nothing here knows the signal's unit: there is no absolute voltage, so mV and normalised signals go the same way.
Shapes: T samples, B beats, M the 10 measures.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from physioclr.features.columns import COLUMNS, FIRST_BEATS, MEASURES
from physioclr.features.delineation import Delineation

Floats = NDArray[np.float64]

_BASELINE_S = 0.080  # before QRS onset
_ST_S = 0.060  # after QRS offset
_P_REACH_S = 0.300  # a P wave further than this before QRS onset is not looked for
_BEAT_BEFORE_S, _BEAT_AFTER_S = 0.200, 0.300  # the window compared from beat to beat
_PREMATURE = 0.8
_NN50_MS = 50.0


def measure(signal_T: NDArray[np.floating[Any]], delineation: Delineation, fs: int = 500) -> NDArray[np.float32]:
    """The features of one segment: float32 [150] in the order of `COLUMNS`, NaN where missing.

    `signal_T` is the cleaned lead that was delineated, in any unit. Never raises on missing waves or few beats.
    """
    signal = np.asarray(signal_T, dtype=np.float64)
    if not len(delineation.r_peaks):
        return np.full(len(COLUMNS), np.nan, dtype=np.float32)
    baseline_B = _baseline(signal, delineation.qrs_onset, fs)
    beats_MB = per_beat(signal, delineation, baseline_B, fs)
    first = np.full((len(MEASURES), FIRST_BEATS), np.nan)
    taken = beats_MB[:, :FIRST_BEATS]
    first[:, : taken.shape[1]] = taken
    st_B = _at(signal, delineation.qrs_offset + round(_ST_S * fs)) - baseline_B
    values = np.concatenate(
        [
            first.ravel(),
            statistics(beats_MB).ravel(),
            _rhythm(beats_MB[0][:-1]),
            _shares(delineation, beats_MB[7], fs),
            _level_and_spread(st_B),
            _likeness(signal, delineation.r_peaks, fs),
        ]
    )
    return values.astype(np.float32)


def per_beat(signal: Floats, d: Delineation, baseline_B: Floats, fs: int) -> Floats:
    """The 10 measures of every beat, float64 [M, B], rows in the order of `columns.MEASURES`."""
    ms = 1000.0 / fs
    r = d.r_peaks.astype(np.float64)
    rr = np.append(np.diff(r), np.nan) * ms
    preceding = np.roll(rr, 1)
    preceding[0] = np.median(rr[:-1]) if len(r) > 1 else np.nan
    qt = (d.t_offset - d.qrs_onset) * ms
    return np.stack(
        [
            rr,
            (d.qrs_onset - d.p_onset) * ms,
            (d.qrs_offset - d.qrs_onset) * ms,
            qt / np.sqrt(preceding / 1000.0),
            (d.p_offset - d.p_onset) * ms,
            (d.t_offset - d.t_onset) * ms,
            _at(signal, r) - baseline_B,
            _at(signal, d.t_peak) - baseline_B,
            _at(signal, d.p_peak) - baseline_B,
            _steepest(signal, d.qrs_onset, d.qrs_offset, fs),
        ]
    )


def statistics(values_MB: Floats) -> Floats:
    """Mean, standard deviation (n - 1), median and inter-quartile range of each row's numbers: float64 [M, 4]."""
    count = (~np.isnan(values_MB)).sum(axis=1)
    ascending = np.sort(values_MB, axis=1)  # NaN goes last
    present = np.where(np.isnan(ascending), 0.0, ascending)
    mean = present.sum(axis=1) / np.where(count > 0, count, np.nan)
    squares = np.where(np.isnan(ascending), 0.0, ascending - mean[:, None]) ** 2
    deviation = np.sqrt(squares.sum(axis=1) / np.where(count > 1, count - 1, np.nan))
    quartiles = [_quantile(ascending, count, q) for q in (0.25, 0.5, 0.75)]
    spread = np.where(count > 1, quartiles[2] - quartiles[0], np.nan)
    return np.stack([mean, deviation, quartiles[1], spread], axis=1)


def _quantile(ascending: Floats, count: NDArray[np.int64], q: float) -> Floats:
    """Linear quantile of the first `count` numbers of each row; NaN where there are none."""
    position = q * np.maximum(count - 1, 0)
    lower = np.floor(position).astype(np.int64)
    upper = np.minimum(lower + 1, np.maximum(count - 1, 0))
    rows = np.arange(len(ascending))
    low, high = ascending[rows, lower], ascending[rows, upper]
    return low + (high - low) * (position - lower)


def _at(signal: Floats, index_B: Floats) -> Floats:
    """Signal at each index; NaN where the index is missing or outside."""
    inside = (index_B >= 0) & (index_B < len(signal))
    values: Floats = signal[np.where(inside, index_B, 0).astype(np.int64)]
    return np.where(inside, values, np.nan)


def _windows(signal: Floats, start_B: Floats, length: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Windows [B, length] from each start, and which of them are known and lie wholly inside the signal."""
    inside = (start_B >= 0) & (start_B + length <= len(signal))
    start = np.where(inside, start_B, 0).astype(np.int64)
    index = np.minimum(start[:, None] + np.arange(length), len(signal) - 1)
    return signal[index], inside


def _baseline(signal: Floats, qrs_onset_B: Floats, fs: int) -> Floats:
    length = round(_BASELINE_S * fs)
    windows, inside = _windows(signal, qrs_onset_B - length, length)
    return np.where(inside, np.median(windows, axis=1), np.nan)


def _steepest(signal: Floats, onset_B: Floats, offset_B: Floats, fs: int) -> Floats:
    known = ~np.isnan(onset_B) & ~np.isnan(offset_B)
    if not known.any():
        return np.full(len(onset_B), np.nan)
    onset = np.where(known, onset_B, 0).astype(np.int64)
    offset = np.where(known, offset_B, 0).astype(np.int64)
    index = onset[:, None] + np.arange(int((offset - onset).max()) + 1)
    slope = np.abs(np.gradient(signal))[np.minimum(index, len(signal) - 1)] * fs
    return np.where(known, np.where(index <= offset[:, None], slope, 0.0).max(axis=1), np.nan)


def _rhythm(rr: Floats) -> list[float]:
    """RMSSD, pNN50, coefficient of variation and share of premature beats, from the RR intervals in ms."""
    steps = np.diff(rr)
    rmssd = float(np.sqrt(np.mean(steps**2))) if len(steps) else np.nan
    pnn50 = float(np.mean(np.abs(steps) > _NN50_MS)) if len(steps) else np.nan
    variation = float(rr.std(ddof=1) / rr.mean()) if len(rr) > 1 else np.nan
    premature = float(np.mean(rr < _PREMATURE * np.median(rr))) if len(rr) > 1 else np.nan
    return [rmssd, pnn50, variation, premature]


def _shares(d: Delineation, t_amplitude_B: Floats, fs: int) -> list[float]:
    """Share of beats without P and of inverted T. A beat that was not delineated tells nothing about its P wave."""
    reachable = d.qrs_onset >= _P_REACH_S * fs
    absent = float(np.isnan(d.p_peak[reachable]).mean()) if reachable.any() else np.nan
    known = t_amplitude_B[~np.isnan(t_amplitude_B)]
    inverted = float((known < 0).mean()) if len(known) else np.nan
    return [absent, inverted]


def _level_and_spread(values_B: Floats) -> list[float]:
    known = values_B[~np.isnan(values_B)]
    if not len(known):
        return [np.nan, np.nan]
    level = float(np.median(known))
    return [level, float(np.median(np.abs(known - level))) if len(known) > 1 else np.nan]


def _likeness(signal: Floats, r_peaks: NDArray[np.int64], fs: int) -> list[float]:
    """Mean and minimum correlation of adjacent beats whose windows lie inside the segment."""
    before, after = round(_BEAT_BEFORE_S * fs), round(_BEAT_AFTER_S * fs)
    windows, inside = _windows(signal, r_peaks.astype(np.float64) - before, before + after)
    centred = windows - windows.mean(axis=1, keepdims=True)
    norm = np.sqrt((centred**2).sum(axis=1))
    product = norm[:-1] * norm[1:]
    paired = inside[:-1] & inside[1:] & (product > 0)
    if not paired.any():
        return [np.nan, np.nan]
    correlation = (centred[:-1] * centred[1:]).sum(axis=1)[paired] / product[paired]
    return [float(correlation.mean()), float(correlation.min())]
