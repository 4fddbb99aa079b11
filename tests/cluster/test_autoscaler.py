"""A cluster of a head alone: machines come for the work, and go after it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.cluster.conftest import Bed
from tests.cluster.lan import wait_until
from tests.cluster.runs import pretrain

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
IDLE = {"head": 1}
DEMO = ("sources.0.patients=60", "sources.0.recordings_per_patient=2")
SIZES = ("features.components=20", "unit_recordings=10", "row_group_rows=8")


def shards(folder: Path) -> dict[str, str]:
    """Hashes of the shards below `folder`."""
    found = sorted(folder.rglob("*.parquet"))
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in found}


def test_machines_come_for_the_work_and_go_after_it(bed: Bed, lake: Path, prepared: Path) -> None:
    cluster = bed.cluster(grows=True)
    assert cluster.roles() == IDLE

    never = pretrain(cluster, "never", "training.workers=1", "training.cpus_per_worker=2", "training.batch_size=6")
    assert never.end(300) == "FAILED"
    assert "machines (1 of 0 CPUs, 2 of 1 CPUs, 1 of 1 CPUs and 1 GPUs) hold 0 of them" in never.output()
    assert cluster.roles() == IDLE, "nothing was started for it"

    words = ("uri=s3://lake/grown", f"sources.0.uri={prepared.parent}/recordings", *DEMO, *SIZES)
    extraction = cluster.submit("jobs/prepare.py", *words)
    extraction.until(lambda: cluster.roles() == {"head": 1, "data": 2}, 300, "both machines for data")
    extraction.wait(600)
    assert shards(lake / "grown") == shards(prepared)
    wait_until(lambda: cluster.roles() == IDLE, 200, "machines for data have gone")

    on_gpu = ("training.workers=1", "training.device=gpu", "training.batch_size=6")
    training = pretrain(cluster, "gpus", *on_gpu)
    training.until(lambda: cluster.roles()["train"] == 1, 300, "the machine with a GPU")
    assert training.end(300) == "FAILED"
    assert "there cannot use it: the driver is missing, or it is torch for CPUs" in training.output()
    wait_until(lambda: cluster.roles() == IDLE, 200, "the machine with a GPU has gone")
