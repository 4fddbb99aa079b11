"""The recording as it travels through the house: first known from an index, then read, then standardised."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FS = 500  # Hz, of every standardised signal (arXiv 2509.08116: input)
WINDOW_SECONDS = 10
WINDOW_SAMPLES = FS * WINDOW_SECONDS
SEGMENT_SAMPLES = WINDOW_SAMPLES // 2  # one 5 s half: the temporally adjacent pair
INT16_PER_UNIT = 1000  # stored samples are thousandths of the unit

REJECTION_REASONS = {
    "unreadable_header": "the header is missing or is not a WFDB header",
    "unreadable_signal": "the signal file is missing or cannot be decoded",
    "truncated": "the signal file is shorter than its header says",
    "header_mismatch": "header and signal disagree on leads, length, checksum or format",
    "unsafe_path": "the header names a signal file outside its own folder",
    "missing_leads": "not all of the 12 leads are there",
    "unknown_units": "the unit of a lead is neither a voltage nor NU (normalised)",
    "bad_sampling_rate": "the sampling rate is missing, too low or absurd",
    "too_short": "shorter than 10 s",
    "nan": "a lead has missing samples",
    "flat_lead": "a lead is constant",
    "absurd_amplitude": "amplitudes that no heart and no amplifier gives",
}


@dataclass(frozen=True, slots=True)
class RecordingRef:
    """A recording known from its source's index; its signal has not been opened.

    `uri` is the header's URI without `.hea`. `labels` are SNOMED CT codes, `statements` the source's own labels
    (PTB-XL: SCP statements). Sources that keep labels in the header leave both empty: reading fills them in.
    `patient_id` is unique across datasets: `<dataset>/<id>`, the record's own where a source knows no patients, or a
    pseudonym, `key-.../...` (`physioclr.sources.pseudonyms`).
    """

    record_id: str
    dataset: str
    uri: str
    patient_id: str
    labels: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()
    age: float | None = None
    sex: str | None = None  # "female", "male" or unknown


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording as read: physical values `signal` float64 [leads, T] at `fs` Hz, leads and units as in the header."""

    ref: RecordingRef
    signal: NDArray[np.float64]
    fs: float
    leads: tuple[str, ...]
    units: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """Ten standardised seconds: int16 [12, 5000] at 500 Hz in lead order, in thousandths of `unit` (mV or NU)."""

    index: int
    signal: NDArray[np.int16]
    unit: str
