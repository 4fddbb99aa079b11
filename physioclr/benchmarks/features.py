"""How fast features are measured on one core, beside NeuroKit2's methods; in how much memory; and on two cores.

A rate is that of the whole `FeatureExtractor`: int16 recordings in, 150 columns of both halves out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import ray
import torch
from numpy.typing import NDArray
from ray.util import ActorPool
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

import physioclr
from physioclr.benchmarks import footprint
from physioclr.benchmarks.config import FeaturesBenchmark
from physioclr.benchmarks.profile import stage_shares
from physioclr.benchmarks.recordings import RECORDINGS_AT_ONCE, name_of, read_recordings
from physioclr.benchmarks.worker import FeatureWorker
from physioclr.config import FeatureConfig
from physioclr.features.extract import FeatureExtractor
from physioclr.pipeline import cluster
from physioclr.pipeline.progress import Meter

BATCHED = "batched"
PIECE = 128  # recordings that an actor is given at once
Signals = NDArray[np.int16]
Figures = dict[str, Any]


def features_benchmark(config: FeaturesBenchmark, console: Console) -> Figures:
    """Print the tables and return their figures."""
    signals = read_recordings(config, console).signals
    if torch.cuda.is_available():
        console.print("There is a GPU, but the engine is NumPy: it runs on the CPU and transfers nothing.")
    batched = config.features.model_copy(update={"engine": "batched"})
    rates = _rates(config, batched, signals, console)
    console.print(_rates_table(rates))
    memory = _memory(config, batched, signals)
    console.print(_memory_table(memory))
    figures: Figures = {"recordings": len(signals), "device": "cpu", "rates": rates, "memory": memory}
    if config.profile:
        figures["profile"] = stage_shares(FeatureExtractor(batched), _cycled(signals, 0, config.batch * config.passes))
        console.print(_profile_table(figures["profile"]))
    if config.workers > 1 and _has_cores(config.workers, console):
        figures["workers"] = _workers(config, batched, signals)
        console.print(_workers_table(figures["workers"]))
    return figures


def _cycled(signals: Signals, start: int, count: int) -> Signals:
    """So many recordings from `start` on, from the first again where there are no more."""
    return signals[np.arange(start, start + count) % len(signals)]


def _rates(config: FeaturesBenchmark, batched: FeatureConfig, signals: Signals, console: Console) -> Figures:
    """Halves a second of each engine in rounds, one engine after the other in each, so that other load hits all."""
    methods = [batched.model_copy(update={"engine": "neurokit", "method": method}) for method in config.methods]
    extractors = {name_of(each): FeatureExtractor(each) for each in (batched, *methods)}
    rounds: dict[str, list[float]] = {name: [] for name in extractors}
    with threadpool_limits(1), Meter("Rounds", config.rounds, "rounds", console) as meter:
        for extract in extractors.values():
            extract(signals[:1])  # imports, and what else only the first call pays for
        for number in range(config.rounds):
            given = _cycled(signals, number * config.batch, config.batch)
            for name, extract in extractors.items():
                passes = config.passes if name == BATCHED else 1
                started = time.perf_counter()
                for _ in range(passes):
                    extract(given)
                rounds[name].append(2 * len(given) * passes / (time.perf_counter() - started))
            meter.advance(1)
    found: Figures = {"batched": {"halves_per_second": round(median(rounds[BATCHED]), 1)}}
    for name in list(extractors)[1:]:
        ratios = [fast / slow for fast, slow in zip(rounds[BATCHED], rounds[name], strict=True)]
        found[name] = {
            "halves_per_second": round(median(rounds[name]), 1),
            "batched_is_faster_by": round(median(ratios), 1),
            "of_each_round": [round(ratio, 1) for ratio in ratios],
        }
    return found


def _memory(config: FeaturesBenchmark, batched: FeatureConfig, signals: Signals) -> dict[str, Figures]:
    """Peak memory of a fresh process for each batch, above what its imports take."""
    root = str(Path(physioclr.__file__).parents[1])
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "signals.npy")
        np.save(file, signals[: max(config.memory_batches, default=0)])
        for batch in config.memory_batches:
            command = [sys.executable, "-m", footprint.__name__, str(file), str(batch), batched.lead]
            environment = {**os.environ, **threads, "PYTHONPATH": root}
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            found[str(batch)] = json.loads(done.stdout)
    return found


def _has_cores(workers: int, console: Console) -> bool:
    cluster.connect()
    cores = cluster.resources()["CPU"]
    if cores < workers:
        console.print(f"Actors are not measured: there are {cores:g} cores for {workers} of them.", highlight=False)
    return cores >= workers


def _workers(config: FeaturesBenchmark, batched: FeatureConfig, signals: Signals) -> Figures:
    """The rate of several actors against one of them. As in prepare, whoever is free takes the next recordings."""
    pieces = [
        ray.put(_cycled(signals, start, min(PIECE, config.worker_recordings - start)))
        for start in range(0, config.worker_recordings, PIECE)
    ]
    make = ray.remote(num_cpus=1)(FeatureWorker).remote
    workers = [make(batched, number, RECORDINGS_AT_ONCE) for number in range(config.workers)]
    pinned = ray.get([worker.measure.remote(pieces[0]) for worker in workers])
    rates: dict[int, list[float]] = {1: [], config.workers: []}
    for number in range(config.rounds):
        for count in rates:
            pool = ActorPool([workers[(number + i) % config.workers] for i in range(count)])
            started = time.perf_counter()
            for _ in pool.map_unordered(lambda worker, piece: worker.measure.remote(piece), pieces * count):
                pass
            rates[count].append(2 * config.worker_recordings * count / (time.perf_counter() - started))
    for worker in workers:
        ray.kill(worker)
    ratios = [many / one for one, many in zip(*rates.values(), strict=True)]
    return {
        "count": config.workers,
        "halves_per_second_of_one": round(median(rates[1]), 1),
        "halves_per_second_of_all": round(median(rates[config.workers]), 1),
        "ratio": round(median(ratios), 2),
        "of_each_round": [round(ratio, 2) for ratio in ratios],
        "each_on_its_own_core": all(pinned),
        "cores": os.cpu_count(),
    }


def _rates_table(rates: Figures) -> Table:
    table = Table(title="Measuring features on one core", title_justify="left")
    for column in ("engine", "halves/s", "batched is faster by", "of each round"):
        table.add_column(column)
    for name, found in rates.items():
        ratios = ", ".join(f"{ratio:.1f}" for ratio in found.get("of_each_round", ()))
        faster = f"{found['batched_is_faster_by']:.1f}" if ratios else ""
        table.add_row(name, f"{found['halves_per_second']:,.1f}", faster, ratios)
    return table


def _memory_table(memory: dict[str, Figures]) -> Table:
    table = Table(title="Peak memory of a process, in MB", title_justify="left")
    for column in ("recordings at once", "above imports", "of which signals", "imports alone"):
        table.add_column(column)
    for batch, found in memory.items():
        table.add_row(batch, *(f"{found[key]:,.0f}" for key in ("above_imports", "signals", "imports")))
    return table


def _workers_table(found: Figures) -> Table:
    table = Table(title=f"Ray actors, {found['cores']} cores", title_justify="left")
    for column in ("halves/s of one", f"of {found['count']}", "ratio", "of each round"):
        table.add_column(column)
    rates = (f"{found[f'halves_per_second_of_{key}']:,.1f}" for key in ("one", "all"))
    table.add_row(*rates, f"{found['ratio']:.2f}", ", ".join(f"{ratio:.2f}" for ratio in found["of_each_round"]))
    return table


def _profile_table(profile: dict[str, float]) -> Table:
    table = Table(title="Where the time of `batched` goes", title_justify="left")
    table.add_column("stage")
    table.add_column("share")
    for stage, share in profile.items():
        table.add_row(stage, f"{share:.1%}")
    return table
