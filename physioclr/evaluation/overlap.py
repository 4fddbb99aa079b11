"""Has a test set been seen in training, or in pretraining? Looked for by record, by patient, and by the signal itself.

The same recording stands in several archives under several names and in several forms (in mV, or filtered and
z-scored), so names alone do not tell. A fingerprint keeps what those forms share: for each lead the spectrum of the
tapered 10 s between 2 and 20 Hz at unit length, reduced to the signs of fixed projections (Charikar 2002), of which
the same recording has nearly all in common and another recording about half.

Shape legend: n windows, F numbers of the spectrum, N pretraining and M test rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from physioclr.ecg.leads import LEADS
from physioclr.ecg.record import WINDOW_SAMPLES, WINDOW_SECONDS
from physioclr.errors import UserError
from physioclr.sources.pseudonyms import key_name

Fingerprints = NDArray[np.uint8]  # [n, 32]
LEADS_USED = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")  # the other four follow from I and II
BAND_HZ = (2, 20)  # below lies drift, above lies noise; what filters leave in between is the same in every form
BITS = 256
# Windows that differ in no more bits are one recording. In 3,466 windows of five public archives, the 519 that are in
# two of them, in mV and filtered and z-scored, differ in 2 at most, and any two others in 45 or more.
SAME_BITS = 20
WINDOWS_AT_ONCE = 32
BANDS = SAME_BITS + 1
CHUNK = 16_384  # fingerprints whose bands are found at once
PAIRS = 1_000_000  # pairs compared at once: some 100 MB


@dataclass(frozen=True, slots=True)
class Identities:
    """Who the rows of a set are: each row's dataset, record and patient, and its fingerprint where there are any."""

    datasets: Sequence[str]
    record_ids: Sequence[str]
    patient_ids: Sequence[str]
    fingerprints: Fingerprints | None = None

    def __post_init__(self) -> None:
        sizes = {len(self.datasets), len(self.record_ids), len(self.patient_ids)}
        sizes |= {len(self.fingerprints)} if self.fingerprints is not None else set()
        if len(sizes) != 1:
            raise ValueError(f"datasets, records, patients and fingerprints of {sorted(sizes)} rows; give one a row")


@dataclass(frozen=True, slots=True)
class Overlap:
    """Rows of the test set, ascending, that pretraining, or training, knows: their record, patient, signal.

    `patients` includes the rows of a patient one of whose rows was found by its signal. `twins` holds for each row of
    `contents` the most alike pretraining row. `contents_checked` is False where one set has no fingerprints, and
    `patients_checked` where patients of the two are called otherwise: by pseudonyms of two keys, or of one dataset
    with and without. Records and signals find them nevertheless.
    """

    test_rows: int
    records: NDArray[np.int64]
    patients: NDArray[np.int64]
    contents: NDArray[np.int64]
    twins: NDArray[np.int64]
    contents_checked: bool
    patients_checked: bool = True

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows found in any way."""
        return np.unique(np.concatenate([self.records, self.patients, self.contents]))

    def as_dict(self) -> dict[str, int | bool]:
        """How many rows were found in which way, as it is stated in a result."""
        return {
            "test_rows": self.test_rows,
            "found": len(self.rows),
            "by_record": len(self.records),
            "by_patient": len(self.patients),
            "by_content": len(self.contents),
            "contents_checked": self.contents_checked,
            "patients_checked": self.patients_checked,
        }


def fingerprints(signal: NDArray[np.generic]) -> Fingerprints:
    """Fingerprints uint8 [n, 32] of standardised windows [n, 12, 5000] at 500 Hz, in any unit and scale of each lead.

    Filters without delay, rounding, resampling and moderate noise leave them alike. A shift in time does not, nor does
    a filter that delays, nor do leads that were replaced: such copies are not found.
    """
    if signal.ndim != 3 or signal.shape[1:] != (len(LEADS), WINDOW_SAMPLES):
        raise ValueError(f"signals {signal.shape} are not windows x {len(LEADS)} leads x {WINDOW_SAMPLES} samples")
    leads = [LEADS.index(lead) for lead in LEADS_USED]
    taper = np.hanning(WINDOW_SAMPLES).astype(np.float32)  # the ends of a record are where filters differ
    bins = slice(BAND_HZ[0] * WINDOW_SECONDS, BAND_HZ[1] * WINDOW_SECONDS)
    projections = _projections(2 * (bins.stop - bins.start) * len(leads))
    parts = [np.empty((0, BITS // 8), dtype=np.uint8)]
    for start in range(0, len(signal), WINDOWS_AT_ONCE):
        windows = signal[start : start + WINDOWS_AT_ONCE, leads].astype(np.float32)
        windows -= windows.mean(axis=2, keepdims=True)
        spectrum = rfft(windows * taper, axis=2)[:, :, bins]
        size = np.linalg.norm(spectrum, axis=2, keepdims=True)
        unit = spectrum / np.where(size > 0, size, 1.0)
        unit_nF = np.concatenate([unit.real, unit.imag], axis=2).reshape(len(unit), -1)
        parts.append(np.packbits(unit_nF @ projections > 0, axis=1))
    return np.concatenate(parts)


def find_overlap(pretraining: Identities, test: Identities) -> Overlap:
    """Rows of `test` that are in `pretraining`. A patient is one of the same dataset, as ids of others mean others;
    pseudonyms mean the same patient wherever they are."""
    seen_records = set(zip(pretraining.datasets, pretraining.record_ids, strict=True))
    patients = _people(test)
    seen_patients = set(_people(pretraining))
    contents = twins = np.empty(0, dtype=np.int64)
    checked = pretraining.fingerprints is not None and test.fingerprints is not None
    if pretraining.fingerprints is not None and test.fingerprints is not None:
        contents, twins = _same(test.fingerprints, pretraining.fingerprints)
    seen_patients |= {patients[row] for row in contents}
    return Overlap(
        len(patients),
        _rows(key in seen_records for key in zip(test.datasets, test.record_ids, strict=True)),
        _rows(key in seen_patients for key in patients),
        contents,
        twins,
        checked,
        _named_alike(_names(pretraining), _names(test)),
    )


def _people(identities: Identities) -> list[tuple[str, str]]:
    """Who each row is of: dataset and patient id, or for a pseudonym its key's name and itself."""
    pairs = zip(identities.datasets, identities.patient_ids, strict=True)
    return [(key_name(patient) or dataset, patient) for dataset, patient in pairs]


def _names(identities: Identities) -> set[tuple[str, str | None]]:
    """Each dataset with the key, or None, that its patients are called by."""
    return set(zip(identities.datasets, map(key_name, identities.patient_ids), strict=True))


def _named_alike(pretraining: set[tuple[str, str | None]], test: set[tuple[str, str | None]]) -> bool:
    """Whether a patient of both sets would be called the same in both."""
    seen_keys, keys = ({key for _, key in names if key} for names in (pretraining, test))
    seen_datasets = {dataset for dataset, _ in pretraining}
    return not (seen_keys and keys - seen_keys) and all(
        pair in pretraining for pair in test if pair[0] in seen_datasets
    )


def refuse_overlap(overlap: Overlap, allowed: bool = False, who: str = "Pretraining") -> None:
    """Raises `UserError` if anything was found, unless that is allowed; then it is to be stated in the result.

    `who`: Pretraining or Training, whose recordings were looked for.
    """
    if allowed or not len(overlap.rows):
        return
    raise UserError(
        f"{who} has seen {len(overlap.rows)} of the {overlap.test_rows} test recordings or their patients "
        f"({len(overlap.records)} by record id, {len(overlap.patients)} by patient, {len(overlap.contents)} by the "
        "signal itself): take them out of one of the two sets, or set allow_overlap=true, which the result then states."
    )


def _rows(found: Iterable[bool]) -> NDArray[np.int64]:
    return np.flatnonzero(np.fromiter(found, dtype=bool))


def _same(test: Fingerprints, pretraining: Fingerprints) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of `test` with a fingerprint of `pretraining` close enough, and the first closest one of each.

    Two that differ in at most `SAME_BITS` bits are equal in one of `SAME_BITS` + 1 bands at least, so only rows that
    share a band are compared: of ECGs about one pair in 40.
    """
    words_test, words_pretraining = (np.ascontiguousarray(each).view(np.uint64) for each in (test, pretraining))
    bands_test, bands_pretraining = _bands(test), _bands(pretraining)
    least_M = np.full(len(test), SAME_BITS + 1, dtype=np.int64)
    twin_M = np.zeros(len(test), dtype=np.int64)
    for band in range(BANDS):
        order = np.argsort(bands_pretraining[:, band], kind="stable")
        keys, sorted_words = bands_pretraining[order, band], words_pretraining[order]
        first_M, end_M = (np.searchsorted(keys, bands_test[:, band], side=side) for side in ("left", "right"))
        for row, place in _pairs_at_once(first_M, end_M):
            words = np.bitwise_count(words_test[row] ^ sorted_words[place])
            differing = (words[:, 0] + words[:, 1]) + (words[:, 2] + words[:, 3])  # 256 would be 0, but shares a band
            near = np.flatnonzero(differing <= SAME_BITS)
            _keep_closest(least_M, twin_M, row[near], order[place[near]], differing[near].astype(np.int64))
    rows = np.flatnonzero(least_M <= SAME_BITS)
    return rows, twin_M[rows]


def _bands(prints: Fingerprints) -> NDArray[np.int64]:
    """Numbers [n, BANDS] out of `BITS // BANDS` neighbouring bits each."""
    width = BITS // BANDS
    parts = [np.empty((0, BANDS), dtype=np.int64)]
    for start in range(0, len(prints), CHUNK):
        bits = np.unpackbits(prints[start : start + CHUNK], axis=1)[:, : BANDS * width]
        parts.append(bits.reshape(-1, BANDS, width) @ (1 << np.arange(width)))
    return np.concatenate(parts)


def _pairs_at_once(
    first: NDArray[np.int64], end: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Every (row, place) with first[row] <= place < end[row], of rows that have about `PAIRS` of them at a time."""
    counts = end - first
    cuts = np.flatnonzero(np.diff(np.cumsum(counts) // PAIRS)) + 1
    for rows in np.split(np.arange(len(counts)), cuts):
        before = np.cumsum(counts[rows]) - counts[rows]
        row = np.repeat(rows, counts[rows])
        yield row, np.arange(len(row)) + np.repeat(first[rows] - before, counts[rows])


def _keep_closest(
    least: NDArray[np.int64],
    twin: NDArray[np.int64],
    row: NDArray[np.int64],
    other: NDArray[np.int64],
    differing: NDArray[np.int64],
) -> None:
    """Note the closest `other` of each row, of equally close ones the first, where it is closer than what is known."""
    order = np.lexsort((other, differing, row))
    row, other, differing = row[order], other[order], differing[order]
    row, first = np.unique(row, return_index=True)
    other, differing = other[first], differing[first]
    better = (differing < least[row]) | ((differing == least[row]) & (other < twin[row]))
    least[row[better]], twin[row[better]] = differing[better], other[better]


def _projections(rows: int) -> NDArray[np.float32]:
    """Signs [rows, BITS] that are the same for ever: from a hash, as random generators change with their library."""
    digest = hashlib.shake_256(b"physioclr fingerprint 1").digest(rows * BITS // 8)
    bits = np.unpackbits(np.frombuffer(digest, dtype=np.uint8)).reshape(rows, BITS)
    return bits.astype(np.float32) * 2.0 - 1.0
