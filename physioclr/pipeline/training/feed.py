"""Training data streamed by Ray Data in the plan's order, one block for each worker's micro-batch.

`streaming_split` with `preserve_order` gives block i to worker i mod W. So the workers' k-th blocks together are the
k-th slice of the plan, whatever the machines do. Training checks it at every step: a sample's position comes along.

A task that has read ahead keeps its place until its blocks are wanted. When a machine is lost, what it had read is read
again, and everybody waits for that: a place must be free for it. So reading never takes all the CPUs that it could.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import ray
from numpy.typing import NDArray
from ray.data import DataContext, Dataset, ExecutionOptions, ExecutionResources, TaskPoolStrategy
from ray.data._internal.execution.execution_callback import ExecutionCallback
from ray.train import DataConfig

from physioclr.pipeline import cluster
from physioclr.pipeline.selection import Selection
from physioclr.pipeline.training.order import Plan
from physioclr.pipeline.training.packing import COLUMNS_READ, grain_of, pack

PAUSE_SECONDS = 0.02
READERS_A_WORKER = 4  # at most; one reads 2,000 to 3,000 recordings a second from a local disk
AHEAD_OF_WORKER, AHEAD_OF_TASK = 4, 3  # blocks: two that a worker has asked for and two more; those of a task under way
SAMPLE_BYTES = 125_000  # of a packed sample: 12 leads of 5,000 int16, and features
FEWEST_BYTES = 256e6  # may be read ahead anyway
CPUS = 0.25  # of a task: what most of them do is wait, and three quarters of the CPUs for reading may be lost


class Unhurried(ExecutionCallback):
    """Lets Ray Data's loop rest between its rounds.

    While blocks wait for the training workers the loop has nothing to do, and does it as fast as it can: as much of a
    core as a small encoder's training takes (docs/benchmarks.md). A round hands on all blocks that are wanted.
    """

    def on_execution_step(self, executor: Any) -> None:
        """Called by Ray Data after each round."""
        time.sleep(PAUSE_SECONDS)


class ReadSpan:
    """Reads a span of the plan and yields it grain by grain, each as one packed row."""

    def __init__(self, selection: Selection, plan: Plan, grain: int) -> None:
        self._selection, self._plan, self._grain = selection, plan, grain

    def __call__(self, block: dict[str, NDArray[np.int64]]) -> Iterator[pa.Table]:
        """A block with one span's `start` and `stop` to packed grains in order."""
        start, stop = int(block["start"][0]), int(block["stop"][0])
        rows = self._plan.rows(start, stop)
        table = self._selection.take(rows, COLUMNS_READ)
        for first in range(0, stop - start, self._grain):
            part = slice(first, first + self._grain)
            positions = np.arange(start + first, start + first + self._grain, dtype=np.int64)
            yield pack(grain_of(table.slice(first, self._grain), positions, rows[part]))


def readers(workers: int, spare_cpus: float) -> int:
    """How many tasks read at once for so many training workers, beside which there are so many CPUs."""
    return max(1, min(READERS_A_WORKER * workers, int(spare_cpus)))


def training_stream(
    selection: Selection, plan: Plan, start: int, grain: int, at_once: int = 1, cpus: float = CPUS
) -> Dataset:
    """The rest of the plan from position `start`, as a Ray dataset of packed grains, read by `at_once` tasks.

    `cpus` is what each of them asks for: 0 for training whose workers may come to hold every CPU.
    """
    context = DataContext.get_current().copy()
    context.target_max_block_size = 1  # so that every yielded row is a block of its own
    context.custom_execution_callback_classes = [*context.custom_execution_callback_classes, Unhurried]
    spans = [{"start": first, "stop": last} for first, last in plan.spans(start, grain)]
    before = DataContext.get_current()
    DataContext._set_current(context)
    try:
        source = ray.data.from_items(spans, override_num_blocks=len(spans))
        stream: Any = source.map_batches(
            ReadSpan(selection, plan, grain).__call__,
            batch_size=None,
            batch_format="numpy",
            num_cpus=cpus,
            compute=TaskPoolStrategy(size=at_once),
        )
    finally:
        DataContext._set_current(before)
    return stream


def in_plan_order() -> DataConfig:
    """How Ray Train hands the stream to its workers: blocks in order and in turn, read where data work goes."""
    return DataConfig(execution_options=_options(), enable_shard_locality=False)


def _options(ahead_bytes: float | None = None) -> ExecutionOptions:
    limits = ExecutionResources.for_limits(object_store_memory=ahead_bytes)
    return ExecutionOptions(preserve_order=True, label_selector=cluster.for_data(), resource_limits=limits)


def ahead_bytes(workers: int, at_once: int, grain: int) -> float:
    """How much may be read ahead for so many workers by so many tasks, in blocks of `grain` samples.

    Of its own, Ray Data would fill a quarter of the memory of all machines' object stores. But what is read lies on the
    machines that read, and beside large machines with GPUs these are small: it would go to their disks and come back.
    """
    return max((AHEAD_OF_WORKER * workers + AHEAD_OF_TASK * at_once) * grain * SAMPLE_BYTES, FEWEST_BYTES)


class RestOfPlan(DataConfig):
    """As `in_plan_order`, of a stream that is made at each start of the workers, for as many as there are then.

    `stream` gives it, and how many bytes of it may be read ahead.
    """

    def __init__(self, stream: Callable[[int], tuple[Dataset, float]]) -> None:
        super().__init__(execution_options=_options(), enable_shard_locality=False)
        self._stream = stream

    def configure(self, datasets: Any, world_size: int, *others: Any, **more: Any) -> Any:
        """What Ray Train calls: each worker's part of the stream, for the name that it knows the training data by."""
        stream, ahead = self._stream(world_size)
        self._user_execution_options = _options(ahead)
        return super().configure(dict.fromkeys(datasets, stream), world_size, *others, **more)
