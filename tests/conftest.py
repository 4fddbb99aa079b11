"""Fixtures that start something real: a local Ray, a small prepared dataset, an S3 server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from rich.console import Console

from physioclr.config import FeatureConfig, PrepareConfig, SourceConfig, SplitConfig
from tests.faulty_s3 import FaultyS3, in_front_of

ROOT = Path(__file__).parents[1]
# A busy machine is no reason to fail. In CI the drawn examples are always the same, so that a change is judged by what
# it changed; what other examples find is mended where it is worked on.
settings.register_profile("project", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("project")
os.environ["RAY_ADDRESS"] = "local"  # never join a cluster that happens to run on this machine


@pytest.fixture(scope="session")
def console() -> Console:
    """A console that is not a terminal, as in a job's log."""
    return Console(width=120, force_terminal=False)


@pytest.fixture(scope="session")
def ray_here() -> Iterator[None]:
    """Ray on this machine with two CPUs, shared by all tests that do not bring their own cluster."""
    import ray

    from physioclr.pipeline import cluster

    cluster.connect()
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def demo_config(tmp_path_factory: pytest.TempPathFactory) -> PrepareConfig:
    """Configuration of a small dataset of demo recordings, in several units, shards and row groups."""
    folder = tmp_path_factory.mktemp("demo")
    return PrepareConfig(
        uri=str(folder / "prepared"),
        sources=(SourceConfig(uri=str(folder / "recordings"), patients=24, recordings_per_patient=2),),
        split=SplitConfig(validation=0.2, test=0.2),
        features=FeatureConfig(components=20),
        unit_recordings=5,
        shard_recordings=12,
        row_group_rows=4,
    )


@pytest.fixture(scope="session")
def demo_dataset(ray_here: None, demo_config: PrepareConfig, console: Console):  # type: ignore[no-untyped-def]
    """The prepared dataset of `demo_config`."""
    from physioclr.pipeline.prepare.job import prepare

    return prepare(demo_config, console)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real S3 server; gives the folder whose subfolders are its buckets. The environment has its credentials."""
    rclone = shutil.which("rclone", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if rclone is None:
        pytest.skip("rclone is not installed (it comes with the `dev` extra)")
    root = tmp_path_factory.mktemp("s3")
    address = f"127.0.0.1:{free_port()}"
    command = [rclone, "serve", "s3", str(root), "--addr", address, "--auth-key", "test-access-key,test-secret-key"]
    # Of its own choice five minutes, in which a bucket that a test makes is not seen. At 0 it reads folders for ever.
    command += ["--dir-cache-time", "1ms"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _wait_for(address)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", "test-access-key")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test-secret-key")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        environment.setenv("AWS_ENDPOINT_URL", f"http://{address}")
        yield root
    server.kill()
    server.wait()


def free_port() -> int:
    """A TCP port that nothing listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(address: str) -> None:
    host, port = address.split(":")
    for _ in range(100):
        with socket.socket() as one:
            if one.connect_ex((host, int(port))) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing answers at {address}")


@pytest.fixture
def throttled(s3: Path) -> Iterator[FaultyS3]:
    """A server in front of the S3 server that answers three of ten requests with 503 Slow Down."""
    with in_front_of(os.environ["AWS_ENDPOINT_URL"], "127.0.0.1") as server:
        server.share, server.kinds = 0.3, [503]
        yield server
