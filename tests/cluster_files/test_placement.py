"""On a real cluster of three nodes with the labels of cluster/: where our work goes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import ray
from ray.cluster_utils import Cluster

from physioclr.config import PrepareConfig
from physioclr.pipeline import cluster
from physioclr.pipeline.compare.job import _remote as driver
from physioclr.pipeline.training.feed import in_plan_order

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def roles() -> Iterator[dict[str, str]]:
    """Roles by the ids of the nodes; the one for training has most of the CPUs."""
    ray.shutdown()
    labels = {"data": "on-demand", "train": "spot"}
    here = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "labels": {cluster.ROLE: "head", cluster.MARKET: "on-demand"}},
    )
    for role, market in labels.items():
        here.add_node(num_cpus=2 if role == "data" else 8, labels={cluster.ROLE: role, cluster.MARKET: market})
    ray.init(address=here.address, log_to_driver=False)
    cluster.quiet()
    yield {node["NodeID"]: node["Labels"][cluster.ROLE] for node in ray.nodes()}
    ray.shutdown()
    here.shutdown()


def node_of_task() -> str:
    return str(ray.get_runtime_context().get_node_id())


def test_tasks_of_ours_are_on_the_machine_for_data(roles: dict[str, str]) -> None:
    task = cluster.task(node_of_task)
    assert {roles[node] for node in ray.get([task.remote() for _ in range(6)])} == {"data"}


def test_work_that_asks_for_no_cpu_is_there_too(roles: dict[str, str]) -> None:
    task = cluster.task(node_of_task, cpus=0)
    assert {roles[node] for node in ray.get([task.remote() for _ in range(6)])} == {"data"}


def test_ray_data_is_there_too(roles: dict[str, str]) -> None:
    rows = ray.data.range(16, override_num_blocks=16).map(lambda row: {"node": node_of_task()}, num_cpus=1).take_all()
    assert {roles[row["node"]] for row in rows} == {"data"}


def test_drivers_are_not_on_spot(roles: dict[str, str]) -> None:
    task = driver(node_of_task)
    assert {roles[node] for node in ray.get([task.remote() for _ in range(6)])} <= {"head", "data"}


def test_work_on_gpus_goes_where_they_are_all_the_same(roles: dict[str, str]) -> None:
    """Four CPUs stand for a GPU: only the machine for training has them."""
    rows = ray.data.range(2).map(lambda row: {"node": node_of_task()}, num_cpus=4, label_selector=cluster.for_gpus())
    assert {roles[row["node"]] for row in rows.take_all()} == {"train"}


def test_reading_for_training_is_placed_as_data_work(roles: dict[str, str]) -> None:
    assert in_plan_order()._get_user_execution_options("train").label_selector == {cluster.ROLE: "!in(head,train)"}


def test_preparing_runs_with_labels(roles: dict[str, str], demo_config: PrepareConfig, console) -> None:  # type: ignore[no-untyped-def]
    from physioclr.pipeline.prepare.job import prepare

    assert prepare(demo_config, console).rows("train") > 0
