"""A spot notice: what was done since the last checkpoint is saved before the host is taken away."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.cluster.conftest import Bed
from tests.cluster.runs import TRAINING_ROWS, check_whole, pretrain, rows, saved_step, starts

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
NOTICE_SECONDS = 60


def test_a_notice_is_answered_with_a_checkpoint(bed: Bed, lake: Path) -> None:
    cluster = bed.cluster()
    hosts = [cluster.join(name, cpus=1) for name in ("one", "two")]
    run = lake / "runs/spot"
    bed.s3.latency = 1.5  # reading, a row group at a time, takes seconds: an epoch lasts longer than the notice
    words = ("training.workers=[1, 2]", "training.batch_size=2", "training.epochs=3", "training.mix_row_groups=1")
    job = pretrain(cluster, "spot", *words)
    job.until(lambda: saved_step(run) > 0, 600, "the first epoch's end, the only checkpoint unless there is a notice")

    cluster.drain(hosts[1], NOTICE_SECONDS)
    told = time.monotonic()
    before = saved_step(run)
    job.until(lambda: saved_step(run) > before, NOTICE_SECONDS, "a checkpoint within the notice")
    time.sleep(max(told + NOTICE_SECONDS - time.monotonic(), 0))  # it is taken away when it was said, not before
    hosts[1].kill()
    job.until(lambda: starts(run)[-1]["workers"] == 1, 600, "a checkpoint by the one that is left")
    bed.s3.latency = 0.0
    job.wait(600)

    summary = check_whole(run, batch=2, epochs=3)
    begun = starts(run)
    assert [row["after"] for row in begun] == ["start", "preemption"]
    assert begun[1]["step"] > before, "it went on from the checkpoint that the notice has brought"
    assert summary["preemptions"] == 1
    epoch = TRAINING_ROWS // 2
    assert summary["lost_steps"] < epoch, "less than without the notice"
    assert len(rows(run, "epoch")) == 3
