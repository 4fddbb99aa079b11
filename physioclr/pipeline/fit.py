"""Ray Train started with a plan of samples: what pretraining and fine-tuning have in common outside the workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ray.data import Dataset
from ray.train import CheckpointConfig, FailureConfig, Result, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from rich.console import Console

from physioclr import storage
from physioclr.config import TrainingConfig
from physioclr.pipeline import board, cluster
from physioclr.pipeline.feed import in_plan_order, training_stream
from physioclr.pipeline.order import Plan
from physioclr.pipeline.selection import Selection

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Samples:
    """The rows that are trained on, and their order."""

    selection: Selection
    plan: Plan


@dataclass(frozen=True)
class Start:
    """A checkpoint of another run to begin at."""

    uri: str
    samples_seen: int


def fit(
    what: str,
    worker: Callable[[dict[str, Any]], None],
    make_job: Callable[[int, Any], Any],
    uri: str,
    samples: Samples,
    training: TrainingConfig,
    kept: CheckpointConfig,
    console: Console,
    start: Start | None = None,
    listener: board.Listener | None = None,
) -> Result:
    """Train to the end of the plan, from the latest checkpoint below `uri` if there is one.

    Every worker is called with `{"job": make_job(threads, board)}`. `what` is written beside the progress, `listener`
    is told that the workers have begun, and each epoch. A run without a checkpoint of its own begins at `start`, if
    there is one.
    """
    if latest_samples_seen(uri) >= samples.plan.samples:  # stopped between its last checkpoint and its end
        return _latest_result(uri)
    workers = cluster.place_workers(training, cluster.resources())
    grain = samples.plan.batch_size // (training.accumulate * workers.count)
    news = board.start()
    resources = {"CPU": workers.cpus} | ({"GPU": 1.0} if workers.gpu else {})
    trainer = TorchTrainer(
        worker,
        train_loop_config={"job": make_job(max(int(workers.cpus), 1), news)},
        datasets={"train": rest_of_plan(uri, samples, grain, start.samples_seen if start else 0)},
        dataset_config=in_plan_order(),
        scaling_config=ScalingConfig(num_workers=workers.count, use_gpu=workers.gpu, resources_per_worker=resources),
        run_config=RunConfig(
            name=CHECKPOINTS,
            storage_path=storage.filesystem(uri)[1],
            storage_filesystem=storage.arrow_filesystem(uri),
            failure_config=FailureConfig(max_failures=training.max_failures),
            checkpoint_config=kept,
        ),
    )
    where = "GPU" if workers.gpu else f"{workers.cpus:g} CPUs"
    console.print(f"{what}: {workers.count} workers with {where} each", highlight=False)
    cluster.say_if_busy(workers.count * workers.cpus + 1, console)
    with board.shown(news, samples.plan.samples, what.split()[0], console, listener):
        return trainer.fit()


def rest_of_plan(uri: str, samples: Samples, grain: int, start: int = 0) -> Callable[[], Dataset]:
    """What Ray Train calls at every start of its workers: the samples after the latest checkpoint, streamed. Without
    one, those after the first `start`."""

    def stream() -> Dataset:
        cluster.quiet()
        return training_stream(samples.selection, samples.plan, latest_samples_seen(uri, start), grain)

    return stream


def _latest_result(uri: str) -> Result:
    """What Ray Train has kept of the run's checkpoints."""
    folder = storage.join(uri, CHECKPOINTS)
    return Result.from_path(storage.filesystem(folder)[1], storage_filesystem=storage.arrow_filesystem(folder))


def latest_samples_seen(uri: str, start: int = 0) -> int:
    """Samples seen by the checkpoint that Ray Train will restore; `start` before the first one."""
    folder = storage.join(uri, CHECKPOINTS)
    if not storage.exists(storage.join(folder, "checkpoint_manager_snapshot.json")):
        return start
    result = _latest_result(uri)
    return int(result.metrics["samples_seen"]) if result.metrics else start
