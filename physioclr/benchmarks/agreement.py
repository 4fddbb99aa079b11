"""Does `batched` say what `neurokit` says? Beats and intervals of both on the same 5 s halves.

Shapes: n recordings, S = 2n halves, T samples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from rich.console import Console

from physioclr.benchmarks.agreement_report import ENGINES, MEASURES, show
from physioclr.benchmarks.config import AgreementBenchmark
from physioclr.benchmarks.recordings import read_recordings, source_of
from physioclr.config import FeatureConfig
from physioclr.ecg.record import FS, INT16_PER_UNIT, SEGMENT_SAMPLES
from physioclr.errors import SourceError
from physioclr.evaluation.agreement import (
    REASONS,
    SAME_COMPLEX_MS,
    Beats,
    compare_beats,
    limits_of_agreement,
    same_beats,
)
from physioclr.evaluation.fiducials import NONE, Matches
from physioclr.features.batched.engine import BatchedEngine
from physioclr.features.columns import COLUMNS
from physioclr.features.delineation import USABLE, Delineation
from physioclr.features.measures import measure
from physioclr.pipeline import cluster
from physioclr.pipeline.prepare.finish import in_parallel
from physioclr.pipeline.progress import Meter
from physioclr.sources.tables import read_table

ACCEPTABLE = "acceptable"
RECORDINGS_IN_TASK = 16
MS = 1000.0 / FS
_NAMES = [column.name for column in COLUMNS]


@dataclass(frozen=True)
class Compared:
    """S halves on one lead. `values` [2, S, 4] are what `batched` and `neurokit` measure, in the order of `MEASURES`,
    NaN where not both do; `statuses` [S] are those of both; `beats` and `r_peaks` (in ms, by engine or detector) are of
    the halves that both measure."""

    values: NDArray[np.float64]
    statuses: list[tuple[str, str]]
    beats: list[Beats]
    r_peaks: list[dict[str, NDArray[np.float64]]]


def agreement_benchmark(config: AgreementBenchmark, console: Console) -> dict[str, Any]:
    """Print the tables, write report and pictures below `config.out`, and return the figures."""
    signals = _signals(config, console)
    cluster.connect()
    compare = ray.remote(num_cpus=1)(compare_engines)
    chunks = [signals[start : start + RECORDINGS_IN_TASK] for start in range(0, len(signals), RECORDINGS_IN_TASK)]
    with Meter("Comparing", len(chunks) * len(config.leads), "chunks", console) as meter:
        tasks = [
            compare.remote(chunk, lead, config.tolerance_ms, config.detectors)
            for lead in config.leads
            for chunk in chunks
        ]
        results = in_parallel(tasks, meter)
    by_lead = {lead: _join(results[i * len(chunks) : (i + 1) * len(chunks)]) for i, lead in enumerate(config.leads)}
    figures = {lead: _figures(compared, config.tolerance_ms) for lead, compared in by_lead.items()}
    values = {lead: compared.values for lead, compared in by_lead.items()}
    show(config, figures, values, console)
    return {"recordings": len(signals), "leads": figures}


def _signals(config: AgreementBenchmark, console: Console) -> NDArray[np.int16]:
    """Recordings int16 [n, 12, 2T], without those that `config.quality_csv` does not call acceptable."""
    recordings = read_recordings(config, console)
    if config.quality_csv is None:
        return recordings.signals
    rows = read_table(config.quality_csv, ("record", "quality"), None)
    good = {row["record"] for _, row in rows if row["quality"] == ACCEPTABLE}
    kept = [i for i, ref in enumerate(recordings.refs) if ref.record_id.removeprefix(f"{ref.dataset}/") in good]
    if not kept:
        raise SourceError(
            f"{config.quality_csv} calls none of the recordings in {source_of(config).uri} {ACCEPTABLE!r}; its column "
            "`record` is the path below that folder, without .hea."
        )
    console.print(f"{len(kept):,} of {len(recordings.refs):,} recordings are {ACCEPTABLE}", highlight=False)
    return recordings.signals[kept]


def compare_engines(signals: NDArray[np.int16], lead: str, tolerance: float, detectors: Sequence[str] = ()) -> Compared:
    """Both engines on both halves of recordings [n, 12, 2T]; R peaks by other `detectors` of NeuroKit2 beside them."""
    from physioclr.features.neurokit import NeuroKitEngine, find_r_peaks  # takes seconds to import: in workers only

    halves = signals.reshape(*signals.shape[:2], -1, SEGMENT_SAMPLES).swapaxes(1, 2).reshape(-1, 12, SEGMENT_SAMPLES)
    segments = halves.astype(np.float32) / np.float32(INT16_PER_UNIT)
    engines = (BatchedEngine(FeatureConfig(lead=lead)), NeuroKitEngine(FeatureConfig(lead=lead, engine="neurokit")))
    found = [engine(segments, FS) for engine in engines]
    one, other = (each.delineation for each in found)
    statuses = list(zip(one.status, other.status, strict=True))
    both = np.array([set(pair) <= USABLE for pair in statuses])
    values = np.stack([_medians(measure(each.signal, each.delineation, FS)) for each in found])
    values[:, ~both] = np.nan
    measured = np.flatnonzero(both).tolist()
    r_peaks = [
        {name: _r_peaks(each.delineation, i) for name, each in zip(ENGINES, found, strict=True)}
        | {name: _in_ms(find_r_peaks(found[1].signal[i].astype(np.float64), FS, name)) for name in detectors}
        for i in measured
    ]
    beats = [
        compare_beats(
            of_half["batched"], of_half["neurokit"], SEGMENT_SAMPLES * MS, tolerance, _leads_with(segments[i])
        )
        for i, of_half in zip(measured, r_peaks, strict=True)
    ]
    return Compared(values, statuses, beats, r_peaks)


def _medians(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Features [S, 150] to [S, 4] in the order of `MEASURES`."""
    rr, qrs, qtc = features[:, [_NAMES.index(f"{name}_median") for name in ("rr", "qrs", "qtc")]].T
    return np.stack([rr, 60_000.0 / rr, qrs, qtc], axis=1).astype(np.float64)


def _r_peaks(delineation: Delineation, i: int) -> NDArray[np.float64]:
    return _in_ms(delineation.of(i).r_peaks)


def _in_ms(samples: NDArray[np.int64]) -> NDArray[np.float64]:
    return samples.astype(np.float64) * MS


def _leads_with(segment: NDArray[np.float32]) -> Callable[[float], int]:
    """In how many leads of a segment [12, T] NeuroKit2, given each alone, finds a beat at a time in ms."""
    from physioclr.features.neurokit import clean, delineate

    @cache
    def r_peaks() -> list[NDArray[np.float64]]:
        return [_r_peaks(delineate(clean(lead, FS), FS), 0) for lead in segment]

    return lambda time: sum(bool((np.abs(lead - time) <= SAME_COMPLEX_MS).any()) for lead in r_peaks())


def _join(parts: Sequence[Compared]) -> Compared:
    return Compared(
        np.concatenate([part.values for part in parts], axis=1),
        [pair for part in parts for pair in part.statuses],
        [beats for part in parts for beats in part.beats],
        [of_half for part in parts for of_half in part.r_peaks],
    )


def _figures(compared: Compared, tolerance: float) -> dict[str, Any]:
    statuses = [Counter(of_engine) for of_engine in zip(*compared.statuses, strict=True)]
    limits = (limits_of_agreement(*compared.values[..., i]) for i in range(len(MEASURES)))
    return {
        "halves": len(compared.statuses),
        "halves_both_measure": len(compared.beats),
        "status": dict(zip(ENGINES, map(dict, statuses), strict=True)),
        "beats": _matches([beats.all for beats in compared.beats]),
        "beats_away_from_the_ends": _matches([beats.inside for beats in compared.beats]),
        "only_batched": _total([beats.only_values for beats in compared.beats]),
        "only_neurokit": _total([beats.only_reference for beats in compared.beats]),
        "measures": {
            name: {key: _number(value) for key, value in asdict(one).items()}
            for name, one in zip(MEASURES, limits, strict=True)
        },
        "detectors": _detectors(compared.r_peaks, tolerance),
    }


def _detectors(r_peaks: Sequence[dict[str, NDArray[np.float64]]], tolerance: float) -> list[dict[str, Any]]:
    """Of every two engines or detectors the F1 of their R peaks, all and away from the ends."""
    names = list(r_peaks[0]) if r_peaks else []
    rows = []
    for one, other in combinations(names, 2):
        same = [same_beats(of_half[one], of_half[other], SEGMENT_SAMPLES * MS, tolerance) for of_half in r_peaks]
        every, inside = (_matches(parts)["f1"] for parts in zip(*same, strict=True))
        rows.append({"of": (one, other), "f1": every, "f1_away_from_the_ends": inside})
    return rows


def _matches(parts: Sequence[Matches]) -> dict[str, Any]:
    whole = NONE
    for part in parts:
        whole = whole.merge(part)
    counts = {"matched": len(whole.errors), "only_batched": whole.false, "only_neurokit": whole.missed}
    return counts | {"f1": _number(whole.f1), "mean_difference_ms": _number(whole.mean_error)}


def _total(parts: Sequence[dict[str, int]]) -> dict[str, int]:
    return {reason: sum(part[reason] for part in parts) for reason in REASONS}


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(value) else round(value, 4)
