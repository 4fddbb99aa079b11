"""Are the waves where cardiologists see them? Every engine on recordings with annotations, as LUDB has them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from rich.console import Console

from physioclr.benchmarks.annotated import AnnotatedRecordings, read_annotated
from physioclr.benchmarks.config import DelineationBenchmark
from physioclr.benchmarks.delineation_tables import BATCHED, print_tables
from physioclr.config import FeatureConfig
from physioclr.ecg.leads import LEADS
from physioclr.ecg.record import FS
from physioclr.evaluation import waves
from physioclr.evaluation.waves import POINTS, Points, Scores
from physioclr.features.batched.engine import BatchedEngine
from physioclr.pipeline import cluster
from physioclr.pipeline.prepare.finish import in_parallel
from physioclr.pipeline.progress import Meter

LEAD_SETS: dict[str, frozenset[int]] = {
    "lead II": frozenset({LEADS.index("II")}),
    "all leads": frozenset(range(len(LEADS))),
}

Found = dict[str, list[Points]]  # by method: for each annotated lead what was found in it


def delineation_benchmark(config: DelineationBenchmark, console: Console) -> dict[str, Any]:
    """Print the tables and return their figures. Raises `SourceError` where nothing is annotated."""
    recordings = read_annotated(config.data, config.anonymous, console)
    found: Found = {BATCHED: _batched(recordings)}
    found |= _neurokit(recordings, config.methods, console)
    figures: dict[str, Any] = {"recordings": len(recordings.signals), "rejected": recordings.rejected}
    for name, leads in LEAD_SETS.items():
        chosen = [i for i, one in enumerate(recordings.leads) if one.lead in leads]
        if chosen:
            figures[name] = _compare(config, recordings, found, chosen)
            print_tables(name, figures[name], console)
    return figures


def _batched(recordings: AnnotatedRecordings) -> list[Points]:
    """R peaks of each recording from all leads together, waves from each lead in turn."""
    by_lead = [BatchedEngine(FeatureConfig(lead=lead))(recordings.signals, FS).delineation for lead in LEADS]
    return [waves.points_of(by_lead[one.lead].of(one.recording), FS) for one in recordings.leads]


def _neurokit(recordings: AnnotatedRecordings, methods: Sequence[str], console: Console) -> Found:
    """Each lead alone, as NeuroKit2 has it; a Ray task a recording and method."""
    if not methods:
        return {}
    cluster.connect()
    task = ray.remote(num_cpus=1)(_neurokit_leads)
    signals = [ray.put(signal) for signal in recordings.signals]
    tasks = [task.remote(signal, method) for method in methods for signal in signals]
    with Meter("NeuroKit2", len(tasks), "recordings", console) as meter:
        results = iter(in_parallel(tasks, meter))
    by_recording = {method: [next(results) for _ in signals] for method in methods}
    return {method: [of[one.recording][one.lead] for one in recordings.leads] for method, of in by_recording.items()}


def _neurokit_leads(signal: NDArray[np.float32], method: str) -> list[Points]:
    from physioclr.features.neurokit import clean, delineate  # takes seconds to import: in the workers only

    return [waves.points_of(delineate(clean(lead, FS), FS, method), FS) for lead in signal]


def _compare(
    config: DelineationBenchmark, recordings: AnnotatedRecordings, found: Found, chosen: Sequence[int]
) -> dict[str, Any]:
    """All figures on the `chosen` annotated leads. Folds and common points are counted with the first tolerance."""
    first = config.tolerances_ms[0]
    truth = recordings.leads

    def pooled(method: str, tolerance: float, within: Iterable[int] = chosen) -> Scores:
        return waves.pool(waves.score(truth[i].points, found[method][i], tolerance) for i in within)

    def common(method: str) -> dict[str, Any]:
        leads = ((truth[i].points, found[BATCHED][i], found[method][i]) for i in chosen)
        return {
            name: {"points": both.points, BATCHED: _number(both.one), method: _number(both.other)}
            for name, both in waves.on_common_points(leads, first).items()
        }

    folds = [
        [i for i in chosen if truth[i].recording in set(fold.tolist())]
        for fold in waves.folds(len(recordings.signals), config.folds)
    ]
    spread = waves.ranges([pooled(BATCHED, first, fold) for fold in folds])
    without_p = recordings.without_p()
    return {
        "annotated_leads": len(chosen),
        "scores": {
            f"{limit:g} ms": {method: _numbers(pooled(method, limit)) for method in found}
            for limit in config.tolerances_ms
        },
        "common": {method: common(method) for method in found if method != BATCHED},
        "without_p": {
            method: _p_reported(
                {r: [(truth[i].points, found[method][i]) for i in chosen if truth[i].recording == r] for r in without_p}
            )
            for method in found
        },
        "folds": {name: {key: [*map(_number, ends)] for key, ends in of.items()} for name, of in spread.items()},
    }


def _p_reported(by_recording: dict[int, list[tuple[Points, Points]]]) -> dict[str, Any]:
    """P waves reported where cardiologists see none: (annotated, found) of each lead, by recording."""
    counts = [np.sum([waves.p_waves(*lead) for lead in leads], axis=0) for leads in by_recording.values() if leads]
    reported, beats = (int(sum(count[k] for count in counts)) for k in (0, 1))
    return {
        "recordings": len(counts),
        "beats": beats,
        "share_with_p": _number(reported / beats) if beats else None,
        "recordings_mostly_with_p": int(sum(2 * some > total for some, total in counts)),
    }


def _numbers(scores: Scores) -> dict[str, dict[str, float | None]]:
    keys = ("sensitivity", "precision", "f1", "mean_error", "deviation")
    return {name: {key: _number(getattr(scores[name], key)) for key in keys} for name in POINTS}


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else round(value, 4)
