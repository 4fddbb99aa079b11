"""What benchmarks of the features share: recordings read into memory, and their features, kept for the next time."""

from __future__ import annotations

import hashlib
import io
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

import physioclr.features
from physioclr import storage
from physioclr.benchmarks.config import RecordingsBenchmark
from physioclr.config import FeatureConfig, SourceConfig, SourceKind
from physioclr.ecg.record import RecordingRef
from physioclr.ecg.standardise import standardise
from physioclr.errors import RejectedRecording, SourceError
from physioclr.features.columns import COLUMNS
from physioclr.features.delineation import USABLE
from physioclr.features.extract import FeatureExtractor
from physioclr.pipeline.progress import Meter
from physioclr.sources.base import Source
from physioclr.sources.demo.source import DemoSource
from physioclr.sources.registry import open_source

READS_IN_FLIGHT = 8
RECORDINGS_AT_ONCE = 64
# What tells a layout, in this order; a folder with none of them is of kind `wfdb`.
_MARKS: dict[str, SourceKind] = {
    "ptbxl_database.csv": "ptb-xl",
    "record_list.csv": "mimic-iv-ecg",
    "training": "challenge-2021",
}


@dataclass(frozen=True)
class Recordings:
    """The first 10 s of n recordings: `signals` int16 [n, 12, 5000] at 500 Hz in thousandths of the unit, `refs` [n]
    with their labels, and how many were `rejected`."""

    signals: NDArray[np.int16]
    refs: tuple[RecordingRef, ...]
    rejected: int


@dataclass(frozen=True)
class Measured:
    """What an engine gives for S = 2n halves, a recording's two side by side: `features` float32 [S, 150], `usable`
    bool [S] and `quality` [S], NaN for an engine without."""

    features: NDArray[np.float32]
    usable: NDArray[np.bool_]
    quality: NDArray[np.float64]


def source_of(config: RecordingsBenchmark) -> SourceConfig:
    """The source that a benchmark reads; without `data` it is the demo, without `kind` the layout that is found."""
    if config.data is None:
        return SourceConfig(limit=config.recordings)
    return SourceConfig(kind=config.kind or _layout(config.data), uri=config.data, limit=config.recordings)


def _layout(uri: str) -> SourceKind:
    return next((kind for mark, kind in _MARKS.items() if storage.exists(storage.join(uri, mark))), "wfdb")


def read_recordings(config: RecordingsBenchmark, console: Console) -> Recordings:
    """Every recording that can be used, in the order of their ids. Raises `SourceError` where there is none."""
    settings = source_of(config)
    source = open_source(settings)
    if isinstance(source, DemoSource):
        for patient in source.missing():
            source.write_patient(patient)
    refs = source.list()
    with ThreadPoolExecutor(READS_IN_FLIGHT) as pool, Meter("Reading", len(refs), "recordings", console) as meter:
        read = []
        for one in pool.map(lambda ref: _read(source, ref), refs):
            read.append(one)
            meter.advance(1)
    kept = [one for one in read if one is not None]
    if not kept:
        raise SourceError(
            f"None of the {len(refs)} recordings in {settings.uri} can be used; jobs/prepare.py says why."
        )
    return Recordings(np.stack([signal for signal, _ in kept]), tuple(ref for _, ref in kept), len(read) - len(kept))


def _read(source: Source, ref: RecordingRef) -> tuple[NDArray[np.int16], RecordingRef] | None:
    try:
        recording = source.read(ref)
        first = standardise(recording).windows[0]
    except RejectedRecording:
        return None
    return first.signal, recording.ref


def measure_all(config: FeatureConfig, signals: NDArray[Any], console: Console | None = None) -> Measured:
    """Features of recordings [n, 12, 5000], a few at a time."""
    extract = FeatureExtractor(config)
    features = np.empty((len(signals), 2, len(COLUMNS)), dtype=np.float32)
    usable, quality = np.zeros((len(signals), 2), dtype=bool), np.empty((len(signals), 2))
    meter = Meter(f"{name_of(config)}, {config.lead}", len(signals), "recordings", console or Console(quiet=True))
    with meter:
        for start in range(0, len(signals), RECORDINGS_AT_ONCE):
            chunk = slice(start, start + RECORDINGS_AT_ONCE)
            pairs = extract(signals[chunk])
            features[chunk] = [[half.features for half in pair] for pair in pairs]
            usable[chunk] = [[half.status in USABLE for half in pair] for pair in pairs]
            quality[chunk] = [[half.quality for half in pair] for pair in pairs]
            meter.advance(len(pairs))
    return Measured(features.reshape(-1, len(COLUMNS)), usable.ravel(), quality.ravel())


def measure_once(config: FeatureConfig, signals: NDArray[np.int16], scratch: str, console: Console) -> Measured:
    """The same, from `scratch` where an earlier run has left it: for the same signals, lead and engine, and the same
    code of the features."""
    settings = config.model_dump(include={"engine", "method", "lead"})
    digest = hashlib.sha256(str(settings).encode() + np.ascontiguousarray(signals).data)
    for file in sorted(Path(physioclr.features.__path__[0]).rglob("*.py")):
        if config.engine == "batched" or file.parent.name != "batched":
            digest.update(file.read_bytes())
    uri = storage.join(scratch, f"{name_of(config)}-{config.lead}-{digest.hexdigest()[:16]}.npz")
    if storage.exists(uri):
        with np.load(io.BytesIO(storage.read_bytes(uri))) as saved:
            return Measured(saved["features"], saved["usable"], saved["quality"])
    measured = measure_all(config, signals, console)
    buffer = io.BytesIO()
    np.savez(buffer, features=measured.features, usable=measured.usable, quality=measured.quality)
    storage.write_bytes(uri, buffer.getvalue())
    return measured


def name_of(config: FeatureConfig) -> str:
    """`batched`, or the method of NeuroKit2: `neurokit prominence` is called `prominence`."""
    return "batched" if config.engine == "batched" else config.method


def number(value: float) -> float | None:
    """As it goes into JSON, which has no NaN."""
    return None if math.isnan(value) else round(float(value), 4)
