"""What cluster/aws.yaml, gcp.yaml and onprem.yaml promise, read by Ray's own loader and schema."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray._private.label_utils import parse_node_labels_string, validate_node_label_syntax
from ray.autoscaler._private.util import prepare_config, validate_config

from physioclr.costs import load_costs
from physioclr.pipeline.cluster import MARKET, MAY_COME, ROLE
from physioclr.pipeline.training.placement import Machine, kinds

CLUSTER = Path(__file__).parents[2] / "cluster"
CLOUDS = ("aws", "gcp")
Launcher = Callable[[str], dict[str, Any]]


def run_options(config: dict[str, Any]) -> dict[str, str]:
    """Variables that the containers get."""
    words = [word for option in config["docker"]["run_options"] for word in shlex.split(option)]
    return dict(word.split("=", 1) for flag, word in itertools.pairwise(words) if flag == "--env")


@pytest.mark.parametrize("name", [*CLOUDS, "onprem"])
def test_ray_loads_it(launcher: Launcher, name: str) -> None:
    assert launcher(name)["cluster_name"] == "physioclr"


def test_the_check_finds_a_key_that_ray_does_not_know() -> None:
    config = prepare_config(yaml.safe_load((CLUSTER / "aws.yaml").read_text()) | {"max_wrokers": 3})
    with pytest.raises(jsonschema.ValidationError, match="max_wrokers"):
        validate_config(config)


@pytest.mark.parametrize("name", CLOUDS)
def test_the_head_is_on_demand_and_takes_no_task(launcher: Launcher, name: str) -> None:
    config = launcher(name)
    head = config["available_node_types"][config["head_node_type"]]
    assert head["resources"] == {"CPU": 0}
    assert (head["labels"][ROLE], head["labels"][MARKET]) == ("head", "on-demand")
    assert "InstanceMarketOptions" not in head["node_config"]
    assert "scheduling" not in head["node_config"]


@pytest.mark.parametrize("name", CLOUDS)
def test_workers_come_when_they_are_needed_and_go_when_idle(launcher: Launcher, name: str) -> None:
    config = launcher(name)
    workers = {key: kind for key, kind in config["available_node_types"].items() if key != config["head_node_type"]}
    assert {kind["labels"][ROLE] for kind in workers.values()} == {"data", "train"}
    for kind in workers.values():
        assert kind["min_workers"] == 0
        assert ("GPU" in kind["resources"]) == (kind["labels"][ROLE] == "train")
    assert config["idle_timeout_minutes"] <= 10
    assert config["provider"]["cache_stopped_nodes"] is False
    assert config["max_workers"] == sum(kind["max_workers"] for kind in workers.values())


@pytest.mark.parametrize("name", CLOUDS)
def test_spot_comes_first_for_training_and_on_demand_after_it(launcher: Launcher, name: str) -> None:
    kinds = launcher(name)["available_node_types"]
    spot, fallback = kinds["train-spot"], kinds["train-on-demand"]
    assert spot["priority"] > fallback.get("priority", 0)
    assert (spot["labels"][MARKET], fallback["labels"][MARKET]) == ("spot", "on-demand")
    assert spot["resources"] == fallback["resources"]
    where = "InstanceMarketOptions" if name == "aws" else "scheduling"
    bought = spot["node_config"][where]
    assert "spot" in str(bought).lower()
    assert "spot" not in str(fallback["node_config"].get(where)).lower()
    assert kinds["data"]["labels"][MARKET] == "on-demand"


@pytest.mark.parametrize("name", CLOUDS)
def test_the_head_says_how_much_may_come(launcher: Launcher, name: str) -> None:
    """Jobs plan with this label: with less, a job that fits would be refused."""
    types = launcher(name)["available_node_types"]
    assert list(kinds(types["head"]["labels"][MAY_COME])) == [
        Machine(one["max_workers"], one["resources"]["CPU"], one["resources"].get("GPU", 0))
        for one in (types["data"], types["train-spot"])
    ]


@pytest.mark.parametrize("name", CLOUDS)
def test_labels_are_such_as_ray_takes(launcher: Launcher, name: str) -> None:
    for kind in launcher(name)["available_node_types"].values():
        validate_node_label_syntax(kind["labels"])


@pytest.mark.parametrize("name", [*CLOUDS, "onprem"])
def test_the_dashboard_is_for_the_head_alone_and_a_token_is_needed(launcher: Launcher, name: str) -> None:
    config = launcher(name)
    start = config["head_start_ray_commands"][-1]
    assert "--dashboard-host=127.0.0.1" in start
    assert "0.0.0.0" not in str(config)
    variables = run_options(config)
    assert variables["RAY_AUTH_MODE"] == "token"
    assert config["file_mounts"] == {variables["RAY_AUTH_TOKEN_PATH"]: "~/.ray/auth_token"}


@pytest.mark.parametrize("name", CLOUDS)
def test_the_autoscaler_is_the_one_that_knows_labels(launcher: Launcher, name: str) -> None:
    assert run_options(launcher(name))["RAY_enable_autoscaler_v2"] == "1"


@pytest.mark.parametrize("name", CLOUDS)
def test_machines_have_roles_and_no_keys(launcher: Launcher, name: str) -> None:
    config = launcher(name)
    for key, kind in config["available_node_types"].items():
        role = "physioclr-head" if key == "head" else "physioclr-worker"
        given = kind["node_config"]["IamInstanceProfile" if name == "aws" else "serviceAccounts"]
        assert role in str(given)
    text = (CLUSTER / f"{name}.yaml").read_text()
    assert not re.search(r"AKIA|SECRET|PRIVATE KEY|aws_credentials|gcp_credentials", text)


@pytest.mark.parametrize("name", CLOUDS)
def test_the_step_in_the_files_head_fills_in_every_name(name: str) -> None:
    text = (CLUSTER / f"{name}.yaml").read_text()
    names = re.findall(r"-e s/([^/]+)/", text)
    assert {"BUCKET", "physioclr:cuda"} < set(names)
    body = text.split("\n\n", 1)[1]
    for one in names:
        assert one in body
        body = body.replace(one, "filled")
    assert not re.search(r"\b(BUCKET|ACCOUNT|PROJECT|REGION|IMAGE)\b", body)


def test_on_premises_each_machine_says_what_it_is_for(launcher: Launcher) -> None:
    config = launcher("onprem")
    head = parse_node_labels_string(re.search(r"--labels=(\S+)", config["head_start_ray_commands"][-1])[1])  # type: ignore[index]
    assert (head[ROLE], head[MARKET]) == ("head", "on-demand")
    worker = config["worker_start_ray_commands"][-1]
    assert f"{ROLE}=$role" in worker
    assert "--num-cpus=0" in config["head_start_ray_commands"][-1]


@pytest.mark.parametrize("name", CLOUDS)
def test_the_table_of_prices_has_every_machine(launcher: Launcher, name: str) -> None:
    machines = load_costs().machines
    for kind in launcher(name)["available_node_types"].values():
        config = kind["node_config"]
        known = machines[config.get("InstanceType") or config["machineType"]]
        assert kind["resources"].get("CPU") in (0, known.cpus)
        assert kind["resources"].get("GPU", 0) == known.gpus
