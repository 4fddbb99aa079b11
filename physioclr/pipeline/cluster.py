"""The Ray cluster a job runs on: joined when there is one, started on this machine when there is not."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

from physioclr.pipeline.training.placement import Machine, kinds, total
from physioclr.sources.pseudonyms import VARIABLE

# Labels of machines, given by the files in cluster/. Machines without them are for everything.
ROLE = "physioclr/role"  # head, data or train
MARKET = "ray.io/market-type"  # on-demand or spot: Ray's own name
# A run's driver and what Ray Train places beside it, which asks for nothing itself: 0.44 GB and about 0.8 GB, mostly
# imports. Of many runs at once all would be put on the head, which is the first machine with room.
DRIVER_BYTES = 1.2e9
MAY_COME = (
    "physioclr/may-come"  # of the head: the machines that the autoscaler may bring, as `placement.kinds` reads it
)


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
    # It says which argument in our code to change where a task needs more than its CPUs' share of the memory: reading
    # asks for next to no CPU, and needs the libraries that it imports.
    context.issue_detectors_config.high_memory_detector_config.detection_time_interval_s = -1
    for name in ("ray.data", "ray.train"):
        logging.getLogger(name).setLevel(logging.WARNING)


def machines() -> tuple[Machine, ...]:
    """The cluster's machines; where machines come as they are needed, those that there will be at most.

    Ray knows only the machines that are there, so the head of such a cluster says the rest by a label.
    """
    alive = [node for node in ray.nodes() if node["Alive"]]
    there = tuple(map(_machine, alive))
    heads = [node for node in alive if MAY_COME in (node.get("Labels") or {})]
    coming = tuple(one for head in heads for one in (_machine(head), *kinds(head["Labels"][MAY_COME])))
    return max(there, coming, key=lambda those: (total(those)["GPU"], total(those)["CPU"]))


def _machine(node: dict[str, Any]) -> Machine:
    has = node["Resources"]
    return Machine(1, has.get("CPU", 0.0), int(has.get("GPU", 0)))


def resources() -> dict[str, float]:
    """CPUs and GPUs of `machines()`."""
    return total(machines())


def readers() -> int:
    """How many tasks read for a network that runs on the cluster's CPUs or GPUs: as many as there are CPUs.

    A task asks for a small part of a CPU, as it shares it with the network. Unbounded, each would be a process of its
    own that imports all libraries first, ten for every CPU.
    """
    return max(int(resources()["CPU"]), 1)


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
