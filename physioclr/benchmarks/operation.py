"""What it takes to operate a pretraining: to its first step, to go on after a worker was killed, and for checkpoints.

The job is run as a user runs it, in a process of its own with a Ray of its own, and its own record is read afterwards.
"""

from __future__ import annotations

import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ray.exceptions import AuthenticationError
from ray.job_submission import JobStatus, JobSubmissionClient
from rich.console import Console
from rich.table import Table

from physioclr import configfile, storage
from physioclr.benchmarks import processes
from physioclr.benchmarks.config import OperationBenchmark
from physioclr.config import PretrainConfig
from physioclr.errors import RunError
from physioclr.pipeline.training.board import BEGUN
from physioclr.pipeline.training.metrics_log import Row, read_metrics

NAME = "operation"
WORKER = "ray::RayTrainWorker"
POLL_SECONDS = 0.2
PATIENCE_SECONDS = 1800.0  # for the next checkpoint
ROOT, SCRIPT = Path(__file__).parents[2], "jobs/pretrain.py"


def operation_benchmark(config: OperationBenchmark, console: Console) -> dict[str, Any]:
    """Print the table and return its figures; the run below `config.scratch` is deleted at the end.

    Raises `RunError` when the job fails, with the last line that it printed.
    """
    words = _words(config)
    uri = storage.join(config.scratch, NAME)
    storage.remove(config.scratch)
    started = time.time()
    kills: list[float] = []
    if config.address is not None:
        with _submitted(words, config.address) as job:
            _end(job)
    else:
        with _here(words) as here:
            for kill in range(config.times):
                _after_a_checkpoint(here, uri, kill + 1)
                kills.append(_kill_a_worker(here))
            _end(here)
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


def _words(config: OperationBenchmark) -> list[str]:
    """What the job is given. Raises `ConfigError` for what it would refuse."""
    ours = {
        "name": NAME,
        "output": config.scratch,
        "training.log_every_steps": 1,
        "training.max_failures": config.times + 1,
        "checkpoint.every_steps": config.every_steps,
    }
    words = [*config.set, *(f"{key}={value}" for key, value in ours.items())]
    configfile.load(PretrainConfig, config.config, words)
    return [*(["--config", config.config] if config.config else []), *words]


class _Job(Protocol):
    """The pretraining, as a user gives it."""

    def ended(self) -> bool | None:
        """Whether it has ended well; None while it has not ended."""

    def last_words(self) -> str:
        """The last line that it printed."""


@dataclass(frozen=True)
class _Here:
    """The pretraining in a session of its own."""

    process: subprocess.Popen[bytes]
    log: Path

    def ended(self) -> bool | None:
        code = self.process.poll()
        return None if code is None else code == 0

    def last_words(self) -> str:
        return _last_line(self.log.read_text(errors="replace"))


@dataclass(frozen=True)
class _Submitted:
    """The pretraining as a job of a cluster."""

    client: JobSubmissionClient
    job: str

    def ended(self) -> bool | None:
        status = self.client.get_job_status(self.job)
        return status == JobStatus.SUCCEEDED if status.is_terminal() else None

    def last_words(self) -> str:
        return _last_line(self.client.get_job_logs(self.job))


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it has said nothing"])[-1]


@contextmanager
def _here(words: list[str]) -> Iterator[_Here]:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log.txt")
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, str(ROOT / SCRIPT), *words],
                stdout=out,
                stderr=out,
                start_new_session=True,
                env={**os.environ, "RAY_ADDRESS": "local"},
            )
        try:
            yield _Here(process, log)
        finally:
            process.kill()  # nothing happens to one that has ended; the Ray of one that has not ends with it


@contextmanager
def _submitted(words: list[str], address: str) -> Iterator[_Submitted]:
    """As `ray job submit --working-dir .` does it."""
    outer = os.environ.pop("RAY_ADDRESS", None)  # Ray would take that instead
    try:
        client = JobSubmissionClient(address)
    except ConnectionError as error:
        raise RunError(f"No cluster answers at {address}; give the address of its dashboard.") from error
    except AuthenticationError as error:
        raise RunError(
            f"The cluster at {address} asks for a token; set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or "
            "RAY_AUTH_TOKEN_PATH."
        ) from error
    finally:
        if outer is not None:
            os.environ["RAY_ADDRESS"] = outer
    entrypoint = shlex.join(["python", SCRIPT, *words])
    job = client.submit_job(entrypoint=entrypoint, runtime_env={"working_dir": str(ROOT)})
    try:
        yield _Submitted(client, job)
    finally:
        client.stop_job(job)


def _after_a_checkpoint(job: _Job, uri: str, starts: int) -> None:
    """Wait until the workers, begun so often, have brought a checkpoint: the log in storage says so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sum(row["kind"] == BEGUN for row in read_metrics(uri)) < starts:
        if job.ended() is not None or time.monotonic() > deadline:
            raise RunError(f"The pretraining that is measured has brought no further checkpoint: {job.last_words()}")
        time.sleep(POLL_SECONDS)


def _end(job: _Job) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (well := job.ended()) is None and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if not well:
        raise RunError(f"The pretraining that is measured has failed: {job.last_words()}")


def _kill_a_worker(job: _Here) -> float:
    """SIGKILL to one of the job's workers; when that was."""
    worker = random.choice(list(processes.of_session(job.process.pid, WORKER)))
    os.kill(worker, signal.SIGKILL)
    return time.time()


def _table(figures: dict[str, Any]) -> Table:
    table = Table("what", "figure", title="Operating a pretraining")
    table.add_row("from the command to the first step", f"{figures['seconds_to_first_step']} s")
    again = figures["seconds_from_kill_to_next_step"]
    if again:
        table.add_row("from a worker's end to the next step", ", ".join(f"{seconds} s" for seconds in again))
    table.add_row("checkpoints, of the time of the steps", f"{100 * figures['checkpoint_share_of_step_time']:.2f} %")
    return table
