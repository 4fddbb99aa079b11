"""A spot notice: what was done since the last checkpoint is saved before the host is taken away."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.cluster.conftest import Bed
from tests.cluster.runs import TRAINING_ROWS, check_whole, pretrain, saved_steps, starts, workers_now

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
NOTICE_SECONDS = 60
EPOCHS = 8


def test_a_notice_is_answered_with_a_checkpoint(bed: Bed, lake: Path) -> None:
    cluster = bed.cluster()
    hosts = [cluster.join(name, cpus=1) for name in ("one", "two")]
    run, epoch = lake / "runs/spot", TRAINING_ROWS // 2
    bed.s3.latency = 1.0  # reading, a row group at a time, takes seconds, so that the run lasts
    words = ("training.workers=[1, 2]", "training.batch_size=2", f"training.epochs={EPOCHS}")
    job = pretrain(cluster, "spot", *words, "training.mix_row_groups=1", "checkpoint.keep=100")
    job.until(lambda: "samples/s" in job.output(), 900, "the first steps")

    cluster.drain(hosts[1], NOTICE_SECONDS)
    told = time.monotonic()
    job.until(lambda: any(step % epoch for step in saved_steps(run)), NOTICE_SECONDS, "a checkpoint within an epoch")
    time.sleep(max(told + NOTICE_SECONDS - time.monotonic(), 0))  # it is taken away when it was said, not before
    hosts[1].kill()
    job.until(lambda: workers_now(run) == 1, 900, "a checkpoint by the one that is left")
    bed.s3.latency = 0.0
    job.wait(900)

    summary = check_whole(run, batch=2, epochs=EPOCHS)
    begun = starts(run)
    assert [row["after"] for row in begun] == ["start", "preemption"]
    assert begun[1]["step"] > 0
    assert summary["preemptions"] == 1
    assert summary["lost_steps"] < epoch, "less than without the notice"
