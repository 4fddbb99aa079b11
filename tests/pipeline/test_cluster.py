"""What training asks of a cluster, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import ray
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from physioclr.config import TrainingConfig
from physioclr.errors import RunError
from physioclr.pipeline import cluster
from physioclr.pipeline.cluster import MARKET, MOST, ROLE, place_workers

HEAD = {ROLE: "head", MARKET: "on-demand", MOST["CPU"]: "160", MOST["GPU"]: "4"}
DATA = {ROLE: "data", MARKET: "on-demand"}
SPOT = {ROLE: "train", MARKET: "spot"}


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the cluster have machines with these labels, without any CPU."""

    def have(*labels: dict[str, str] | None) -> None:
        nodes = [{"Alive": True, "Labels": one} for one in labels]
        monkeypatch.setattr(cluster.ray, "nodes", lambda: nodes)
        monkeypatch.setattr(cluster.ray, "cluster_resources", lambda: {"CPU": 2.0})

    return have


def test_without_labels_nothing_is_asked_of_machines(machines: Callable[..., None]) -> None:
    machines({}, {"ray.io/node-id": "1"}, None)
    assert cluster.for_data() is None
    assert cluster.for_gpus() is None
    assert cluster.for_drivers() is None
    assert cluster.resources() == {"CPU": 2.0, "GPU": 0.0}


def test_data_work_stays_off_machines_for_training(machines: Callable[..., None]) -> None:
    for labels in ((HEAD,), (HEAD, SPOT), (HEAD, DATA, SPOT), (DATA, SPOT)):
        machines(*labels)
        assert cluster.for_data() == {ROLE: "!in(head,train)"}


def test_where_all_machines_are_for_training_data_work_goes_there(machines: Callable[..., None]) -> None:
    machines(SPOT, SPOT)
    assert cluster.for_data() is None


def test_drivers_stay_off_spot_unless_there_is_nothing_else(machines: Callable[..., None]) -> None:
    machines(HEAD, SPOT)
    assert cluster.for_drivers() == {MARKET: "!spot"}
    machines(SPOT)
    assert cluster.for_drivers() is None


def test_jobs_plan_with_the_machines_that_may_come(machines: Callable[..., None]) -> None:
    machines(HEAD)
    assert cluster.resources() == {"CPU": 160.0, "GPU": 4.0}
    workers = place_workers(TrainingConfig(workers=2), cluster.resources())
    assert workers.gpu


def test_machines_that_are_gone_say_nothing(machines: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    machines()
    monkeypatch.setattr(cluster.ray, "nodes", lambda: [{"Alive": False, "Labels": HEAD}])
    assert cluster.for_data() is None


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


def test_elastic_workers_do_not_depend_on_what_happens_to_be_there() -> None:
    for cpus in (1, 3, 16):
        workers = place_workers(TrainingConfig(workers=(1, 3), batch_size=12), {"CPU": cpus, "GPU": 0})
        assert (workers.fewest, workers.count, workers.resources) == (1, 3, {"CPU": 1.0})
    assert place_workers(TrainingConfig(workers=(1, 4), batch_size=12), {"CPU": 8, "GPU": 2}).gpu
    assert not place_workers(TrainingConfig(workers=(2, 2), batch_size=12), {"CPU": 8, "GPU": 0}).elastic


@pytest.mark.parametrize(
    ("training", "available", "message"),
    [
        ({"workers": 4, "device": "gpu"}, {"CPU": 32, "GPU": 2}, "4 on GPUs, but the cluster has 2"),
        ({"workers": 4, "cpus_per_worker": 2}, {"CPU": 8, "GPU": 0}, "to at most 7"),
        ({"workers": 1}, {"CPU": 1, "GPU": 0}, "leave none of the cluster's 1 CPUs"),
        ({"workers": [2, 4], "batch_size": 12, "cpus_per_worker": 4}, {"CPU": 7, "GPU": 0}, "find no room on the"),
        ({"workers": [2, 4], "batch_size": 12, "device": "gpu"}, {"CPU": 7, "GPU": 1}, "is 2 on GPUs, but the cluster"),
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
    head = {"Alive": True, "Labels": {"physioclr/most-cpus": "64", "physioclr/most-gpus": "8"}}
    monkeypatch.setattr(cluster.ray, "nodes", lambda: [head, {"Alive": True, "Labels": {}}])
    assert cluster.resources() == {"CPU": 64.0, "GPU": 8.0}
    monkeypatch.setattr(cluster.ray, "nodes", lambda: [{**head, "Alive": False}])
    assert cluster.resources() == there, "what is there counts by itself"


def test_tasks_begun_within_what_is_reserved_for_something_else_find_room_outside_of_it(ray_here: None) -> None:
    """As the fingerprints at the end of a search's trial, whose own process has no CPU."""
    reserved = ray.util.placement_group([{"memory": 1e6}])
    ray.get(reserved.ready())

    def trial() -> int:
        return int(ray.get(cluster.task(lambda: 7).remote()))

    strategy = PlacementGroupSchedulingStrategy(reserved, placement_group_capture_child_tasks=True)
    try:
        begun = ray.remote(num_cpus=0, memory=1e6, scheduling_strategy=strategy)(trial).remote()
        assert ray.get(begun, timeout=120) == 7
    finally:
        ray.util.remove_placement_group(reserved)
