"""`ray job stop` of a search: nothing of it stays on the cluster, and the same command goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import Bed
from tests.cluster.lan import wait_until
from tests.cluster.nodes import Job, RayCluster
from tests.cluster.runs import MODEL

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1500)]
RAYS_OWN = ("_AutoscalingCoordinatorActor", "_StatsActor")  # of Ray Data: one a cluster, without CPUs, kept on purpose
WORDS = (
    *(f"pretrain.model.{word}" for word in MODEL),
    *("name=stopped", "output=s3://lake/searches", "trials=3", "parallel=2", "pruning.by=none", "propose=random"),
    *("pretrain.dataset.uri=s3://lake/prepared", "pretrain.dataset.sources=[]"),
    *("pretrain.training.epochs=4", "pretrain.training.batch_size=6", "pretrain.training.workers=1"),
)


def records(lake: Path) -> list[dict[str, Any]]:
    """The trials' records, by name."""
    return [json.loads(file.read_text()) for file in sorted((lake / "searches/stopped/trials").glob("*.json"))]


def search(cluster: RayCluster) -> Job:
    """The search, sent from outside."""
    return cluster.submit("jobs/search.py", *WORDS)


def left_behind(cluster: RayCluster) -> list[str]:
    """Placement groups that are not removed and actors that live, as the dashboard knows them."""
    what = [("placement_groups", "REMOVED"), ("actors", "DEAD")]
    listed = {kind: cluster.ask(f"/api/v0/{kind}?detail=1&limit=1000")["data"]["result"]["result"] for kind, _ in what}
    return [
        f"{kind}: {one.get('class_name', '')} {one['state']}"
        for kind, gone in what
        for one in listed[kind]
        if one["state"] != gone
        and one.get("ray_namespace") != "SUPERVISOR_ACTOR_RAY_NAMESPACE"
        and one.get("class_name") not in RAYS_OWN
    ]


def nothing_stays(cluster: RayCluster) -> None:
    """Within a minute and a half every actor and placement group is gone."""
    try:
        wait_until(lambda: not left_behind(cluster), 90, "nothing is left")
    except TimeoutError:
        pytest.fail(f"these are left: {left_behind(cluster)}")


def test_nothing_of_a_stopped_search_stays(bed: Bed, lake: Path) -> None:
    cluster = bed.cluster(head_cpus=3)
    first = search(cluster)
    first.until(lambda: any(one["curve"] for one in records(lake)), 600, "the first epoch of a trial")
    assert [line for line in left_behind(cluster) if line.startswith("placement_groups")], "trials hold some"
    cluster.ask(f"/api/jobs/{first.id}/stop", send={})
    assert first.end(120) == "STOPPED"
    nothing_stays(cluster)

    before = {one["trial"]: len(one["curve"]) for one in records(lake)}
    search(cluster).wait(900)
    after = records(lake)
    assert [one["status"] for one in after] == ["finished"] * 3
    assert all([row["epoch"] for row in one["curve"]] == [1, 2, 3, 4] for one in after)
    assert all(one["starts"] == 2 for one in after if before.get(one["trial"]) in (1, 2, 3)), "they were gone on with"
    nothing_stays(cluster)
