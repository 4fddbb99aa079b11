"""The bed itself: jobs from outside over several hosts, and what a cut cable and a lost host look like."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.cluster.conftest import Bed
from tests.cluster.lan import wait_until
from tests.cluster.runs import check_whole, pretrain

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]


def test_a_job_from_outside_runs_on_the_hosts(bed: Bed, lake: Path) -> None:
    cluster = bed.cluster()
    hosts = [cluster.join("one", cpus=2), cluster.join("two", cpus=2)]
    assert set(cluster.alive()) == {cluster.head.address, *(host.address for host in hosts)}
    said = pretrain(cluster, "plain", "training.workers=2", "training.epochs=2", "training.batch_size=12").wait(600)
    assert "loss of the last epoch" in said
    assert check_whole(lake / "runs/plain", batch=12, epochs=2)["restarts"] == 0
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{cluster.url}/api/jobs/")

    hosts[0].cut()
    wait_until(lambda: hosts[0].address not in cluster.alive(), 200, "the cut host is given up")
    hosts[1].kill()
    wait_until(lambda: set(cluster.alive()) == {cluster.head.address}, 200, "the lost host is given up")
