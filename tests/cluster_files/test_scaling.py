"""Which machines Ray's autoscaler would start for our work: its own scheduler on the shipped files, without a cloud."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingRequest
from ray.autoscaler.v2.utils import ResourceRequestUtil
from ray.core.generated.autoscaler_pb2 import GangResourceRequest
from ray.core.generated.common_pb2 import LabelSelectorOperator

from physioclr.pipeline import cluster

CLOUDS = ("aws", "gcp")
HEAD = [{"Alive": True, "Labels": {cluster.ROLE: "head", cluster.MARKET: "on-demand"}}]
Launcher = Callable[[str], dict[str, Any]]


def launched(
    config: dict[str, Any], tasks: list[Any], workers: list[Any], failing: tuple[str, ...] = ()
) -> dict[str, int]:
    """Machines by kind for single `tasks` and a placement group of `workers`; `failing` kinds could not be had."""
    read = AutoscalingConfig(config, skip_content_hash=True)
    availability = dict.fromkeys(failing, 0.0)
    request = SchedulingRequest(
        disable_launch_config_check=True,
        node_type_configs=read.get_node_type_configs(),
        max_num_nodes=read.get_max_num_nodes(),
        resource_requests=ResourceRequestUtil.group_by_count(tasks),
        gang_resource_requests=[GangResourceRequest(requests=workers)] if workers else [],
        cloud_resource_availabilities=availability,
        recoverable_resource_availabilities=availability,
    )
    reply = ResourceDemandScheduler().schedule(request)
    assert not reply.infeasible_resource_requests
    assert not reply.infeasible_gang_resource_requests
    return {one.instance_type: one.count for one in reply.to_launch if one.instance_type != "head"}


def request(resources: dict[str, float], selector: dict[str, str] | None) -> Any:
    """A request as Ray makes it of a task with this label selector."""
    constraints = [
        (
            key,
            LabelSelectorOperator.LABEL_OPERATOR_NOT_IN if value[0] == "!" else LabelSelectorOperator.LABEL_OPERATOR_IN,
            value.removeprefix("!").removeprefix("in(").removesuffix(")").split(","),
        )
        for key, value in (selector or {}).items()
    ]
    return ResourceRequestUtil.make(resources, label_selectors=[constraints] if constraints else None)


@pytest.fixture(autouse=True)
def only_the_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster.ray, "nodes", lambda: HEAD)


@pytest.mark.parametrize("name", CLOUDS)
def test_data_work_starts_machines_for_data_only(launcher: Launcher, name: str) -> None:
    tasks = [request({"CPU": 1}, cluster.for_data())] * 40
    assert launched(launcher(name), tasks, []) == {"data": 3}


@pytest.mark.parametrize("name", CLOUDS)
def test_training_starts_spot_machines(launcher: Launcher, name: str) -> None:
    workers = [request({"GPU": 1, "CPU": 8}, None)] * 2
    assert launched(launcher(name), [], workers) == {"train-spot": 2}


@pytest.mark.parametrize("name", CLOUDS)
def test_where_spot_has_none_training_is_on_demand(launcher: Launcher, name: str) -> None:
    workers = [request({"GPU": 1, "CPU": 8}, None)] * 2
    assert launched(launcher(name), [], workers, failing=("train-spot",)) == {"train-on-demand": 2}


@pytest.mark.parametrize("name", CLOUDS)
def test_reading_beside_training_has_a_machine_of_its_own(launcher: Launcher, name: str) -> None:
    workers = [request({"GPU": 1, "CPU": 4}, None)]  # its machine has four CPUs left
    tasks = [request({"CPU": 1}, cluster.for_data())] * 2
    assert launched(launcher(name), tasks, workers) == {"train-spot": 1, "data": 1}


@pytest.mark.parametrize("name", CLOUDS)
def test_drivers_do_not_go_to_spot(launcher: Launcher, name: str) -> None:
    drivers = [request({"memory": 1}, cluster.for_drivers())]
    config = launcher(name)
    for kind in config["available_node_types"].values():
        kind["resources"]["memory"] = 1
    assert not set(launched(config, drivers, [])) & {"train-spot"}
