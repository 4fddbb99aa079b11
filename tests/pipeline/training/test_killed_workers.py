"""Worker processes are killed at random moments: the job goes on by itself and ends as if nothing had been."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from physioclr import configfile
from physioclr.benchmarks import processes
from physioclr.config import (
    CheckpointConfig,
    FeatureConfig,
    ModelConfig,
    MonitorConfig,
    PrepareConfig,
    PretrainConfig,
    SourceConfig,
    TrainingConfig,
)
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.pretrain.job import pretrain
from physioclr.pipeline.training.metrics_log import read_metrics

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[3]
KILLS = 3
Config = PretrainConfig | PrepareConfig


@contextmanager
def started(script: str, config: Config, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The job on a Ray of its own; all of its processes are of one session, and gone afterwards."""
    file = folder / f"{time.monotonic_ns()}.yaml"
    file.write_text(configfile.dump(config))
    job = subprocess.Popen(
        [sys.executable, str(ROOT / "jobs" / script), "--config", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "RAY_ADDRESS": "local"},
    )
    try:
        yield job
    finally:
        job.kill()  # nothing happens to one that has ended; the Ray of one that has not ends with it


def workers_of(job: subprocess.Popen[str], having: str) -> list[int]:
    """The job's processes that have `having` in their title."""
    return list(processes.of_session(job.pid, having))


def kill_one(job: subprocess.Popen[str], having: str, dice: random.Random) -> None:
    """SIGKILL to one of the job's workers, as the system does when memory runs out."""
    once(job, lambda: workers_of(job, having), "workers")
    os.kill(dice.choice(workers_of(job, having)), signal.SIGKILL)


def once(job: subprocess.Popen[str], happened: Callable[[], object], what: str, seconds: float = 300) -> None:
    """Wait for what the job does; fails when it ends without it."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert job.poll() is None, f"it ended before: {what}\n{job.communicate()[0]}"
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def ended(job: subprocess.Popen[str]) -> str:
    """What the job has printed, when it has ended well."""
    said = job.communicate(timeout=600)[0]
    assert job.returncode == 0, said
    return said


@pytest.mark.parametrize("workers", [1, 2])
def test_training_workers(demo_dataset: PreparedDataset, tmp_path: Path, workers: int, console: Console) -> None:
    def config(name: str) -> PretrainConfig:
        return PretrainConfig(
            name=name,
            output=str(tmp_path / "runs"),
            dataset=PrepareConfig(uri=demo_dataset.uri, sources=()),
            model=ModelConfig(size="tiny", width=32, depth=1, heads=2, feedforward=64, conv_channels=16, projection=16),
            training=TrainingConfig(
                epochs=8,
                batch_size=4,
                workers=workers,
                mix_row_groups=2,
                log_every_steps=1,
                device="cpu",
                max_failures=5,
            ),
            checkpoint=CheckpointConfig(every_steps=4),
            monitor=MonitorConfig(train_recordings=12, validation_recordings=8),
        )

    pretrain(config("calm"), console)
    dice = random.Random(workers)
    run = tmp_path / "runs/killed"
    with started("pretrain.py", config("killed"), tmp_path) as job:
        for kill in range(KILLS):
            once(job, lambda kill=kill: len(begun(run)) > kill, "a checkpoint since the last kill")  # type: ignore[misc]
            time.sleep(dice.uniform(0, 0.5))
            kill_one(job, "ray::RayTrainWorker", dice)
        said = ended(job)

    calm, killed = (load_file(tmp_path / f"runs/{name}/encoder/model.safetensors") for name in ("calm", "killed"))
    assert calm.keys() == killed.keys()
    assert all(torch.equal(calm[name], killed[name]) for name in calm), "bit for bit"
    assert losses(tmp_path / "runs/calm") == losses(run)
    assert [row["after"] for row in begun(run)] == ["start", *["failure"] * KILLS]
    assert all(row["lost_samples"] <= 4 * 4 for row in begun(run)), "no more than checkpoint.every_steps"
    summary = json.loads((run / "summary.json").read_text())
    assert summary["restarts"] == KILLS
    assert f"{KILLS} ({KILLS} after failures)" in said


def begun(run: Path) -> list[dict[str, object]]:
    return [row for row in read_metrics(str(run)) if row["kind"] == "begun"]


def losses(run: Path) -> list[tuple[int, float]]:
    return [(row["step"], row["loss"]) for row in read_metrics(str(run)) if row["kind"] == "step"]


def test_extraction_workers(tmp_path: Path) -> None:
    source = SourceConfig(uri=str(tmp_path / "recordings"), patients=40, recordings_per_patient=2)
    config = PrepareConfig(
        sources=(source,), unit_recordings=2, shard_recordings=24, features=FeatureConfig(components=10), workers=1
    )
    calm, killed = (config.model_copy(update={"uri": str(tmp_path / name)}) for name in ("calm", "killed"))
    with started("prepare.py", calm, tmp_path) as job:
        ended(job)

    dice = random.Random(0)
    units = tmp_path / "killed/work/units"
    with started("prepare.py", killed, tmp_path) as job:
        for enough in (3, 12):
            once(job, lambda enough=enough: units.exists() and len(list(units.iterdir())) >= enough, "units")  # type: ignore[misc]
            kill_one(job, "ExtractUnit", dice)
        ended(job)
    files = [path.relative_to(calm.uri) for path in Path(calm.uri).rglob("*") if path.is_file()]
    assert len(files) > 5
    for file in files:
        if file.name != "manifest.json":  # it has the URI
            assert Path(killed.uri, file).read_bytes() == Path(calm.uri, file).read_bytes(), file
    first, second = (PreparedDataset.open(one.uri).manifest.model_dump(exclude={"config"}) for one in (calm, killed))
    assert first == second
