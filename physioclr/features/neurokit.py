"""Delineation by NeuroKit2 (Makowski et al. 2021, doi:10.3758/s13428-020-01516-y). Importing this takes seconds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import neurokit2 as nk
import numpy as np
from numpy.typing import NDArray

from physioclr.config import FeatureConfig
from physioclr.features.delineation import Delineation, align, without_waves
from physioclr.features.engine import Found
from physioclr.features.lead import choose_lead

# NeuroKit2 says ECG_R_Onsets and ECG_R_Offsets for the bounds of the QRS complex; keys of that name with QRS in it do
# not exist. Its `peak` method gives no such bounds: there the Q and S peaks stand for them.
_KEYS = {
    "p_onset": ("ECG_P_Onsets",),
    "p_peak": ("ECG_P_Peaks",),
    "p_offset": ("ECG_P_Offsets",),
    "qrs_onset": ("ECG_R_Onsets", "ECG_Q_Peaks"),
    "qrs_offset": ("ECG_R_Offsets", "ECG_S_Peaks"),
    "t_onset": ("ECG_T_Onsets",),
    "t_peak": ("ECG_T_Peaks",),
    "t_offset": ("ECG_T_Offsets",),
}

# `prominence` looks for both ends of a P wave within 100 ms, so no P lasts longer: its P durations had no relation to
# the cardiologists' of LUDB (lead II, 650 P waves: r = -0.03). With 140 ms r = 0.31, and for PR 0.82 instead of 0.79.
_OPTIONS: dict[str, dict[str, int]] = {"prominence": {"max_p_basepoint_interval": 140}}

_APART_S = 0.3  # NeuroKit2's least distance of two R peaks
_BEYOND_S = 1.0  # more than its moving averages reach
_BEFORE_R_S = 0.1  # how far its method `cwt` looks before an R peak
_BESIDE_S = 0.06  # most detectors mark a point beside the R peak, but in its QRS complex


class NeuroKitEngine:
    """The engine `neurokit`: one lead, or the principal component, cleaned and delineated segment by segment."""

    def __init__(self, config: FeatureConfig) -> None:
        self._lead = config.lead
        self._method = config.method

    def __call__(self, segments: NDArray[np.floating[Any]], fs: int) -> Found:
        """Segments [n, 12, T] as `engine.Engine` says. This engine has no quality index."""
        signal = choose_lead(segments, self._lead).copy()
        for row in signal:
            row[:] = clean(row, fs)
        parts = [delineate(row, fs, self._method) for row in signal]
        return Found(signal, Delineation.join(parts), np.full(len(signal), np.nan))


def clean(signal_T: NDArray[np.floating[Any]], fs: int = 500) -> NDArray[np.float64]:
    """NeuroKit2's default cleaning: 0.5 Hz high-pass, then averaging over one 50 Hz period. float64 [T], same unit.

    The averaging takes 60 Hz down to 2 % as well. A signal that is constant, has missing samples or
    is shorter than a second comes back as it is.
    """
    signal = np.asarray(signal_T, dtype=np.float64)
    if not _has_shape(signal, fs):
        return signal
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(nk.ecg_clean(signal, sampling_rate=fs, method="neurokit"), dtype=np.float64)


def delineate(signal_T: NDArray[np.floating[Any]], fs: int = 500, method: str = "prominence") -> Delineation:
    """Find R peaks and the bounds of P, QRS and T in one cleaned lead, float [T] at `fs` Hz, in any unit.

    `method` is one of NeuroKit2's: prominence, dwt, cwt, peak. Never raises on a bad signal: the status says what was
    wrong. Every wave is aligned to its beat and dropped where its order is impossible.
    """
    signal = np.asarray(signal_T, dtype=np.float64)
    if not _has_shape(signal, fs):
        return without_waves(np.empty(0, dtype=np.int64), "no_beats")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NeuroKit2 and NumPy warn about every short or noisy segment
        r_peaks = find_r_peaks(signal, fs)
        if len(r_peaks) < 2:
            return without_waves(r_peaks, "no_beats")
        # `cwt` looks 100 ms before each R peak, and loses every beat where the signal begins later than that.
        given = r_peaks[r_peaks >= _BEFORE_R_S * fs] if method == "cwt" else r_peaks
        try:
            _, waves = nk.ecg_delineate(signal, given, sampling_rate=fs, method=method, **_OPTIONS.get(method, {}))
        except ValueError:  # what NeuroKit2 0.2.13 raises: dwt, cwt and peak need four R peaks
            return without_waves(r_peaks, "delineation_failed")
    return assemble(waves, r_peaks, len(signal))


def assemble(waves: Mapping[str, Any], r_peaks: NDArray[np.int64], samples: int) -> Delineation:
    """NeuroKit2's lists of points (of any length, with NaN, of the wrong beat) to one entry a beat."""
    points = {}
    for wave, keys in _KEYS.items():
        found: Any = next((waves[key] for key in keys if key in waves), [])
        positions = np.asarray(found, dtype=np.float64)
        positions = np.where((positions >= 0) & (positions < samples), positions, np.nan)
        points[wave] = align(positions, r_peaks, before_r=wave.startswith("p_") or wave == "qrs_onset")
    return Delineation.from_points(np.zeros(len(r_peaks), dtype=np.int64), r_peaks, points, segments=1)


def _has_shape(signal: NDArray[np.float64], fs: int) -> bool:
    """Whether there is anything to look at: a second or more, every sample a number, not all the same."""
    return bool(len(signal) >= fs and np.isfinite(signal).all() and np.ptp(signal) > 0)


def find_r_peaks(signal: NDArray[np.float64], fs: int, detector: str = "neurokit") -> NDArray[np.int64]:
    """R peaks in a cleaned lead [T], found in a signal that goes on for a second beyond both ends as it does inside.

    NeuroKit2's threshold is a moving average, which repeats the last value beyond an end: where a signal ends quietly
    it is low, and P and T waves pass. And it keeps no peak in the first 300 ms, because it counts the least distance
    of two peaks from the start of the signal as well; here that distance is kept between peaks only.

    `detector` is another `method` of `neurokit2.ecg_findpeaks`: each of its points is moved to the highest sample
    within 60 ms.
    """
    first = _nk_peaks(signal, fs)
    beat = int(np.median(np.diff(first))) if len(first) > 1 else fs
    reach = round(_BEYOND_S * fs)
    longer = _continued(signal, beat, reach)
    if detector == "neurokit":
        peaks = _nk_peaks(longer, fs, mindelay=0) - reach
    else:
        peaks = _highest_beside(_nk_peaks(longer, fs, detector), longer, round(_BESIDE_S * fs)) - reach
    kept: list[int] = []
    for peak in peaks[(peaks > 0) & (peaks < len(signal) - 1)].tolist():
        if not kept or peak - kept[-1] > _APART_S * fs:
            kept.append(peak)
    return np.array(kept, dtype=np.int64)


def _nk_peaks(signal: NDArray[np.float64], fs: int, method: str = "neurokit", **options: float) -> NDArray[np.int64]:
    found = nk.ecg_findpeaks(signal, sampling_rate=fs, method=method, **options)["ECG_R_Peaks"]
    peaks = np.asarray(found, dtype=np.float64)
    return np.unique(peaks[np.isfinite(peaks)].astype(np.int64))


def _highest_beside(peaks: NDArray[np.int64], signal: NDArray[np.float64], beside: int) -> NDArray[np.int64]:
    starts = np.maximum(peaks - beside, 0)
    moved = [
        start + int(np.argmax(signal[start : peak + beside + 1])) for start, peak in zip(starts, peaks, strict=True)
    ]
    return np.unique(np.array(moved, dtype=np.int64))


def _continued(signal: NDArray[np.float64], beat: int, reach: int) -> NDArray[np.float64]:
    """`reach` more samples at both ends: the first and the last `beat` samples over and over, without a jump."""
    beat = min(beat, len(signal) - 1)
    steps = np.arange(1, reach + 1)
    times, place = (steps - 1) // beat + 1, (steps - 1) % beat
    before = signal[beat - 1 - place] - times * (signal[beat] - signal[0])
    after = signal[len(signal) - beat + place] + times * (signal[-1] - signal[-1 - beat])
    return np.concatenate([before[::-1], signal, after])
