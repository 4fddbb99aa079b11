"""`engine: batched`: from segments to fiducial points as array operations over many segments at once.

Shapes: n segments, L leads, T samples at `fs`, B beats.
"""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from physioclr.config import FeatureConfig
from physioclr.ecg.record import FS
from physioclr.ecg.resample import resample, resampling_ratio
from physioclr.features.batched.beats import find_beats
from physioclr.features.batched.coarse import coarse
from physioclr.features.batched.fine import measure_waves, r_peaks_of_cut
from physioclr.features.batched.joint import find_waves
from physioclr.features.batched.quality import is_unusable, lead_quality, segment_quality
from physioclr.features.batched.windows import Floats
from physioclr.features.delineation import Delineation
from physioclr.features.engine import Found
from physioclr.features.lead import LARGEST, choose_lead

CHUNK = 64  # segments worked on at once: memory is bounded by it, whatever the batch
_KEPT_BYTES = 31 << 20  # below 32 MB, where glibc stops to learn
_SHORTEST_S = 1.0
_HIGH_PASS_HZ, _LOW_PASS_HZ = 0.67, 35.0  # mains at 50 Hz is left with 5 %, at 60 Hz with 1 %


class BatchedEngine:
    """An `Engine` of array operations (docs/features.md says how it works); `config.lead` is the signal measured.

    R peaks, and where about the waves are, come from all leads; peaks and bounds from the signal that is measured.
    With other than 12 leads that is their first principal component, whatever the configuration says.
    """

    def __init__(self, config: FeatureConfig) -> None:
        self._lead = config.lead
        _keep_memory()

    def __call__(self, segments: NDArray[Any], fs: int = FS) -> Found:
        """`segments` [n, L, T] in any unit, 50 Hz to 20 kHz; a segment's result does not depend on the others."""
        if segments.shape[2] < _SHORTEST_S * fs:
            return _nothing(len(segments), segments.shape[2])
        kind = np.result_type(segments, np.float32)
        chunks = (segments[i : i + CHUNK].astype(kind, order="C", copy=False) for i in range(0, len(segments), CHUNK))
        parts = [self._chunk(chunk, fs) for chunk in chunks]
        parts = parts or [_nothing(0, segments.shape[2])]
        return Found(
            np.concatenate([part.signal for part in parts]),
            Delineation.join([part.delineation for part in parts]),
            np.concatenate([part.quality for part in parts]),
        )

    def _chunk(self, segments: NDArray[np.floating[Any]], fs: int) -> Found:
        found = coarse(_at_500_hz(segments, fs))
        lead = self._lead if segments.shape[1] == 12 else "pca"
        chosen = choose_lead(segments, lead, found)
        there = (np.abs(chosen).max(axis=1) < LARGEST) & (chosen != chosen[:, :1]).any(axis=1)
        signal = clean(np.where(there[:, None], chosen, 0.0), fs)
        beats, ends = find_beats(found)
        waves = find_waves(found, beats)
        leads = lead_quality(found, beats)
        measured = _at_500_hz(signal, fs).astype(np.float32)
        r_peaks, points = measure_waves(measured, beats, waves)
        end_peaks, is_peak = r_peaks_of_cut(measured, ends)
        segment = np.concatenate([beats.segment, ends.segment[is_peak]])
        r_peaks = np.concatenate([r_peaks, end_peaks[is_peak]])
        order = np.lexsort((r_peaks, segment))
        order = order[there[segment[order]]]
        none = np.full(int(is_peak.sum()), np.nan)
        delineation = Delineation.from_points(
            segment[order],
            _at_rate(r_peaks[order], fs, segments.shape[2]).astype(np.int64),
            {name: _at_rate(np.append(at, none)[order], fs, segments.shape[2]) for name, at in points.items()},
            len(segments),
        )
        return Found(signal, delineation.without(is_unusable(leads)), segment_quality(leads))


def clean(lines: Floats, fs: int = FS) -> Floats:
    """0.67 to 35 Hz without phase shift, along the last axis (Butterworth of 6th and 4th order, there and back).

    0.67 Hz is as high as a filter without phase shift may begin and leave the ST segment as it is (Kligfield et al.
    2007, doi:10.1161/CIRCULATIONAHA.106.180200).
    """
    filtered: Floats = sosfiltfilt(_filter(fs), lines, axis=-1)
    return filtered


@lru_cache(maxsize=8)
def _filter(fs: int) -> Floats:
    high = butter(6, _HIGH_PASS_HZ, "highpass", fs=fs, output="sos")
    low = butter(4, min(_LOW_PASS_HZ, 0.4 * fs), "lowpass", fs=fs, output="sos")
    return np.concatenate([high, low])


def _keep_memory() -> None:
    """Let the process keep what a chunk takes for the next one.

    Once a block has been freed, glibc keeps freed memory up to twice its size; otherwise each chunk's arrays go back to
    the system and come again page by page, a fifth of the time. The block is not touched, so it takes no memory.
    """
    np.empty(_KEPT_BYTES, dtype=np.uint8)


def _at_500_hz(lines: NDArray[Any], fs: int) -> NDArray[Any]:
    if fs == FS:
        return lines
    flat = lines.reshape(-1, lines.shape[-1]).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # where samples are missing or infinite
        resampled = resample(flat, resampling_ratio(fs))
    return resampled.reshape(*lines.shape[:-1], resampled.shape[1])


def _at_rate(points: NDArray[Any], fs: int, size: int) -> Floats:
    """Samples at 500 Hz to samples at `fs`, the nearest one in the segment; NaN stays."""
    return np.clip(np.rint(points * (fs / FS)), 0, size - 1)


def _nothing(segments: int, size: int) -> Found:
    none: dict[str, Any] = {field.name: np.empty(0) for field in fields(Delineation)}
    none |= {"segment": np.empty(0, np.int64), "r_peaks": np.empty(0, np.int64), "status": ("no_beats",) * segments}
    return Found(np.zeros((segments, size)), Delineation(**none), np.zeros(segments))
