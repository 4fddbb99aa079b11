"""How fast recordings become a prepared dataset, and whether training from it keeps up with tensors in memory.

And how fast a worker's stream is when nothing is trained: what one worker can be fed with.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from rich.console import Console
from rich.table import Table

from physioclr import storage
from physioclr.benchmarks.config import IngestBenchmark
from physioclr.benchmarks.preparing import MEGABYTE, measure_preparing, preparing_table
from physioclr.config import MonitorConfig, PretrainConfig, TrainingConfig
from physioclr.pipeline import cluster
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.prepare.extract import peak_bytes
from physioclr.pipeline.pretrain.pairing import pairing_of
from physioclr.pipeline.pretrain.worker import Job, Worker
from physioclr.pipeline.selection import Selection
from physioclr.pipeline.training import board
from physioclr.pipeline.training.feed import in_plan_order, training_stream
from physioclr.pipeline.training.order import Plan
from physioclr.pipeline.training.packing import Grain
from physioclr.pipeline.training.placement import place_workers


def ingest_benchmark(config: IngestBenchmark, console: Console) -> dict[str, Any]:
    """Print both tables and return their figures; what was written below `config.scratch` is deleted at the end."""
    cluster.connect()
    preparing = {
        count: measure_preparing(_prepared_uri(config, count), config.sources, config.features, count, console)
        for count in config.workers
    }
    console.print(preparing_table(preparing))
    dataset = PreparedDataset.open(_prepared_uri(config, config.workers[-1]))
    training = _train(config, dataset, console)
    console.print(_training_table(training))
    storage.remove(config.scratch)
    return {"prepare": {str(count): figures for count, figures in preparing.items()}, "train": training}


def _prepared_uri(config: IngestBenchmark, workers: int) -> str:
    return storage.join(config.scratch, f"prepared-{workers}")


def _train(config: IngestBenchmark, dataset: PreparedDataset, console: Console) -> dict[str, Any]:
    training = TrainingConfig(batch_size=config.batch_size, workers=1)
    groups = tuple(dataset.group_rows("train").tolist())
    steps = config.steps * (1 + config.rounds)
    epochs = 1 + -(-steps * config.batch_size // (sum(groups) // config.batch_size * config.batch_size))
    plan = Plan(groups, config.batch_size, epochs, training.mix_row_groups, training.seed)
    settings = PretrainConfig(
        model=config.model,
        training=training,
        monitor=MonitorConfig(train_recordings=1, validation_recordings=1, probe="none"),
    )
    workers = place_workers(training, cluster.machines())
    run_uri, threads = storage.join(config.scratch, "run"), max(int(workers.cpus), 1)
    job = Job(settings, run_uri, dataset, pairing_of(settings, dataset), plan, threads, board.start())
    console.print(f"Training {config.model.size}: {config.rounds} x {config.steps} steps from each", highlight=False)
    result = TorchTrainer(
        _measure,
        train_loop_config={"job": job, "steps": config.steps, "rounds": config.rounds},
        datasets={"train": lambda: training_stream(Selection.of(dataset, ("train",)), plan, 0, config.batch_size)},
        dataset_config=in_plan_order(),
        scaling_config=ScalingConfig(num_workers=1, use_gpu=workers.gpu, resources_per_worker=workers.resources),
        run_config=RunConfig(
            name="ingest",
            storage_path=storage.filesystem(config.scratch)[1],
            storage_filesystem=storage.arrow_filesystem(config.scratch),
        ),
    ).fit()
    figures: dict[str, Any] = result.return_value
    return figures


def _measure(settings: dict[str, Any]) -> dict[str, Any]:
    """On the training worker: rounds of steps fed by Ray Data, and of the same steps fed from memory."""
    worker = Worker(settings["job"])
    steps, batch = settings["steps"], settings["job"].config.training.batch_size
    streamed = worker.grains()
    in_memory = list(itertools.islice(streamed, steps))
    _rate(worker, iter(in_memory), steps, batch)  # warm up
    rates: dict[str, list[float]] = {"storage": [], "memory": []}
    for _ in range(settings["rounds"]):
        rates["storage"].append(_rate(worker, streamed, steps, batch))
        rates["memory"].append(_rate(worker, iter(in_memory), steps, batch))
    started, left = time.perf_counter(), sum(1 for _ in streamed)
    unhindered = left * batch / (time.perf_counter() - started)
    ratios = [one / other for one, other in zip(rates["storage"], rates["memory"], strict=True)]
    return {
        "model": settings["job"].config.model.size,
        "device": str(worker.device),
        "samples_per_second_from_storage": round(median(rates["storage"]), 2),
        "samples_per_second_from_memory": round(median(rates["memory"]), 2),
        "samples_per_second_without_training": round(unhindered, 2),
        "ratio": round(median(ratios), 3),
        "ratio_of_each_round": [round(ratio, 3) for ratio in ratios],
        "peak_megabytes_of_worker": round(peak_bytes() / MEGABYTE),
    }


def _rate(worker: Worker, grains: Iterator[Grain], steps: int, batch: int) -> float:
    """Recordings a second over `steps` optimiser steps; reading a term waits for the device."""
    started = time.perf_counter()
    for _ in range(steps):
        terms = worker.step(grains)
    float(terms["loss"])
    return steps * batch / (time.perf_counter() - started)


def _training_table(training: dict[str, Any]) -> Table:
    table = Table(title=f"Training {training['model']} on {training['device']}", title_justify="left")
    for column in ("recordings/s from storage", "from memory", "ratio", "of each round", "without training", "peak MB"):
        table.add_column(column)
    table.add_row(
        str(training["samples_per_second_from_storage"]),
        str(training["samples_per_second_from_memory"]),
        f"{training['ratio']:.3f}",
        ", ".join(f"{ratio:.2f}" for ratio in training["ratio_of_each_round"]),
        str(training["samples_per_second_without_training"]),
        str(training["peak_megabytes_of_worker"]),
    )
    return table
