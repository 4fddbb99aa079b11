"""An autoscaler for the bed: Ray's own, whose machines are further Ray nodes on the head's host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID, FakeMultiNodeProvider

from physioclr.pipeline.cluster import MAY_COME, ROLE

IDLE_SECONDS = 15
OBJECT_STORE = 100_000_000
Kind = dict[str, Any]
# One CPU each for data, one with a GPU (of which nothing but Ray's count exists) for training.
KINDS: dict[str, Kind] = {
    "data": {"resources": {"CPU": 1}, "labels": {ROLE: "data"}, "max_workers": 2},
    "train": {"resources": {"CPU": 1, "GPU": 1}, "labels": {ROLE: "train"}, "max_workers": 1},
}
HEAD_LABELS = {ROLE: "head", MAY_COME: "2x1c0g.1x1c1g"}
ENVIRONMENT = {
    "RAY_FAKE_CLUSTER": "1",
    "RAY_enable_autoscaler_v2": "1",
    "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
}


def head_words(folder: Path) -> list[str]:
    """What `ray start --head` is told, with the autoscaler's configuration written to `folder`."""
    file = folder / "autoscaling.json"
    file.write_text(json.dumps(_configuration(KINDS)))
    labels = ",".join(f"{key}={value}" for key, value in HEAD_LABELS.items())
    return [f"--autoscaling-config={file}", f"--labels={labels}"]


def _configuration(kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """As `ray up` would write it on a head."""
    store = {"object_store_memory": OBJECT_STORE}
    workers = {
        name: {**kind, "min_workers": 0, "node_config": {}, "resources": {**kind["resources"], **store}}
        for name, kind in kinds.items()
    }
    head = {"resources": {"CPU": 0}, "labels": HEAD_LABELS, "node_config": {}, "max_workers": 0}
    commands = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
    return {
        "cluster_name": "growing",
        "max_workers": sum(kind["max_workers"] for kind in kinds.values()),
        "upscaling_speed": 10.0,
        "idle_timeout_minutes": IDLE_SECONDS / 60,
        "provider": {
            "type": "external",
            "module": f"{FakeMultiNodeProvider.__module__}.{FakeMultiNodeProvider.__qualname__}",
            "launch_multiple": True,
            "head_node_id": FAKE_HEAD_NODE_ID,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "available_node_types": {"ray.head.default": head, **workers},
        "head_node_type": "ray.head.default",
        "auth": {},
        "docker": {},
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
        "cluster_synced_files": [],
        **{f"{key}_commands": [] for key in commands},
    }
