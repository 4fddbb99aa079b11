"""What a cluster has, and where data work, drivers and tasks may go on it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import ray
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from physioclr.pipeline import cluster
from physioclr.pipeline.cluster import MARKET, MAY_COME, ROLE
from physioclr.pipeline.training.placement import Machine

HEAD = {ROLE: "head", MARKET: "on-demand", MAY_COME: "8x16c0g.4x8c1g"}
DATA = {ROLE: "data", MARKET: "on-demand"}
SPOT = {ROLE: "train", MARKET: "spot"}


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the cluster have machines with these labels, a head without CPUs and others with 2."""

    def have(*labels: dict[str, str] | None) -> None:
        nodes = [
            {"Alive": True, "Labels": one, "Resources": {} if one == HEAD else {"CPU": 2.0, "memory": 1e9}}
            for one in labels
        ]
        monkeypatch.setattr(cluster.ray, "nodes", lambda: nodes)

    return have


def test_without_labels_nothing_is_asked_of_machines(machines: Callable[..., None]) -> None:
    machines({}, {"ray.io/node-id": "1"}, None)
    assert cluster.for_data() is None
    assert cluster.for_gpus() is None
    assert cluster.for_drivers() is None
    assert cluster.resources() == {"CPU": 6.0, "GPU": 0.0}


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
    assert cluster.machines() == (Machine(1, 0.0, 0), Machine(8, 16.0, 0), Machine(4, 8.0, 1))
    assert cluster.resources() == {"CPU": 160.0, "GPU": 4.0}
    machines(HEAD, DATA, SPOT)
    assert cluster.resources() == {"CPU": 160.0, "GPU": 4.0}, "those that are there are among them"
    machines({MAY_COME: "1x1c0g"}, DATA, SPOT)
    assert cluster.resources() == {"CPU": 6.0, "GPU": 0.0}, "what is there counts by itself"


def test_machines_that_are_gone_say_nothing(machines: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    machines()
    monkeypatch.setattr(cluster.ray, "nodes", lambda: [{"Alive": False, "Labels": HEAD}])
    assert cluster.for_data() is None


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
