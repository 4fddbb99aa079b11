"""A bed of real nodes: hosts on a bridge, an S3 server on one of them, and before it a proxy that can misbehave."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.lan import BIN, Lan, wait_until, why_not
from tests.cluster.nodes import ROOT, RayCluster
from tests.faulty_s3 import FaultyS3, in_front_of

S3_PORT = 9000
KEYS = {"AWS_ACCESS_KEY_ID": "test-access-key", "AWS_SECRET_ACCESS_KEY": "test-secret-key"}


@dataclass(frozen=True)
class Bed:
    """`lake` is the folder of the bucket `s3://lake`; `s3` the proxy through which the hosts see the S3 server."""

    lan: Lan
    lake: Path
    s3: FaultyS3

    @property
    def environment(self) -> dict[str, str]:
        """What every host needs to know to use S3."""
        return {**KEYS, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": self.s3.url}

    def cluster(
        self, head: str = "head", head_cpus: int = 0, more: Mapping[str, str] | None = None, *, grows: bool = False
    ) -> RayCluster:
        """A Ray cluster of one host so far; one that `grows` has an autoscaler (`growing.py`)."""
        return RayCluster(self.lan, {**self.environment, **(more or {})}, head, head_cpus, grows=grows)


@pytest.fixture
def bed() -> Iterator[Bed]:
    """A bed for one test. Whatever was started on it ends with the test."""
    reason = why_not() or (None if (BIN / "rclone").exists() else "rclone is not installed (the `dev` extra has it)")
    if reason:
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="bed-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        lan = Lan(folder)
        try:
            (folder / "s3" / "lake").mkdir(parents=True)
            store = lan.add("s3")
            address = f"{store.address}:{S3_PORT}"
            words = ["rclone", "serve", "s3", str(folder / "s3"), "--addr", f"0.0.0.0:{S3_PORT}", "--auth-key"]
            store.start([*words, ",".join(KEYS.values())], {})
            with in_front_of(f"http://{address}", lan.address) as proxy:
                wait_until(lambda: _answers(store.address), 60, "the S3 server")
                yield Bed(lan, folder / "s3" / "lake", proxy)
        finally:
            lan.remove()


def _answers(host: str) -> bool:
    with socket.socket() as one:
        return one.connect_ex((host, S3_PORT)) == 0


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared dataset of 120 demo recordings, made by the job on this machine."""
    folder = tmp_path_factory.mktemp("prepared")
    words = [f"uri={folder}/prepared", f"sources.0.uri={folder}/recordings", "sources.0.patients=60"]
    words += ["sources.0.recordings_per_patient=2", "features.components=20", "unit_recordings=10", "row_group_rows=8"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "jobs/prepare.py"), *words],
        env={**os.environ, "RAY_ADDRESS": "local"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "prepared"


@pytest.fixture
def lake(bed: Bed, prepared: Path) -> Path:
    """The folder of the bucket `lake`, with the dataset at `s3://lake/prepared`."""
    shutil.copytree(prepared, bed.lake / "prepared")
    return bed.lake
