"""Ray Data gives each worker its slices of the plan, in order, from wherever the run stopped."""

from __future__ import annotations

import random
import time
from typing import Any

import numpy as np
import pytest
from ray.data import ExecutionOptions

from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.feed import ReadSpan, training_stream
from physioclr.pipeline.order import Plan
from physioclr.pipeline.packing import unpack


def plan_of(dataset: PreparedDataset, batch_size: int, epochs: int = 2) -> Plan:
    return Plan(tuple(dataset.group_rows("train").tolist()), batch_size, epochs, mix=2, seed=3)


@pytest.mark.parametrize("workers", [1, 2])
def test_each_worker_gets_its_slice_of_every_step(
    demo_dataset: PreparedDataset, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(demo_dataset, batch_size=4)
    grain, start = 4 // workers, 8
    read = ReadSpan.__call__

    def slow_now_and_then(self: ReadSpan, block: dict[str, Any]) -> Any:
        time.sleep(random.random() / 3)
        yield from read(self, block)

    monkeypatch.setattr(ReadSpan, "__call__", slow_now_and_then)
    stream = training_stream(demo_dataset, plan, start, grain)
    stream.context.execution_options = ExecutionOptions(preserve_order=True)
    shards = stream.streaming_split(workers, equal=True)
    seen: list[list[np.ndarray]] = [[] for _ in shards]

    def drain(rank: int) -> None:
        for batch in shards[rank].iter_batches(batch_size=None, batch_format="pyarrow"):
            seen[rank].append(unpack(batch).position)

    from threading import Thread

    threads = [Thread(target=drain, args=(rank,)) for rank in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    steps = [np.concatenate(parts) for parts in zip(*seen, strict=True)]
    assert np.concatenate(steps).tolist() == list(range(start, plan.samples))
