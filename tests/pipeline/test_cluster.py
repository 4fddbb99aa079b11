"""What training asks of a cluster, and what it refuses."""

from __future__ import annotations

import pytest

from physioclr.config import TrainingConfig
from physioclr.errors import RunError
from physioclr.pipeline import cluster
from physioclr.pipeline.cluster import place_workers


def test_workers_leave_cpus_for_data() -> None:
    for cpus in (2, 4, 16, 64):
        for count in (1, 2, 8):
            workers = place_workers(TrainingConfig(workers=count, batch_size=32), {"CPU": cpus, "GPU": 0})
            assert workers.count == count
            assert not workers.gpu
            assert workers.cpus * count <= cpus - 1


def test_gpus_are_used_when_there_is_one_for_each_worker() -> None:
    assert place_workers(TrainingConfig(workers=2), {"CPU": 16, "GPU": 2}).gpu
    assert not place_workers(TrainingConfig(workers=2), {"CPU": 16, "GPU": 1}).gpu
    assert not place_workers(TrainingConfig(workers=2, device="cpu"), {"CPU": 16, "GPU": 8}).gpu


@pytest.mark.parametrize(
    ("training", "available", "message"),
    [
        ({"workers": 4, "device": "gpu"}, {"CPU": 32, "GPU": 2}, "4 on GPUs, but the cluster has 2"),
        ({"workers": 4, "cpus_per_worker": 2}, {"CPU": 8, "GPU": 0}, "to at most 7"),
        ({"workers": 1}, {"CPU": 1, "GPU": 0}, "leave none of the cluster's 1 CPUs"),
    ],
)
def test_what_can_never_be_placed_is_refused(
    training: dict[str, object], available: dict[str, float], message: str
) -> None:
    with pytest.raises(RunError, match=message):
        place_workers(TrainingConfig.model_validate(training), available)


def test_a_cluster_that_may_grow_counts_with_what_it_may_grow_to(
    ray_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = cluster.resources()
    monkeypatch.setenv(cluster.MAY_SCALE_TO, "CPU=64,GPU=8")
    assert cluster.resources() == {"CPU": 64.0, "GPU": 8.0}
    monkeypatch.setenv(cluster.MAY_SCALE_TO, "CPU=0")
    assert cluster.resources() == there, "what is there already counts"
    monkeypatch.setenv(cluster.MAY_SCALE_TO, "64 CPUs")
    with pytest.raises(RunError, match="is '64 CPUs'; say what the cluster may scale to as CPU=64,GPU=8"):
        cluster.resources()
