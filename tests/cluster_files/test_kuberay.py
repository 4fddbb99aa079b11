"""The manifests in cluster/kuberay/: against KubeRay's and Kubernetes' schemas, and what they promise.

KubeRay's definitions are large and not copied here: PHYSIOCLR_KUBERAY_CRDS names the folder that has them
(ray.io_rayclusters.yaml and ray.io_rayjobs.yaml of KubeRay's helm chart, `crds/`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml

from physioclr.pipeline.cluster import MARKET, MAY_COME, ROLE
from physioclr.pipeline.training.placement import Machine, kinds

KUBERAY = Path(__file__).parents[2] / "cluster" / "kuberay"
OVERLAYS = [KUBERAY / what / "overlays" / market for what in ("cluster", "job") for market in ("spot", "on-demand")]
KUBERNETES = "1.31.0"
by_name = pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda one: f"{one.parents[1].name}-{one.name}")


def built(folder: Path) -> list[dict[str, Any]]:
    """What `kubectl kustomize FOLDER` prints, as far as these files go: resources and JSON patches by kind."""
    jsonpatch = pytest.importorskip("jsonpatch", reason="jsonpatch comes with the `dev` extra")
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert set(kustomization) <= {"apiVersion", "kind", "resources", "patches"}
    documents: list[dict[str, Any]] = []
    for name in kustomization["resources"]:
        path = folder / name
        documents += built(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text()))
    for patch in kustomization.get("patches", []):
        assert set(patch["target"]) == {"kind"}
        operations = yaml.safe_load(patch["patch"])
        documents = [
            jsonpatch.apply_patch(one, operations) if one["kind"] == patch["target"]["kind"] else one
            for one in documents
        ]
    return documents


def ray_spec(overlay: Path) -> dict[str, Any]:
    """The specification of the Ray cluster, of a RayCluster or in a RayJob."""
    (one,) = (document for document in built(overlay) if document["kind"].startswith("Ray"))
    return dict(one["spec"] if one["kind"] == "RayCluster" else one["spec"]["rayClusterSpec"])


def groups(overlay: Path) -> dict[str, dict[str, Any]]:
    return {group["groupName"]: group for group in ray_spec(overlay)["workerGroupSpecs"]}


def pods(overlay: Path) -> list[dict[str, Any]]:
    spec = ray_spec(overlay)
    return [part["template"]["spec"] for part in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]


@by_name
def test_kubectl_builds_the_same(overlay: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed; `built` stands in for it in the other tests")
    done = subprocess.run([kubectl, "kustomize", str(overlay)], capture_output=True, text=True, check=True)

    def sorted_by_name(documents: Any) -> list[Any]:
        return sorted(documents, key=lambda one: (one["kind"], one["metadata"]["name"]))

    assert sorted_by_name(yaml.safe_load_all(done.stdout)) == sorted_by_name(built(overlay))


@by_name
def test_kuberay_knows_every_field(overlay: Path) -> None:
    folder = os.environ.get("PHYSIOCLR_KUBERAY_CRDS")
    if not folder:
        pytest.skip("PHYSIOCLR_KUBERAY_CRDS does not name the folder of KubeRay's definitions")
    jsonschema = pytest.importorskip("jsonschema")
    (document,) = (one for one in built(overlay) if one["kind"].startswith("Ray"))
    checker = jsonschema.Draft7Validator(definition(folder, document["kind"], document["apiVersion"].split("/")[1]))
    checker.validate(document)
    assert not checker.is_valid({**document, "spec": {**document["spec"], "retries": 3}})


@cache
def definition(folder: str, kind: str, version: str) -> Any:
    """The schema of one of KubeRay's kinds."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a megabyte: the other one takes half a minute
    whole = yaml.load((Path(folder) / f"ray.io_{kind.lower()}s.yaml").read_text(), Loader=loader)
    (schema,) = (one["schema"]["openAPIV3Schema"] for one in whole["spec"]["versions"] if one["name"] == version)
    return closed(schema)


def closed(schema: Any) -> Any:
    """The schema with fields that it does not name refused (Kubernetes drops them in silence), and its own types."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    mine = {key: closed(value) for key, value in schema.items()}
    named = isinstance(mine.get("properties"), dict) and mine.get("type") == "object"
    if named and not mine.get("x-kubernetes-preserve-unknown-fields") and mine["properties"].keys() != {"metadata"}:
        mine.setdefault("additionalProperties", False)
    return mine


@by_name
def test_kubernetes_takes_the_pods_and_the_accounts(overlay: Path) -> None:
    checker = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate comes with the `dev` extra")
    for spec in pods(overlay):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": spec}
        checker.validate(pod, KUBERNETES, strict=True)
    accounts = [one for one in built(overlay) if one["kind"] == "ServiceAccount"]
    assert {one["metadata"]["name"] for one in accounts} == {"physioclr-head", "physioclr-worker"}
    for account in accounts:
        checker.validate(account, KUBERNETES, strict=True)
    assert {spec["serviceAccountName"] for spec in pods(overlay)} == {"physioclr-head", "physioclr-worker"}


def test_the_job_has_the_same_cluster_as_the_one_that_stands() -> None:
    for market in ("spot", "on-demand"):
        assert ray_spec(KUBERAY / "cluster" / "overlays" / market) == ray_spec(KUBERAY / "job" / "overlays" / market)


@by_name
def test_the_head_is_on_demand_and_takes_no_task(overlay: Path) -> None:
    head = ray_spec(overlay)["headGroupSpec"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert (head["labels"][ROLE], head["labels"][MARKET]) == ("head", "on-demand")
    assert head["template"]["spec"]["nodeSelector"] == {"karpenter.sh/capacity-type": "on-demand"}
    assert head["serviceType"] == "ClusterIP"


@by_name
def test_workers_come_when_they_are_needed_and_have_their_labels(overlay: Path) -> None:
    spec = ray_spec(overlay)
    assert spec["enableInTreeAutoscaling"]
    assert spec["autoscalerOptions"]["version"] == "v2"
    assert spec["autoscalerOptions"]["idleTimeoutSeconds"] <= 600
    for name, group in groups(overlay).items():
        assert group["minReplicas"] == group["replicas"] == 0
        (container,) = group["template"]["spec"]["containers"]
        assert ("nvidia.com/gpu" in container["resources"]["limits"]) == (group["labels"][ROLE] == "train")
        assert group["labels"][ROLE] == name.split("-")[0]
        assert container["resources"]["requests"]["cpu"] == group["rayStartParams"]["num-cpus"]


def test_spot_is_tried_first_and_on_demand_is_there_too() -> None:
    for what in ("cluster", "job"):
        mixed = groups(KUBERAY / what / "overlays" / "spot")
        assert mixed["train-spot"]["priority"] > mixed["train"].get("priority", 0)
        assert (mixed["train-spot"]["labels"][MARKET], mixed["train"]["labels"][MARKET]) == ("spot", "on-demand")
        selected = [mixed[name]["template"]["spec"]["nodeSelector"] for name in ("train-spot", "train")]
        assert selected == [{"karpenter.sh/capacity-type": market} for market in ("spot", "on-demand")]
        steady = groups(KUBERAY / what / "overlays" / "on-demand")
        assert {group["labels"][MARKET] for group in steady.values()} == {"on-demand"}


@by_name
def test_the_head_says_how_much_may_come(overlay: Path) -> None:
    label, pods = ray_spec(overlay)["headGroupSpec"]["labels"][MAY_COME], groups(overlay)
    assert list(kinds(label)) == [
        Machine(pods[name]["maxReplicas"], int(pods[name]["rayStartParams"]["num-cpus"]), gpus)
        for name, gpus in (("data", 0), ("train", 1))
    ]


@by_name
def test_a_token_is_needed_and_is_in_a_secret(overlay: Path) -> None:
    spec = ray_spec(overlay)
    assert spec["authOptions"] == {"mode": "token", "secretName": "physioclr-token"}
    assert spec["rayVersion"] == ray.__version__, "`ray job submit` needs equal versions"
    assert "RAY_AUTH_TOKEN" not in str(built(overlay))


def test_a_job_is_tried_again_with_the_same_run_and_ends_some_day() -> None:
    for market in ("spot", "on-demand"):
        (job,) = (one for one in built(KUBERAY / "job" / "overlays" / market) if one["kind"] == "RayJob")
        assert job["spec"]["backoffLimit"] > 0
        assert job["spec"]["activeDeadlineSeconds"] > 0
        assert job["spec"]["shutdownAfterJobFinishes"]
        entrypoint = job["spec"]["entrypoint"]
        assert " name=" in entrypoint, "the same name goes on with the same run"
        assert "output=s3://" in entrypoint, "a new cluster finds the run where the last one left it"
        assert "training.cpus_per_worker=5" in entrypoint
        assert "training.device=gpu" in entrypoint, "or a job that comes before its GPUs would train on CPUs"


def test_the_jobs_command_is_one_that_the_job_takes() -> None:
    from physioclr import configfile
    from physioclr.config import PretrainConfig

    (job,) = (one for one in built(OVERLAYS[2]) if one["kind"] == "RayJob")
    _, script, flag, path, *overrides = job["spec"]["entrypoint"].split()
    root = KUBERAY.parents[1]
    assert (root / script).is_file()
    assert flag == "--config"
    assert configfile.load(PretrainConfig, str(root / path), overrides).training.device == "gpu"
