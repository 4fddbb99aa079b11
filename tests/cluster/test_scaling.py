"""Preparing and training over 1, 2 and 4 hosts. They share this machine's cores: what is shown is what hosts cost."""

from __future__ import annotations

import json

import pytest

from tests.cluster.conftest import Bed

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


def test_rates_over_hosts(bed: Bed) -> None:
    cluster = bed.cluster()
    for name in ("one", "two", "three", "four"):
        cluster.join(name, cpus=1)
    words = ("scratch=s3://lake/scaling", "sources.0.uri=s3://lake/recordings", "sources.0.patients=400")
    job = cluster.submit("jobs/benchmark.py", "scaling", *words, "cpus_per_worker=1")
    said = job.wait(1200)
    print(said)
    assert "of memory per" not in said, "no advice of Ray Data that only whoever writes the job could follow"
    figures = json.loads(said.strip().splitlines()[-1])
    assert figures["machines"] == 4
    assert set(figures["prepare"]) == {"1", "2", "4"}
    assert all(one["recordings_per_second"] > 0 for part in ("prepare", "train") for one in figures[part].values())
    assert not (bed.lake / "scaling").exists()
