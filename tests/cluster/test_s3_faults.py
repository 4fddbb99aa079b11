"""Storage that fails, stalls, is slow, refuses or is full: the run goes on, or says so and goes on later."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.nodes import ROOT
from tests.cluster.runs import COMMON, ON_LAKE, check_whole, rows, saved_step, starts
from tests.faulty_s3 import FaultyS3, in_front_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
WORDS = ("training.workers=1", "training.batch_size=6", "training.epochs=3", "checkpoint.every_steps=4")


@pytest.fixture
def store(s3: Path, prepared: Path) -> Iterator[tuple[Path, FaultyS3]]:
    """The folder of the bucket `lake` on this machine's S3 server, and the proxy in front of it."""
    shutil.copytree(prepared, s3 / "lake" / "prepared", dirs_exist_ok=True)
    with in_front_of(os.environ["AWS_ENDPOINT_URL"], "127.0.0.1") as proxy:
        yield s3 / "lake", proxy
        for job in proxy.clients:
            job.kill()  # nothing happens to one that has ended; the Ray of one that has not ends with it


def start(name: str, proxy: FaultyS3) -> subprocess.Popen[str]:
    """The job on a Ray of its own."""
    job = subprocess.Popen(
        [sys.executable, str(ROOT / "jobs/pretrain.py"), f"name={name}", *ON_LAKE, *COMMON, *WORDS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "RAY_ADDRESS": "local", "AWS_ENDPOINT_URL": proxy.url},
    )
    proxy.clients.append(job)
    return job


def end(job: subprocess.Popen[str], code: int = 0, seconds: float = 600) -> str:
    """What the job has said on standard error, after it has ended with `code`."""
    out, err = job.communicate(timeout=seconds)
    assert job.returncode == code, out + err
    return err


def once(happened: Callable[[], bool], job: subprocess.Popen[str], seconds: float = 600) -> None:
    """Wait for what the job does."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert job.poll() is None, job.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("share", [0.01, 0.2])
def test_some_requests_fail(store: tuple[Path, FaultyS3], share: float) -> None:
    lake, proxy = store
    proxy.share = share
    name = f"share-{share:g}"
    end(start(name, proxy))
    assert proxy.count["failed"] > 0
    assert check_whole(lake / "runs" / name, batch=6, epochs=3)["restarts"] == 0, "tried again where it failed"


def test_answers_take_two_seconds(store: tuple[Path, FaultyS3]) -> None:
    lake, proxy = store
    proxy.latency = 2.0
    job = start("slow", proxy)
    once(lambda: saved_step(lake / "runs/slow") > 0, job)
    proxy.latency = 0.0  # enough is seen
    end(job)
    assert check_whole(lake / "runs/slow", batch=6, epochs=3)["restarts"] == 0
    when = {row["step"]: row["time"] for row in rows(lake / "runs/slow", "step")}
    # Of at most 4 steps that may be lost an upload is begun at the second; the next, at the fourth, waits for its end.
    assert when[4] - when[2] < 2.0, "the steps after a checkpoint do not wait for its upload"


def test_nothing_answers_for_a_minute(store: tuple[Path, FaultyS3]) -> None:
    lake, proxy = store
    job = start("silence", proxy)
    once(lambda: saved_step(lake / "runs/silence") > 0, job)
    proxy.silent.set()
    threading.Timer(60, proxy.silent.clear).start()
    end(job)
    check_whole(lake / "runs/silence", batch=6, epochs=3)


@pytest.mark.parametrize("fault", ["read_only", "expired"])
def test_what_was_allowed_is_refused(store: tuple[Path, FaultyS3], fault: str) -> None:
    """The bucket turns read-only; the credentials expire."""
    lake, proxy = store
    run = lake / "runs" / fault
    job = start(fault, proxy)
    once(lambda: saved_step(run) > 0, job)
    setattr(proxy, fault, True)
    said = end(job, code=2)
    assert proxy.count["refused"] > 0
    last = said.splitlines()[-1]  # whoever asked first after it: the step log, the checkpoint, or Ray's list of those
    assert last.startswith("error: ")
    assert "s3://lake/" in last
    assert "was refused; check the credentials" in last
    assert "Traceback" not in said

    proxy.healthy()
    end(start(fault, proxy))
    check_whole(run, batch=6, epochs=3)
    assert starts(run)[-1]["step"] > 0, "from the last checkpoint, not from the beginning"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 MB."""
    if os.geteuid() != 0:
        pytest.skip("a small file system needs root to be mounted")
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_the_disk_is_full(small_disk: Path, prepared: Path) -> None:
    run, junk = small_disk / "full", small_disk / "junk"
    words = ["name=full", f"output={small_disk}", f"dataset.uri={prepared}", "dataset.sources=[]", *COMMON, *WORDS]

    def job() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(ROOT / "jobs/pretrain.py"), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "RAY_ADDRESS": "local"},
        )

    first = job()
    once(lambda: saved_step(run) > 0, first)
    with junk.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(100_000))
    said = end(first, code=2)
    assert said.splitlines()[-1].startswith("error: ")
    assert "space left" in said.splitlines()[-1]
    assert "Traceback" not in said

    junk.unlink()
    end(job())
    check_whole(run, batch=6, epochs=3)
