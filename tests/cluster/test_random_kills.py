"""Twenty worker processes of a chain of jobs are killed, at random moments: everything ends as if nothing had been."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from physioclr.benchmarks import processes
from tests.cluster.nodes import ROOT
from tests.cluster.runs import MODEL

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600)]
# What a cloud's killer of processes that use too much memory would choose from: what works, and what drives a trial.
WORKERS = ("ray::ExtractUnit", "ray::Map", "ray::RayTrainWorker", "ray::ImplicitFunc")
KILLS = {"prepare": 2, "pretrain": 7, "search": 5, "finetune": 6}
SECONDS = (1.0, 6.0)  # between two kills


class Killer(threading.Thread):
    """Kills one of a job's workers at a time, by lot, until it has killed so many or is told to stop."""

    def __init__(self, session: int, kills: int, dice: random.Random) -> None:
        super().__init__(daemon=True)
        self.session, self.left, self.dice = session, kills, dice
        self.killed: list[str] = []
        self.stop = threading.Event()

    def run(self) -> None:
        """Until it has done its work."""
        while self.left and not self.stop.wait(self.dice.uniform(*SECONDS)):
            workers = list(processes.of_session(self.session, *WORKERS).items())
            if workers:
                pid, name = self.dice.choice(workers)
                os.kill(pid, signal.SIGKILL)
                self.killed.append(name)
                self.left -= 1


@contextmanager
def trouble(job: subprocess.Popen[str], kills: int, dice: random.Random) -> Iterator[Killer]:
    """Kill workers of the job while the body runs."""
    killer = Killer(os.getsid(job.pid), kills, dice)
    killer.start()
    try:
        yield killer
    finally:
        killer.stop.set()
        killer.join()


def run(folder: Path, name: str, words: list[str], dice: random.Random | None) -> list[str]:
    """The job `name`, on a Ray of its own, with `dice` while its workers are killed; the names of those."""
    job = subprocess.Popen(
        [sys.executable, str(ROOT / f"jobs/{name}.py"), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "RAY_ADDRESS": "local"},
        cwd=folder,
    )
    try:
        if dice is None:
            said, killed = job.communicate(timeout=1200)[0], []
        else:
            with trouble(job, KILLS[name], dice) as killer:
                said = job.communicate(timeout=2400)[0]
            killed = killer.killed
        assert job.returncode == 0, f"{name}, killed: {killed}\n{said}"
        return killed
    finally:
        job.kill()  # nothing happens to one that has ended; the Ray of one that has not ends with it


def chain(folder: Path, dice: random.Random | None) -> dict[str, list[str]]:
    """From recordings to answers below `folder`; the workers that were killed, by job."""
    folder.mkdir()
    dataset = ["sources.0.patients=60", "sources.0.recordings_per_patient=2", "sources.0.uri=../recordings"]
    dataset += ["features.components=20", "unit_recordings=4", "row_group_rows=8", "workers=1", "uri=prepared"]
    data = ["dataset.uri=prepared", "dataset.sources=[]"]
    training = ["training.batch_size=6", "training.workers=2", "training.max_failures=20", "output=runs"]
    training += ["checkpoint.every_steps=4"]
    network = [f"model.{word}" for word in MODEL]
    quiet = ["monitor.probe=none", "monitor.train_recordings=8", "monitor.validation_recordings=8"]
    budget = ["training.epochs=3", "training.workers=1", "training.max_failures=20", "training.batch_size=6"]
    trials = ["trials=3", "parallel=1", "pruning.by=none", "propose=random", "retries=20"]
    words = {
        "prepare": dataset,
        "pretrain": [*data, *network, *quiet, *training, "training.epochs=12", "name=pretrained"],
        "search": [
            *(f"pretrain.{word}" for word in [*data, *network, *budget]),
            *trials,
            "output=searches",
            "name=lot",
        ],
        "finetune": ["prepared=prepared", "encoder=runs/pretrained/encoder", *training, "name=tuned", "mode=finetune"],
    }
    return {name: run(folder, name, words[name], dice) for name in KILLS}


def same_files(calm: Path, killed: Path) -> None:
    """The dataset: every file but the one that has the URI, byte for byte, and no other file."""
    names = [{path.relative_to(one) for path in one.rglob("*") if path.is_file()} for one in (calm, killed)]
    assert names[0] == names[1]
    for name in names[0] - {Path("manifest.json")}:
        assert (calm / name).read_bytes() == (killed / name).read_bytes(), name


def same_weights(calm: Path, killed: Path) -> None:
    """Bit for bit."""
    first, second = load_file(calm), load_file(killed)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def curves(search: Path) -> list[tuple[str, list[float]]]:
    """Each trial's values over its epochs."""
    trials = [json.loads(file.read_text()) for file in sorted((search / "trials").glob("*.json"))]
    return [(one["status"], [row["probe_auroc"] for row in one["curve"]]) for one in trials]


def test_twenty_kills(tmp_path: Path) -> None:
    dice = random.Random(20)
    assert not any(chain(tmp_path / "calm", None).values())
    started = time.monotonic()
    killed = chain(tmp_path / "killed", dice)
    print(f"killed in {time.monotonic() - started:.0f} s: {killed}")

    assert {name: len(names) for name, names in killed.items()} == KILLS
    calm, other = tmp_path / "calm", tmp_path / "killed"
    same_files(calm / "prepared", other / "prepared")
    same_weights(
        calm / "runs/pretrained/encoder/model.safetensors", other / "runs/pretrained/encoder/model.safetensors"
    )
    assert curves(calm / "searches/lot") == curves(other / "searches/lot")
    assert [status for status, _ in curves(other / "searches/lot")] == ["finished"] * 3
    for name in ("model", "head"):
        same_weights(*(one / f"runs/tuned/encoder/{name}.safetensors" for one in (calm, other)))
    scores = [pq.read_table(one / "runs/tuned/predictions.parquet") for one in (calm, other)]
    assert scores[0].equals(scores[1])
