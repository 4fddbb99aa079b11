"""Hosts are lost for good and others join while a run of 1 to 3 workers goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.conftest import Bed
from tests.cluster.runs import check_whole, pretrain, saved_step, starts, workers_now

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


def test_it_shrinks_with_the_cluster_and_grows_again(bed: Bed, lake: Path) -> None:
    cluster = bed.cluster()
    hosts = [cluster.join(name, cpus=1) for name in ("one", "two", "three")]
    run = lake / "runs/elastic"
    bed.s3.latency = 0.5  # checkpoints take seconds, so that the run lasts until all has happened
    words = ("training.workers=[1, 3]", "training.batch_size=6", "training.epochs=6", "checkpoint.every_steps=4")
    job = pretrain(cluster, "elastic", *words)
    job.until(lambda: saved_step(run) >= 4, 600, "two checkpoints by three workers")
    assert workers_now(run) == 3

    hosts[1].kill()
    job.until(lambda: workers_now(run) == 2, 600, "a checkpoint by the two that are left")
    cluster.join("four", cpus=1)
    job.until(lambda: workers_now(run) == 3, 600, "a checkpoint by three workers again")
    bed.s3.latency = 0.0
    said = job.wait(600)

    summary = check_whole(run, batch=6, epochs=6)
    begun = starts(run)
    assert [row["workers"] for row in begun] == [3, 2, 3]
    assert [row["after"] for row in begun] == ["start", "failure", "resize"]
    assert summary["restarts"] == 2
    assert summary["lost_steps"] == sum(row["lost_samples"] for row in begun) / 6
    assert all(row["lost_samples"] <= 4 * 6 for row in begun), "no more than checkpoint.every_steps"
    assert "restarts" in said
