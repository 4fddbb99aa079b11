"""What it takes to operate a pretraining: to its first step, to go on after a worker was killed, and for checkpoints.

The job is run as a user runs it, in a process of its own with a Ray of its own, and its own record is read afterwards.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from physioclr import configfile, storage
from physioclr.benchmarks.config import OperationBenchmark
from physioclr.config import PretrainConfig
from physioclr.errors import RunError
from physioclr.pipeline.training.board import BEGUN
from physioclr.pipeline.training.metrics_log import Row, read_metrics

NAME = "operation"
WORKER = "ray::RayTrainWorker"
POLL_SECONDS = 0.2
PATIENCE_SECONDS = 1800.0  # for the next checkpoint
SCRIPT = Path(__file__).parents[2] / "jobs" / "pretrain.py"


def operation_benchmark(config: OperationBenchmark, console: Console) -> dict[str, Any]:
    """Print the table and return its figures; the run below `config.scratch` is deleted at the end.

    Raises `RunError` when the job fails, with the last line that it printed.
    """
    settings = _settings(config)
    uri = storage.join(config.scratch, NAME)
    storage.remove(config.scratch)
    started = time.time()
    kills: list[float] = []
    with _started(settings) as job:
        for kill in range(config.kills):
            _after_a_checkpoint(job, uri, kill + 1)
            kills.append(_kill_a_worker(job))
        _end(job)
    figures = figures_of(read_metrics(uri), started, kills)
    console.print(_table(figures))
    storage.remove(config.scratch)
    return figures


def figures_of(rows: list[Row], started: float, kills: list[float]) -> dict[str, Any]:
    """From the rows of a run, begun with the command at `started` (seconds since 1970) and whose workers were killed at
    `kills`: seconds to the first step, from each kill to the next step done, and what checkpoints took of the steps."""
    steps = sorted(row["time"] for row in rows if row["kind"] == "step")
    epochs = [row for row in rows if row["kind"] == "epoch"]
    stepping, saving = (sum(row[key] for row in epochs) for key in ("step_seconds", "checkpoint_seconds"))
    return {
        "seconds_to_first_step": round(steps[0] - started, 1),
        "seconds_from_kill_to_next_step": [round(min(t for t in steps if t > kill) - kill, 1) for kill in kills],
        "checkpoint_share_of_step_time": round(saving / stepping, 4),
    }


def _settings(config: OperationBenchmark) -> PretrainConfig:
    base = configfile.load(PretrainConfig, config.config, config.set)
    return base.model_copy(
        update={
            "name": NAME,
            "output": config.scratch,
            "training": base.training.model_copy(update={"log_every_steps": 1, "max_failures": config.kills + 1}),
            "checkpoint": base.checkpoint.model_copy(update={"every_steps": config.every_steps}),
        }
    )


@dataclass(frozen=True)
class _Job:
    """The pretraining in a session of its own."""

    process: subprocess.Popen[bytes]
    log: Path

    def last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it has said nothing"


@contextmanager
def _started(settings: PretrainConfig) -> Iterator[_Job]:
    with tempfile.TemporaryDirectory() as folder:
        file, log = Path(folder, "pretrain.yaml"), Path(folder, "log.txt")
        file.write_text(configfile.dump(settings))
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, str(SCRIPT), "--config", str(file)],
                stdout=out,
                stderr=out,
                start_new_session=True,
                env={**os.environ, "RAY_ADDRESS": "local"},
            )
        try:
            yield _Job(process, log)
        finally:
            process.kill()  # nothing happens to one that has ended; the Ray of one that has not ends with it


def _after_a_checkpoint(job: _Job, uri: str, starts: int) -> None:
    """Wait until the workers, begun so often, have brought a checkpoint: the log in storage says so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sum(row["kind"] == BEGUN for row in read_metrics(uri)) < starts:
        if job.process.poll() is not None or time.monotonic() > deadline:
            raise RunError(f"The pretraining that is measured has brought no further checkpoint: {job.last_words()}")
        time.sleep(POLL_SECONDS)


def _end(job: _Job) -> None:
    if job.process.wait(PATIENCE_SECONDS):
        raise RunError(f"The pretraining that is measured has failed: {job.last_words()}")


def _kill_a_worker(job: _Job) -> float:
    """SIGKILL to one of the job's workers; when that was."""
    worker = random.choice([pid for pid in _session(job.process.pid) if WORKER in _command(pid)])
    os.kill(worker, signal.SIGKILL)
    return time.time()


def _session(leader: int) -> list[int]:
    """Processes that were begun from `leader`, Ray's among them."""
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _session_of(pid) == leader]


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:  # it has ended meanwhile
        return ""


def _table(figures: dict[str, Any]) -> Table:
    table = Table("what", "figure", title="Operating a pretraining")
    table.add_row("from the command to the first step", f"{figures['seconds_to_first_step']} s")
    again = figures["seconds_from_kill_to_next_step"]
    if again:
        table.add_row("from a worker's end to the next step", ", ".join(f"{seconds} s" for seconds in again))
    table.add_row("checkpoints, of the time of the steps", f"{100 * figures['checkpoint_share_of_step_time']:.2f} %")
    return table
