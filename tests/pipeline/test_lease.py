"""Of two processes with the same run, one works on it, whatever the storage and whatever became of the first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import fsspec
import pytest
from rich.console import Console

from physioclr import storage
from physioclr.errors import RunError
from physioclr.pipeline import lease
from physioclr.pipeline.lease import Sign, held

ROOT = Path(__file__).parents[2]
WHAT = "The run 'x' in y"


@pytest.fixture(params=["local", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path)
    root: Path = request.getfixturevalue("s3")
    (root / "leases").mkdir(exist_ok=True)
    fsspec.config.conf.clear()
    return f"s3://leases/{tmp_path.name}"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beats in tenths of seconds."""
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.3)
    monkeypatch.setattr(lease, "GONE_SECONDS", 2.0)
    monkeypatch.setattr(lease, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(lease, "SETTLE_SECONDS", {"local": 0.2, "remote": 0.5})


def sign_of(folder: str, **changes: object) -> None:
    """Leave the sign of a process on another machine."""
    there = Sign(id="theirs", host="far-away", machine="another", pid=7, born="1").model_copy(update=changes)
    storage.write_text(f"{folder}/{lease.FILE}", there.model_dump_json())


def test_it_is_there_while_the_run_is_worked_on_and_gone_afterwards(folder: str, quick: None, console: Console) -> None:
    with held(folder, WHAT, console):
        first = json.loads(storage.read_text(f"{folder}/{lease.FILE}"))
        assert first["pid"] == os.getpid()
        time.sleep(1)
        assert json.loads(storage.read_text(f"{folder}/{lease.FILE}"))["beat"] > first["beat"]
    assert not storage.exists(f"{folder}/{lease.FILE}")
    with pytest.raises(ZeroDivisionError), held(folder, WHAT, console):
        raise ZeroDivisionError
    assert not storage.exists(f"{folder}/{lease.FILE}"), "after an error the next one need not wait"
    assert not storage.exists(folder), "nothing is left of a run that was not begun"


def test_a_second_one_on_this_machine_is_refused_at_once(folder: str, console: Console) -> None:
    sentence = rf"The run 'x' in y is being worked on by process {os.getpid()} on .*; wait for its end, stop it, or"
    with held(folder, WHAT, console):
        started = time.monotonic()
        with pytest.raises(RunError, match=sentence), held(folder, WHAT, console):
            pass
        assert time.monotonic() - started < lease.GONE_SECONDS / 2
        assert storage.exists(f"{folder}/{lease.FILE}"), "the first one's sign stays"


def test_where_the_first_was_killed_on_this_machine_nobody_waits(folder: str, quick: None, console: Console) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    while lease._born(ended.pid) is not None:
        time.sleep(0.05)
    sign_of(folder, machine=lease._machine(), pid=ended.pid, born="1")  # killed, and its parent has not noticed yet
    started = time.monotonic()
    with held(folder, WHAT, console):
        assert time.monotonic() - started < lease.GONE_SECONDS
    ended.wait()
    sign_of(folder, machine=lease._machine(), pid=os.getpid(), born="1")  # its number is another process's by now
    with held(folder, WHAT, console):
        pass


def test_a_silent_one_elsewhere_is_watched_and_succeeded(folder: str, quick: None, console: Console) -> None:
    sign_of(folder)
    started = time.monotonic()
    with held(folder, WHAT, console):
        assert time.monotonic() - started >= lease.GONE_SECONDS
        assert json.loads(storage.read_text(f"{folder}/{lease.FILE}"))["pid"] == os.getpid()


def test_a_living_one_elsewhere_refuses_the_second(folder: str, quick: None, console: Console) -> None:
    sign_of(folder)
    beat = threading.Timer(0.5, lambda: sign_of(folder, beat=1))
    beat.start()
    with pytest.raises(RunError, match=r"process 7 on far-away; .*owner\.json"), held(folder, WHAT, console):
        pass
    beat.join()
    assert json.loads(storage.read_text(f"{folder}/{lease.FILE}"))["id"] == "theirs"


def test_who_seemed_gone_and_comes_back_stops(folder: str, quick: None, console: Console) -> None:
    def work() -> None:
        with held(folder, WHAT, console):
            sign_of(folder)  # another machine took over meanwhile
            time.sleep(30)  # interrupted

    with pytest.raises(RunError, match="process 7 on far-away"):
        work()
    assert json.loads(storage.read_text(f"{folder}/{lease.FILE}"))["id"] == "theirs"


@pytest.mark.timeout(600)
def test_two_jobs_with_one_name_end_with_one_run_and_one_sentence(tmp_path: Path) -> None:
    words = ["name=twin", f"output={tmp_path}/runs", f"dataset.uri={tmp_path}/prepared", "training.epochs=2"]
    words += [f"dataset.sources.0.uri={tmp_path}/recordings", "dataset.sources.0.patients=12"]
    words += ["dataset.features.components=8", "training.batch_size=8", "training.workers=1", "training.device=cpu"]
    jobs = [
        subprocess.Popen(
            [sys.executable, str(ROOT / "jobs/pretrain.py"), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "RAY_ADDRESS": "local"},
        )
        for _ in range(2)
    ]
    try:
        told = [job.communicate(timeout=500) for job in jobs]
    finally:
        for job in jobs:
            job.kill()
    codes = [job.returncode for job in jobs]
    assert sorted(codes) == [0, 2], told
    refused = told[codes.index(2)][1].splitlines()[-1]
    assert refused.startswith("error: The run 'twin' in")
    assert "is being worked on by process" in refused
    assert (tmp_path / "runs/twin/summary.json").exists()
    assert not (tmp_path / "runs/twin/owner.json").exists()
