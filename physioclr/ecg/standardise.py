"""From a recording as read to 10 s windows in one form: 12 leads in order, mV or NU, 500 Hz, int16 thousandths."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from physioclr.ecg.leads import LEADS, lead_order
from physioclr.ecg.record import INT16_PER_UNIT, WINDOW_SAMPLES, WINDOW_SECONDS, Recording, Window
from physioclr.ecg.resample import resample, resampled_length, resampling_ratio
from physioclr.errors import RejectedRecording

MAX_MILLIVOLTS = 20.0  # twice what the tallest QRS complexes on record reach, baseline wander included
MAX_NORMALISED = np.iinfo(np.int16).max / INT16_PER_UNIT  # what thousandths in int16 hold
_MILLIVOLTS = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "nv": 1e-6, "v": 1e3}  # micro sign and Greek mu
_NORMALISED = "nu"  # WFDB's unit of signals without a physical scale


@dataclass(slots=True)
class StandardisedRecording:
    """The usable `windows` of one recording, and for the others (window index, reason, what was seen)."""

    windows: list[Window] = field(default_factory=list)
    rejected: list[tuple[int, str, str]] = field(default_factory=list)


def standardise(recording: Recording) -> StandardisedRecording:
    """Cut a recording into consecutive 10 s windows, int16 [12, 5000] at 500 Hz; a shorter rest is left out.

    Missing samples, flat leads and absurd amplitudes cost the window they are in. Raises `RejectedRecording` when
    leads, units, rate or length make the whole recording unusable, or when no window is left (the first one's reason).
    """
    order = lead_order(recording.leads)
    scale, unit = _scale([recording.units[index] for index in order])
    ratio = resampling_ratio(recording.fs)
    source = recording.signal[order] * scale[:, None]
    count = resampled_length(source.shape[1], ratio) // WINDOW_SAMPLES
    if count == 0:
        seconds = source.shape[1] / recording.fs
        raise RejectedRecording("too_short", f"{seconds:.3f} s is less than {WINDOW_SECONDS} s")
    signal = resample(_bridged(source), ratio)
    result = StandardisedRecording()
    for index in range(count):
        span = slice(index * WINDOW_SAMPLES, (index + 1) * WINDOW_SAMPLES)
        try:
            window = _window(source[:, _source_span(span, ratio)], signal[:, span], unit)
            result.windows.append(Window(index, window, unit))
        except RejectedRecording as rejection:
            result.rejected.append((index, rejection.reason, rejection.detail))
    if not result.windows:
        _, reason, detail = result.rejected[0]
        raise RejectedRecording(reason, detail if count == 1 else f"{detail}; none of {count} windows is usable")
    return result


def _scale(units: list[str]) -> tuple[NDArray[np.float64], str]:
    """Factors [12] to the common unit, and that unit: mV, or NU when all leads are normalised."""
    spelled = [unit.strip().lower() for unit in units]
    if all(unit == _NORMALISED for unit in spelled):
        return np.ones(len(units)), "NU"
    bad = [lead for lead, unit in zip(LEADS, spelled, strict=True) if unit not in _MILLIVOLTS]
    if bad:
        mixed = "normalised while others are voltages" if _NORMALISED in spelled else "neither a voltage nor NU"
        raise RejectedRecording("unknown_units", f"the unit of lead {', '.join(bad)} is {mixed}")
    return np.array([_MILLIVOLTS[unit] for unit in spelled]), "mV"


def _bridged(source: NDArray[np.float64]) -> NDArray[np.float64]:
    """Missing samples filled by straight lines, so that the filter does not spread them into good windows."""
    missing = ~np.isfinite(source)
    if not missing.any():
        return source
    bridged = source.copy()
    time = np.arange(source.shape[1])
    for lead, gaps in zip(bridged, missing, strict=True):
        lead[gaps] = np.interp(time[gaps], time[~gaps], lead[~gaps]) if not gaps.all() else 0.0
    return bridged


def _source_span(span: slice, ratio: Fraction) -> slice:
    """The samples before resampling that lie in `span` after it."""
    up, down = ratio.numerator, ratio.denominator
    return slice(-(-span.start * down // up), -(-span.stop * down // up))


def _window(source: NDArray[np.float64], signal: NDArray[np.float64], unit: str) -> NDArray[np.int16]:
    """`signal` [12, 5000] as int16 thousandths. `source` is the same time before resampling, judged for what the
    filter would hide: missing samples, and constant leads, which leave it with a ripple."""
    missing = np.count_nonzero(~np.isfinite(source), axis=1)
    if missing.any():
        raise RejectedRecording("nan", f"{_named(missing > 0)}: {int(missing.sum())} samples are missing")
    limit = MAX_MILLIVOLTS if unit == "mV" else MAX_NORMALISED
    thousandths = np.rint(np.clip(signal, -MAX_NORMALISED, MAX_NORMALISED) * INT16_PER_UNIT).astype(np.int16)
    flat = (np.ptp(source, axis=1) == 0) | (np.ptp(thousandths, axis=1) == 0)
    if flat.any():
        raise RejectedRecording("flat_lead", f"{_named(flat)}: constant for {WINDOW_SECONDS} s")
    peaks = np.maximum(np.abs(source).max(axis=1), np.abs(signal).max(axis=1))
    if (peaks > limit).any():
        raise RejectedRecording(
            "absurd_amplitude", f"{_named(peaks > limit)}: {peaks.max():.4g} {unit} is beyond {limit:g} {unit}"
        )
    return thousandths


def _named(which: NDArray[np.bool_]) -> str:
    """The leads where `which` [12] is true."""
    return f"lead {', '.join(lead for lead, wanted in zip(LEADS, which, strict=True) if wanted)}"
