"""Where a run's training goes on, and the samples from there. Free of torch: Ray's own actors import it too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ray.data import Dataset
from ray.train import Result

from physioclr import storage
from physioclr.pipeline import cluster
from physioclr.pipeline.selection import Selection
from physioclr.pipeline.training.feed import CPUS, ahead_bytes, readers, training_stream
from physioclr.pipeline.training.order import Plan
from physioclr.pipeline.training.placement import Workers

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Samples:
    """The rows that are trained on, and their order."""

    selection: Selection
    plan: Plan


def rest_of_plan(
    uri: str, samples: Samples, asked: Workers, accumulate: int, start: int = 0
) -> Callable[[int], tuple[Dataset, float]]:
    """What is called at every start of so many of the workers `asked` for: the samples after the latest checkpoint,
    streamed in their micro-batches, and how many bytes of them may be read ahead. Without a checkpoint, those after the
    first `start`."""

    def stream(workers: int) -> tuple[Dataset, float]:
        cluster.quiet()
        grain = samples.plan.batch_size // (accumulate * workers)
        seen = latest_samples_seen(uri, start)
        at_once = readers(workers, cluster.resources()["CPU"] - workers * asked.cpus)
        cpus = CPUS
        if asked.elastic:  # these may come to hold every CPU
            at_once, cpus = max(2, at_once), 0.0
        given = training_stream(samples.selection, samples.plan, seen, grain, at_once, cpus)
        return given, ahead_bytes(workers, at_once, grain)

    return stream


def latest_result(uri: str) -> Result:
    """What Ray Train has kept of the run's checkpoints."""
    folder = storage.join(uri, CHECKPOINTS)
    return Result.from_path(storage.filesystem(folder)[1], storage_filesystem=storage.arrow_filesystem(folder))


def latest_samples_seen(uri: str, start: int = 0) -> int:
    """Samples seen by the checkpoint that Ray Train will restore; `start` before the first one."""
    folder = storage.join(uri, CHECKPOINTS)
    if not storage.exists(storage.join(folder, "checkpoint_manager_snapshot.json")):
        return start
    result = latest_result(uri)
    return int(result.metrics["samples_seen"]) if result.metrics else start
