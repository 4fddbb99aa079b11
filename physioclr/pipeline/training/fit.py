"""Ray Train started with a plan of samples: what pretraining and fine-tuning have in common outside the workers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
import ray.data
import torch
from ray.train import CheckpointConfig, FailureConfig, Result, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.constants import ENV_VARS_TO_PROPAGATE
from ray.train.v2.api.exceptions import ControllerError
from rich.console import Console

from physioclr import storage
from physioclr.config import TrainingConfig
from physioclr.errors import RunError
from physioclr.pipeline import cluster
from physioclr.pipeline.training import board
from physioclr.pipeline.training.feed import RestOfPlan
from physioclr.pipeline.training.placement import place_workers
from physioclr.pipeline.training.resume import CHECKPOINTS, Samples, latest_result, latest_samples_seen, rest_of_plan

__all__ = ["CHECKPOINTS", "Samples", "Start", "fit", "latest_samples_seen", "no_room"]
START_TIMEOUT = "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S"  # after which Ray Train gives its placement group back
POLL_INTERVAL = "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"  # how often Ray Train asks its workers for what they report
POLL_SECONDS = "0.5"  # of its own choice 2, which every start, checkpoint and end of a short run waits for
ADDRESS = "RAY_ADDRESS"
# What removes the workers' placement group when the controller is killed, as a pruned trial's is, looks for the one Ray
# of its machine, and ends where there are two (Ray 2.60; ray-project/ray pull 65447). With this it knows which.
ENV_VARS_TO_PROPAGATE.add(ADDRESS)
RESIZE_SECONDS = 30.0  # how often an elastic run looks whether there is room for more workers


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
        return latest_result(uri)
    workers = place_workers(training, cluster.machines())
    limit = training.placement_timeout_s
    news = board.start()
    begin = start.samples_seen if start else 0
    trainer = TorchTrainer(
        worker,
        train_loop_config={"job": make_job(max(int(workers.cpus), 1), news)},
        datasets={"train": lambda: ray.data.range(1)},  # only a name: what is read, `RestOfPlan` says at each start
        dataset_config=RestOfPlan(rest_of_plan(uri, samples, workers, training.accumulate, begin)),
        scaling_config=ScalingConfig(
            num_workers=(workers.fewest, workers.count) if workers.elastic else workers.count,
            use_gpu=workers.gpu,
            resources_per_worker=workers.resources,
            elastic_resize_monitor_interval_s=RESIZE_SECONDS,
        ),
        run_config=RunConfig(
            name=CHECKPOINTS,
            storage_path=storage.filesystem(uri)[1],
            storage_filesystem=storage.arrow_filesystem(uri),
            failure_config=FailureConfig(
                max_failures=training.max_failures, controller_failure_limit=-1 if limit is None else 0
            ),
            checkpoint_config=kept,
            callbacks=[board.Witness(news)],
        ),
    )
    where = "GPU" if workers.gpu else f"{workers.cpus:g} CPUs"
    many = f"{workers.fewest} to {workers.count}" if workers.elastic else f"{workers.count}"
    console.print(f"{what}: {many} workers with {where} each", highlight=False)
    cluster.say_if_busy(workers.fewest * workers.cpus + (0 if workers.elastic else 1), console)
    if workers.gpu:
        _refuse_gpus_that_torch_cannot_use(training, workers.cpus)
    with (
        board.shown(news, samples.plan.samples, what.split()[0], console, listener),
        storage.readable_causes(storage.join(uri, CHECKPOINTS), "Keeping checkpoints in"),
        _environment(
            {POLL_INTERVAL: POLL_SECONDS, ADDRESS: ray.get_runtime_context().gcs_address}
            | ({} if limit is None else {START_TIMEOUT: str(limit)})
        ),
    ):
        try:
            return trainer.fit()
        except ControllerError as error:
            if type(error.controller_failure).__name__ != "WorkerGroupStartupTimeoutError":
                raise
            raise no_room(training, workers.cpus) from error


def _refuse_gpus_that_torch_cannot_use(training: TrainingConfig, cpus: float) -> None:
    """Raises `RunError`: Ray Train would start workers on such a machine again for ever."""
    asked = ray.remote(num_cpus=0, num_gpus=1)(_torch_here).remote()
    if not ray.wait([asked], timeout=training.placement_timeout_s)[0]:
        ray.cancel(asked, force=True)
        raise no_room(training, cpus)
    version, usable = ray.get(asked)
    if not usable:
        raise RunError(
            f"A machine of the cluster has a GPU, but torch {version} there cannot use it: the driver is missing, or "
            "it is torch for CPUs; mend the machine's image, or set training.device=cpu."
        )


def _torch_here() -> tuple[str, bool]:
    return torch.__version__, torch.cuda.is_available()


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """What Ray Train takes from the environment only."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def no_room(training: TrainingConfig, cpus: float) -> RunError:
    """What to say of workers that were not placed in time."""
    return RunError(
        f"No place for {training.fewest} training workers of {cpus:g} CPUs was found in "
        f"{training.placement_timeout_s:.0f} s; lower training.workers (of a search: parallel), add machines, or "
        "raise placement_timeout_s."
    )
