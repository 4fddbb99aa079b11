"""The head dies, and everything with it but the storage: the same command on another cluster goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.conftest import Bed
from tests.cluster.runs import check_whole, pretrain, saved_step, starts

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
WORDS = ("training.workers=2", "training.batch_size=6", "training.epochs=8", "checkpoint.every_steps=2")


def test_the_name_goes_on_on_a_new_cluster(bed: Bed, lake: Path) -> None:
    run = lake / "runs/moved"
    old = bed.cluster(head_cpus=3)
    bed.s3.latency = 0.3
    job = pretrain(old, "moved", *WORDS)
    job.until(lambda: saved_step(run) >= 4, 600, "two checkpoints")
    old.head.kill()
    assert (run / "owner.json").exists(), "nobody has said good-bye"
    bed.s3.latency = 0.0

    new = bed.cluster(head="other", head_cpus=3)
    said = pretrain(new, "moved", *WORDS).wait(900)
    check_whole(run, batch=6, epochs=8)
    begun = starts(run)
    assert [row["after"] for row in begun] == ["start", "start"]
    assert begun[1]["step"] >= 4
    assert "on head" in said, "it says whose the run was"
