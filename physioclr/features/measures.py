"""From fiducial points to 150 numbers, whichever engine found the points. `columns.py` has every definition.

Nothing here knows the signal's unit: there is no absolute voltage, so mV and normalised signals go the same way.
All beats of all segments are measured at once, and what is measured on a segment does not depend on the others, to the
last bit. Shapes: n segments, T samples, B beats of all segments together, M the 10 measures, W samples of a window.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from physioclr.features.columns import COLUMNS, FIRST_BEATS, MEASURES, STATISTICS
from physioclr.features.delineation import Delineation
from physioclr.features.grouped import Floats, Grouped, Integers, share

_BASELINE_S = 0.080  # before QRS onset
_ST_S = 0.060  # after QRS offset
_P_REACH_S = 0.300  # a P wave further than this before QRS onset is not looked for
_BEAT_BEFORE_S, _BEAT_AFTER_S = 0.200, 0.300  # the window compared from beat to beat
_PREMATURE = 0.8
_NN50_MS = 50.0
_ROW = {measure.name: row for row, measure in enumerate(MEASURES)}


def measure(signals_nT: NDArray[np.floating[Any]], delineation: Delineation, fs: int = 500) -> NDArray[np.float32]:
    """The features of n segments: float32 [n, 150] in the order of `COLUMNS`, NaN where missing.

    `signals_nT` are the cleaned leads that were delineated, in any unit. Never raises on missing waves or few beats.
    """
    signals = np.ascontiguousarray(signals_nT, dtype=np.float64)
    d, n = delineation, delineation.segments
    assert signals.shape == (n, signals.shape[-1]), "one signal a segment"
    baseline_B = _baseline(signals, d, fs)
    beats_MB = per_beat(signals, d, baseline_B, fs)
    st_B = _at(signals, d, d.qrs_offset + round(_ST_S * fs)) - baseline_B
    st_level = Grouped.of(st_B, d.segment, n)
    amplitude_B = beats_MB[_ROW["t_amplitude"]]
    segment_columns = [
        *_rhythm(beats_MB[_ROW["rr"]], d),
        share(np.isnan(d.p_peak), d.qrs_onset >= _P_REACH_S * fs, d.segment, n),
        share(amplitude_B < 0, ~np.isnan(amplitude_B), d.segment, n),
        st_level.median(),
        st_level.spread(),
        *_likeness(signals, d, fs),
    ]
    values = np.concatenate(
        [_first_beats(beats_MB, d), statistics(beats_MB, d), np.stack(segment_columns, axis=1)], axis=1
    )
    assert values.shape == (n, len(COLUMNS))
    return values.astype(np.float32)


def per_beat(signals: Floats, d: Delineation, baseline_B: Floats, fs: int) -> Floats:
    """The 10 measures of every beat, float64 [M, B], rows in the order of `columns.MEASURES`."""
    ms = 1000.0 / fs
    rr = np.full(len(d.r_peaks), np.nan)
    rr[:-1] = np.where(d.segment[1:] == d.segment[:-1], np.diff(d.r_peaks) * ms, np.nan)
    preceding = Grouped.of(rr, d.segment, d.segments).median()[d.segment]
    follows = np.flatnonzero(d.segment[1:] == d.segment[:-1]) + 1
    preceding[follows] = rr[follows - 1]
    qt = (d.t_offset - d.qrs_onset) * ms
    return np.stack(
        [
            rr,
            (d.qrs_onset - d.p_onset) * ms,
            (d.qrs_offset - d.qrs_onset) * ms,
            qt / np.sqrt(preceding / 1000.0),
            (d.p_offset - d.p_onset) * ms,
            (d.t_offset - d.t_onset) * ms,
            _at(signals, d, d.r_peaks.astype(np.float64)) - baseline_B,
            _at(signals, d, d.t_peak) - baseline_B,
            _at(signals, d, d.p_peak) - baseline_B,
            _steepest(signals, d, fs),
        ]
    )


def _first_beats(beats_MB: Floats, d: Delineation) -> Floats:
    """The measures of each segment's first beats, float64 [n, M * FIRST_BEATS]."""
    rank = np.arange(len(d.segment)) - d.bounds[d.segment]
    taken = rank < FIRST_BEATS
    first = np.full((d.segments, len(MEASURES), FIRST_BEATS), np.nan)
    first[d.segment[taken], :, rank[taken]] = beats_MB[:, taken].T
    return first.reshape(d.segments, len(MEASURES) * FIRST_BEATS)


def statistics(beats_MB: Floats, d: Delineation) -> Floats:
    """Mean, standard deviation (n - 1), median and inter-quartile range of each measure, float64 [n, M * 4]."""
    rows, n = len(beats_MB), d.segments
    group = d.segment * rows + np.arange(rows)[:, None]
    numbers = Grouped.of(beats_MB.ravel(), group.ravel(), n * rows)
    between_quartiles = np.where(numbers.count > 1, numbers.quantile(0.75) - numbers.quantile(0.25), np.nan)
    columns = np.stack([numbers.mean(), numbers.deviation(), numbers.median(), between_quartiles], axis=1)
    return columns.reshape(n, rows * len(STATISTICS))


def _rhythm(rr_B: Floats, d: Delineation) -> list[Floats]:
    """RMSSD, pNN50, coefficient of variation and share of premature beats, from the RR intervals in ms: [n] each."""
    steps, segment, n = np.diff(rr_B), d.segment[:-1], d.segments  # NaN from one segment to the next
    intervals = Grouped.of(rr_B, d.segment, n)
    limit = np.where(intervals.count > 1, _PREMATURE * intervals.median(), np.nan)[d.segment]
    return [
        np.sqrt(Grouped.of(steps**2, segment, n).mean()),
        share(np.abs(steps) > _NN50_MS, ~np.isnan(steps), segment, n),
        intervals.deviation() / intervals.mean(),
        share(rr_B < limit, ~np.isnan(rr_B) & ~np.isnan(limit), d.segment, n),
    ]


def _likeness(signals: Floats, d: Delineation, fs: int) -> list[Floats]:
    """Mean and minimum correlation of adjacent beats whose windows lie inside the segment: [n] each."""
    before, after = round(_BEAT_BEFORE_S * fs), round(_BEAT_AFTER_S * fs)
    windows_BW, beat = _windows(signals, d, d.r_peaks.astype(np.float64) - before, before + after)
    windows_BW -= windows_BW.mean(axis=1, keepdims=True)
    norm = np.sqrt((windows_BW**2).sum(axis=1))
    product = norm[:-1] * norm[1:]
    segment = d.segment[beat]
    adjacent = np.flatnonzero((segment[1:] == segment[:-1]) & (product > 0))  # the ends cut first and last beats only
    correlation = (windows_BW[:-1] * windows_BW[1:]).sum(axis=1)[adjacent] / product[adjacent]
    numbers = Grouped.of(correlation, segment[adjacent], d.segments)
    return [numbers.mean(), numbers.minimum()]


def _at(signals: Floats, d: Delineation, index_B: Floats) -> Floats:
    """Each beat's signal at its index; NaN where the index is missing or outside."""
    inside = (index_B >= 0) & (index_B < signals.shape[1])
    values = np.full(len(index_B), np.nan)
    values[inside] = signals[d.segment[inside], index_B[inside].astype(np.int64)]
    return values


def _windows(signals: Floats, d: Delineation, start_B: Floats, length: int) -> tuple[Floats, Integers]:
    """Windows [K, length] of the K beats whose start is known and whose window lies in the segment; which beats."""
    beat = np.flatnonzero((start_B >= 0) & (start_B + length <= signals.shape[1]))
    start = d.segment[beat] * signals.shape[1] + start_B[beat].astype(np.int64)
    return signals.ravel()[start[:, None] + np.arange(length)], beat


def _baseline(signals: Floats, d: Delineation, fs: int) -> Floats:
    length = round(_BASELINE_S * fs)
    windows_BW, beat = _windows(signals, d, d.qrs_onset - length, length)
    baseline = np.full(len(d.segment), np.nan)
    baseline[beat] = np.median(windows_BW, axis=1)
    return baseline


def _steepest(signals: Floats, d: Delineation, fs: int) -> Floats:
    """The largest slope from each onset to its offset. Takes memory for the signals once more, however long a QRS."""
    steepest = np.full(len(d.segment), np.nan)
    beat = np.flatnonzero((d.qrs_onset >= 0) & (d.qrs_offset < signals.shape[1]))
    if len(beat):
        slopes = np.append(np.abs(np.gradient(signals, axis=1)).ravel(), 0.0)
        start = d.segment[beat] * signals.shape[1]
        bounds = np.stack([d.qrs_onset[beat] + start, d.qrs_offset[beat] + start + 1], axis=1).astype(np.int64)
        # every second result is of what lies between two QRS complexes
        steepest[beat] = np.maximum.reduceat(slopes, bounds.ravel())[::2] * fs
    return steepest
