"""S3 that fails, stalls, is slow or turns read-only: the run goes on, or says so and goes on later."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.faulty import FaultyS3, in_front_of
from tests.cluster.nodes import ROOT
from tests.cluster.runs import COMMON, ON_LAKE, check_whole, rows, saved_step, starts

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
    assert when[5] - when[4] < 2.0, "the step after a checkpoint does not wait for its upload"


def test_nothing_answers_for_three_quarters_of_a_minute(store: tuple[Path, FaultyS3]) -> None:
    lake, proxy = store
    job = start("silence", proxy)
    once(lambda: saved_step(lake / "runs/silence") > 0, job)
    proxy.silent.set()
    threading.Timer(45, proxy.silent.clear).start()
    end(job)
    check_whole(lake / "runs/silence", batch=6, epochs=3)


def test_the_bucket_turns_read_only(store: tuple[Path, FaultyS3]) -> None:
    lake, proxy = store
    run = lake / "runs/refused"
    job = start("refused", proxy)
    once(lambda: saved_step(run) > 0, job)
    proxy.read_only = True
    said = end(job, code=2)
    assert proxy.count["refused"] > 0
    last = said.splitlines()[-1]  # whoever wrote first after it: the step log, the checkpoint, or Ray's list of those
    assert last.startswith("error: ")
    assert "s3://lake/runs/refused/" in last
    assert "was refused; check the credentials" in last
    assert "Traceback" not in said

    proxy.healthy()
    end(start("refused", proxy))
    check_whole(run, batch=6, epochs=3)
    assert starts(run)[-1]["step"] >= 4, "from the last checkpoint, not from the beginning"
