"""The Ray cluster a job runs on: joined when there is one, started on this machine when there is not."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# Ray reads these when it is imported.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves the hospital
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # tasks without a GPU leave CUDA_VISIBLE_DEVICES alone
os.environ.setdefault(
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5"
)  # what a report can wait; 2 s are felt in short epochs
# How long workers wait for a place that Ray thinks is there, and that may have been lost with its machine.
os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "30")

import ray
from ray.data import DataContext
from rich.console import Console

from physioclr.config import TrainingConfig
from physioclr.errors import RunError
from physioclr.sources.pseudonyms import VARIABLE

# Labels of machines, given by the files in cluster/. Machines without them are for everything.
ROLE = "physioclr/role"  # head, data or train
MARKET = "ray.io/market-type"  # on-demand or spot: Ray's own name
MOST = {"CPU": "physioclr/most-cpus", "GPU": "physioclr/most-gpus"}  # of the head: what the autoscaler may bring


@dataclass(frozen=True)
class Workers:
    """What Ray Train is asked for: `count` workers of `cpus` CPUs and, with `gpu`, one GPU each; at least `fewest`."""

    count: int
    cpus: float
    gpu: bool
    fewest: int

    @property
    def elastic(self) -> bool:
        """Whether the run goes on with fewer."""
        return self.fewest < self.count

    @property
    def resources(self) -> dict[str, float]:
        """Of one worker, as Ray counts them."""
        return {"CPU": self.cpus} | ({"GPU": 1.0} if self.gpu else {})


def connect() -> None:
    """Join the cluster that this job was submitted to (or RAY_ADDRESS names), else start Ray on this machine."""
    for again in (True, True, False):
        if ray.is_initialized():
            break
        try:
            with _key_held_back():
                ray.init(log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # Ray has no class for it: it gives its own processes half a minute
            if not again or "timed out during startup" not in str(error):
                raise
            ray.shutdown()
    quiet()


@contextmanager
def _key_held_back() -> Iterator[None]:
    """Processes that Ray starts have no use for the key of patients, and would have it in their environment."""
    key = os.environ.pop(VARIABLE, None)
    try:
        yield
    finally:
        if key is not None:
            os.environ[VARIABLE] = key


def quiet() -> None:
    """Leave progress to our own meters, as Ray Data's bars and chatter would interleave with them in job logs, and
    keep Ray Data off the machines for training."""
    context = DataContext.get_current()
    context.execution_options.label_selector = for_data()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.memory_usage_poll_interval_s = None  # or each task reads its own memory map every second
    for name in ("ray.data", "ray.train"):
        logging.getLogger(name).setLevel(logging.WARNING)


def resources() -> dict[str, float]:
    """CPUs and GPUs of the cluster; where machines come as they are needed, as many as there will be at most.

    Ray knows only the machines that are there, so the head of such a cluster says the rest by its labels.
    """
    total, labels = ray.cluster_resources(), _labels()
    most = {name: max((float(one.get(label, 0)) for one in labels), default=0.0) for name, label in MOST.items()}
    return {name: max(total.get(name, 0.0), most[name]) for name in MOST}


def for_data() -> dict[str, str] | None:
    """Label selector of work on CPUs: it stays off machines for training, so that none is started or kept for it, and
    off the head, where work that asks for no CPU would find room.

    None where no machine is labelled as head or for data: then there is nowhere else to go.
    """
    roles = {labels.get(ROLE) for labels in _labels()}
    # without a space: Ray would look for " train"
    return {ROLE: "!in(head,train)"} if roles & {"head", "data"} else None


def for_gpus() -> dict[str, str] | None:
    """Label selector of Ray Data's work on GPUs: in the place of `for_data`, any machine but the head."""
    return {ROLE: "!head"} if for_data() else None


def for_drivers() -> dict[str, str] | None:
    """Label selector of what drives others' work and would be begun anew without its machine: it stays off spot ones.

    None where no machine is labelled as bought on demand.
    """
    on_demand = any(labels.get(MARKET) == "on-demand" for labels in _labels())
    return {MARKET: "!spot"} if on_demand else None


def _labels() -> list[dict[str, str]]:
    return [node.get("Labels") or {} for node in ray.nodes() if node["Alive"]]


def task(function: Callable[..., Any], cpus: float = 1.0) -> Any:
    """`function` as a task of Ray, to be placed wherever data work may go.

    Without a strategy that says so, a task begun by a trial of a search would be put into what is reserved for the
    trial's own process, where no CPU is, and be refused.
    """
    return ray.remote(num_cpus=cpus, scheduling_strategy="DEFAULT", label_selector=for_data())(function)


def say_if_busy(cpus: float, console: Console) -> None:
    """Say that a stage which needs `cpus` will wait, because others are using the cluster."""
    free = ray.available_resources().get("CPU", 0.0)
    if free < cpus:
        console.print(
            f"Waiting for CPUs: {cpus:g} are needed, {free:g} are free now.",
            highlight=False,
        )


def hints(training: TrainingConfig, available: dict[str, float], uris: Sequence[str]) -> Iterator[str]:
    """What is allowed, but perhaps not meant."""
    if training.device == "auto" and 0 < available["GPU"] < training.fewest:
        yield (
            f"Training on CPUs: there are {available['GPU']:.0f} GPUs for training.workers={training.fewest}; "
            f"set training.workers={available['GPU']:.0f} to use them."
        )
    machines = sum(node["Alive"] for node in ray.nodes())
    local = [uri for uri in uris if "://" not in uri]
    if machines > 1 and local:
        yield f"{', '.join(local)} must be a folder that all {machines} machines of the cluster share."


def room(training: TrainingConfig, workers: int, parallel: int | None) -> tuple[int, float]:
    """How many runs of so many workers stand side by side, and the CPUs of each worker; one CPU is left for data.

    `parallel`: how many are asked for; without it one a GPU, or as many as the CPUs allow. Raises `RunError` where
    they leave no CPU to read data.
    """
    there = resources()
    gpus = there["GPU"] if training.device != "cpu" else 0.0
    fit = gpus // workers if gpus >= workers else there["CPU"] // (workers * (training.cpus_per_worker or 1.0))
    at_once = parallel or max(int(fit), 1)
    spare = there["CPU"] - 1.0
    cpus = training.cpus_per_worker or min(spare / (at_once * workers), 8.0)
    cpus = float(int(cpus)) if cpus >= 1 else cpus
    if cpus <= 0 or cpus * workers * at_once > spare + 1e-9:
        raise RunError(
            f"{at_once} runs at once of {workers} workers with {cpus:g} CPUs leave none of the cluster's "
            f"{there['CPU']:g} CPUs to read data; lower parallel or pretrain.training.workers, or add machines."
        )
    return at_once, cpus


def place_workers(training: TrainingConfig, available: dict[str, float]) -> Workers:
    """Resources of each training worker, leaving CPUs for Ray Data, which would otherwise starve for ever.

    Raises `RunError` when the cluster cannot hold the workers and one CPU for data beside them.
    """
    gpu = training.device == "gpu" or (training.device == "auto" and available["GPU"] >= training.fewest)
    if gpu and available["GPU"] < training.fewest:
        raise RunError(
            f"training.workers is {training.fewest} on GPUs, but the cluster has {available['GPU']:.0f}; lower "
            "training.workers, set training.device=cpu, or add machines."
        )
    if training.fewest < training.most:
        return _place_elastic(training, available, gpu)
    count = training.most
    spare = available["CPU"] - 1.0
    cpus = training.cpus_per_worker or min(spare / 2 / count, 8.0)
    if cpus <= 0 or cpus * count > spare + 1e-9:
        raise RunError(
            f"{count} training workers of {cpus:g} CPUs leave none of the cluster's "
            f"{available['CPU']:g} CPUs to read data; set training.workers x training.cpus_per_worker to at most "
            f"{max(spare, 0):g}, or add machines."
        )
    if cpus >= 1:
        cpus = float(int(cpus))
    return Workers(count, cpus, gpu, count)


def _place_elastic(training: TrainingConfig, available: dict[str, float], gpu: bool) -> Workers:
    """Workers whose number changes: their CPUs are not made from those that happen to be there, and as Ray Train may
    take every CPU for them, reading asks for none (`feed.py`)."""
    cpus = training.cpus_per_worker or 1.0
    if cpus * training.fewest > available["CPU"] + 1e-9:
        raise RunError(
            f"{training.fewest} training workers of {cpus:g} CPUs, the fewest of training.workers, find no room on the "
            f"cluster's {available['CPU']:g} CPUs; lower training.cpus_per_worker or training.workers, or add machines."
        )
    return Workers(training.most, cpus, gpu, training.fewest)
