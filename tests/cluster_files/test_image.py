"""The image: its Dockerfile by hadolint, and its lock against pyproject.toml."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import ray
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "cluster" / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WANTED = [Requirement(one) for one in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["cluster"])]


def locked() -> dict[str, str]:
    lines = (ROOT / "cluster" / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+(\[[a-z,]+\])?==[^ ;=]+", pin) for pin in pins), "exact versions only"
    return {canonicalize_name(pin.split("==")[0].split("[")[0]): pin.split("==")[1] for pin in pins}


@pytest.mark.parametrize("requirement", WANTED, ids=lambda one: one.name)
def test_the_lock_satisfies_the_project(requirement: Requirement) -> None:
    version = locked()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version, prereleases=True), (
        f"{requirement}, but {version} in the lock: make it again"
    )


def test_ray_and_torch_are_what_the_project_pins_and_what_is_tested_with() -> None:
    pins = {one.name: str(one.specifier).removeprefix("==") for one in WANTED if str(one.specifier).startswith("==")}
    assert locked()["ray"] == pins["ray"] == ray.__version__
    assert locked()["torch"] == pins["torch"]


def test_the_lock_brings_the_libraries_of_a_gpu_which_the_cpu_variant_leaves_out() -> None:
    pattern = re.search(r"grep -Ev '([^']+)'", DOCKERFILE)
    assert pattern is not None
    left_out = {name for name in locked() if re.search(pattern[1], name)}
    assert {"nvidia-cublas", "nvidia-nccl-cu13", "cuda-toolkit", "triton"} <= left_out
    assert not left_out & {canonicalize_name(one.name) for one in WANTED}


def test_python_is_that_of_the_project_and_the_account_that_of_ray_up() -> None:
    assert "FROM python:3.11-" in DOCKERFILE
    assert "RAY_AUTH_MODE=token" in DOCKERFILE
    assert "RAY_grpc_client_keepalive_time_ms=30000" in DOCKERFILE, "tests/cluster/test_lost_reader.py: why"
    assert re.search(r"^USER 1000$", DOCKERFILE, re.MULTILINE), "not root"
    for tool in ("openssh-client", "rsync"):  # `ray up` needs them inside the head's container
        assert tool in DOCKERFILE


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    if not hadolint.exists():
        pytest.skip("hadolint comes with the `dev` extra")
    done = subprocess.run([hadolint, "--no-color", ROOT / "cluster" / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
