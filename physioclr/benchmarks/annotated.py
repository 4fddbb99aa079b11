"""Recordings with cardiologists' wave boundaries on each lead, read into memory.

Shapes: n recordings, T samples.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from physioclr.config import SourceConfig
from physioclr.ecg.leads import LEADS
from physioclr.ecg.record import INT16_PER_UNIT, WINDOW_SECONDS, RecordingRef
from physioclr.ecg.standardise import standardise
from physioclr.errors import RejectedRecording, SourceError
from physioclr.evaluation.waves import Points
from physioclr.pipeline.progress import Meter
from physioclr.sources.base import Source
from physioclr.sources.registry import open_source
from physioclr.sources.wfdb_annotations import read_waves

READS_IN_FLIGHT = 8


@dataclass(frozen=True)
class AnnotatedLead:
    """A lead (0 to 11) of a recording (0 to n - 1) with its annotated points in ms."""

    recording: int
    lead: int
    points: Points


@dataclass(frozen=True)
class AnnotatedRecordings:
    """The first 10 s of n recordings, `signals` float32 [n, 12, T] at 500 Hz in their unit, and all annotated leads."""

    signals: NDArray[np.float32]
    leads: tuple[AnnotatedLead, ...]
    rejected: int

    def without_p(self) -> set[int]:
        """Recordings in which no P wave is annotated on any lead."""
        with_p = {one.recording for one in self.leads if not np.isnan(one.points["P peak"]).all()}
        return {one.recording for one in self.leads} - with_p


def read_annotated(uri: str, anonymous: bool | None, console: Console) -> AnnotatedRecordings:
    """The recordings below `uri` that have annotations, in the order of their ids.

    Raises `SourceError` where there is none.
    """
    source = open_source(SourceConfig(kind="wfdb", uri=uri, anonymous=anonymous))
    refs = source.list()
    with ThreadPoolExecutor(READS_IN_FLIGHT) as pool, Meter("Reading", len(refs), "recordings", console) as meter:
        read = []
        for one in pool.map(lambda ref: _read(source, ref, anonymous), refs):
            read.append(one)
            meter.advance(1)
    kept = [one for one in read if one is not None and one[1]]
    if not kept:
        raise SourceError(
            f"{uri} has no recording with annotated waves (files .i, .ii, .iii, .avr, ... beside each header); set "
            "data to a folder that is laid out as LUDB."
        )
    leads = [AnnotatedLead(i, lead, points) for i, (_, by_lead) in enumerate(kept) for lead, points in by_lead.items()]
    return AnnotatedRecordings(np.stack([signal for signal, _ in kept]), tuple(leads), read.count(None))


def _read(
    source: Source, ref: RecordingRef, anonymous: bool | None
) -> tuple[NDArray[np.float32], dict[int, Points]] | None:
    """Signal [12, T] and the annotated leads by number; None for a recording whose first 10 s cannot be used."""
    try:
        recording = source.read(ref)
        window = standardise(recording).windows[0]
    except RejectedRecording:
        return None
    if window.index:
        return None
    marked = {lead: read_waves(ref.uri, name.lower(), anonymous) for lead, name in enumerate(LEADS)}
    points = {lead: _points(waves, recording.fs) for lead, waves in marked.items() if waves is not None}
    signal = window.signal.astype(np.float32) / np.float32(INT16_PER_UNIT)
    return signal, {lead: one for lead, one in points.items() if not np.isnan(one["QRS peak"]).all()}


def _points(waves: dict[str, NDArray[np.float64]], fs: float) -> Points:
    """Sample indices at `fs` Hz to ms; what lies behind the first 10 s is left out."""
    points = {}
    for wave, rows in waves.items():
        for column, place in enumerate(("onset", "peak", "offset")):
            times = rows[:, column] * (1000.0 / fs)
            points[f"{wave} {place}"] = np.where(times < 1000.0 * WINDOW_SECONDS, times, np.nan)
    return points
