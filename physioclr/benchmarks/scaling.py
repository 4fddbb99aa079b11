"""What more workers are worth on the cluster that is there: in preparing, and in training with one global batch."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from physioclr import storage
from physioclr.benchmarks.config import ScalingBenchmark
from physioclr.benchmarks.preparing import measure_preparing, preparing_table
from physioclr.config import MonitorConfig, PrepareConfig, PretrainConfig, TrainingConfig
from physioclr.pipeline import cluster
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.pretrain.job import pretrain
from physioclr.pipeline.training.metrics_log import Row, read_metrics

WARM_UP = 0.2  # of the steps, in which caches and queues fill


def scaling_benchmark(config: ScalingBenchmark, console: Console) -> dict[str, Any]:
    """Print both tables and return their figures; what was written below `config.scratch` is deleted at the end."""
    cluster.connect()
    machines = sum(one.count for one in cluster.machines() if one.cpus)
    preparing = {
        count: measure_preparing(
            storage.join(config.scratch, f"prepared-{count}"), config.sources, config.features, count, console
        )
        for count in config.prepare_workers
    }
    dataset = PreparedDataset.open(storage.join(config.scratch, f"prepared-{config.prepare_workers[-1]}"))
    training = {count: _train(config, dataset, count, console) for count in config.training_workers}
    console.print(preparing_table(preparing))
    console.print(_training_table(config, training))
    storage.remove(config.scratch)
    return {
        "machines": machines,
        "prepare": {str(count): figures for count, figures in preparing.items()},
        "train": {str(count): figures for count, figures in training.items()},
    }


def rate_of(rows: list[Row]) -> float:
    """Recordings a second from the rows of a run that logs every step, without those of warming up.

    What stands still between epochs counts: it is the rate of the run.
    """
    steps = [row for row in rows if row["kind"] == "step"]
    first, last = steps[int(WARM_UP * len(steps))], steps[-1]
    return float((last["samples"] - first["samples"]) / (last["time"] - first["time"]))


def _train(config: ScalingBenchmark, dataset: PreparedDataset, workers: int, console: Console) -> dict[str, Any]:
    steps_of_epoch = dataset.rows("train") // config.batch_size
    settings = PretrainConfig(
        name=f"workers-{workers}",
        output=config.scratch,
        dataset=PrepareConfig(uri=dataset.uri, sources=()),
        model=config.model,
        training=TrainingConfig(
            epochs=-(-config.steps // max(steps_of_epoch, 1)),
            batch_size=config.batch_size,
            workers=workers,
            cpus_per_worker=config.cpus_per_worker,
            log_every_steps=1,
        ),
        monitor=MonitorConfig(train_recordings=1, validation_recordings=1, probe="none"),
    )
    pretrain(settings, console)
    rate = rate_of(read_metrics(storage.join(config.scratch, settings.name)))
    return {"recordings_per_second": round(rate, 2)}


def _training_table(config: ScalingBenchmark, training: dict[int, dict[str, Any]]) -> Table:
    table = Table(title=f"Training {config.model.size}, batches of {config.batch_size}", title_justify="left")
    for column in ("workers", "recordings/s", "ratio", "efficiency"):
        table.add_column(column)
    first, base = next((count, figures["recordings_per_second"]) for count, figures in training.items())
    for count, figures in training.items():
        rate = figures["recordings_per_second"]
        table.add_row(str(count), f"{rate:.2f}", f"{rate / base:.2f}", f"{rate / base / (count / first):.2f}")
    return table
