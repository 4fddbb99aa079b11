"""A host that only reads is lost for good while reading holds every CPU that training leaves: what was on it is read
again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.conftest import Bed
from tests.cluster.runs import check_whole, pretrain, saved_step, starts

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]
EPOCHS = 100


def test_what_a_lost_host_had_read_is_read_again(bed: Bed, lake: Path) -> None:
    cluster = bed.cluster()
    hosts = [cluster.join(name, cpus=2) for name in ("one", "two", "three")]
    run = lake / "runs/reading"
    job = pretrain(cluster, "reading", "training.workers=2", "training.batch_size=6", f"training.epochs={EPOCHS}")
    job.until(lambda: saved_step(run) > 0, 600, "the first checkpoint")

    readers = [host for host in hosts if not host.processes("RayTrainWorker") and host.processes("ReadSpan")]
    assert readers, "Ray puts both workers on one host"
    readers[0].kill()
    at = saved_step(run)
    assert at < 13 * EPOCHS // 2, "there is much left to be read"
    job.wait(600)
    assert check_whole(run, batch=6, epochs=EPOCHS)["restarts"] == 0
    assert len(starts(run)) == 1, "the workers went on"
