"""Ray Data gives each worker its slices of the plan, in order, from wherever the run stopped."""

from __future__ import annotations

import random
import time
from typing import Any

import numpy as np
import pytest

from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.prepare.layout import SPLITS
from physioclr.pipeline.selection import Selection
from physioclr.pipeline.training.feed import CPUS, ReadSpan, _options, ahead_bytes, readers, training_stream
from physioclr.pipeline.training.order import Plan
from physioclr.pipeline.training.packing import unpack


@pytest.mark.parametrize(
    ("workers", "spare_cpus", "many"), [(1, 1.0, 1), (1, 0.0, 1), (2, 4.0, 4), (1, 30.0, 4), (64, 500.0, 256)]
)
def test_reading_leaves_most_of_the_cpus_that_it_may_use(workers: int, spare_cpus: float, many: int) -> None:
    """Or what a lost machine had read could not be read again: tests/cluster/test_lost_reader.py."""
    assert readers(workers, spare_cpus) == many
    assert many * CPUS <= max(spare_cpus, 1.0) / 2


def plan_of(dataset: PreparedDataset, batch_size: int, epochs: int = 2) -> Plan:
    return Plan(tuple(dataset.group_rows("train").tolist()), batch_size, epochs, mix=2, seed=3)


def test_what_is_read_ahead_fits_beside_those_who_read_it() -> None:
    """Their machines' object stores hold 0.3 of 32 GB each: `cluster/aws.yaml`, eight machines for 64 workers."""
    assert ahead_bytes(64, readers(64, 500.0), 64) < 8 * 0.3 * 32e9 / 2
    assert ahead_bytes(1, 1, 2048) >= 3 * 2048 * 12 * 5000 * 2, "what the worker asks for, and what is on its way"


@pytest.mark.parametrize(("workers", "ahead"), [(1, None), (2, 1e6)])  # 1 MB: two blocks
def test_each_worker_gets_its_slice_of_every_step(
    demo_dataset: PreparedDataset, workers: int, ahead: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(demo_dataset, batch_size=4)
    grain, start = 4 // workers, 8
    read = ReadSpan.__call__

    def slow_now_and_then(self: ReadSpan, block: dict[str, Any]) -> Any:
        time.sleep(random.random() / 3)
        yield from read(self, block)

    monkeypatch.setattr(ReadSpan, "__call__", slow_now_and_then)
    stream = training_stream(Selection.of(demo_dataset, ("train",)), plan, start, grain)
    stream.context.execution_options = _options(ahead)
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


@pytest.mark.parametrize("workers", [1, 2])
def test_rows_of_several_splits_make_the_same_steps_for_any_number_of_workers(
    demo_dataset: PreparedDataset, workers: int
) -> None:
    rows = np.sort(np.random.default_rng(0).permutation(48)[:21])
    selection = Selection.of(demo_dataset, SPLITS, rows)
    plan = Plan(tuple(selection.group_rows().tolist()), batch_size=6, epochs=2, mix=3, seed=0)
    read = ReadSpan(selection, plan, 6 // workers)
    spans = list(plan.spans(0, 6 // workers))
    blocks = [read({"start": np.array([first]), "stop": np.array([last])}) for first, last in spans]
    grains = [unpack(table) for block in blocks for table in block]
    seen = np.concatenate([grain.record for grain in grains])
    assert seen.tolist() == [row for epoch in range(2) for row in plan.rows(epoch * 18, epoch * 18 + 18).tolist()]
    assert seen.max() < 21, "numbers of the selection, by which outcomes are looked up"
    stored = selection.take(seen, ("signal",))["signal"].to_pylist()
    assert b"".join(stored) == b"".join(grain.signal.tobytes() for grain in grains)
