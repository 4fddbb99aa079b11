"""The sbatch script: by shellcheck, and run with stand-ins for Slurm's commands, Ray's and Python."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "cluster" / "slurm" / "physioclr.sbatch"
STAND_INS = {
    "scontrol": """
echo "scontrol $*" >> "$LOG"
[ "$1" = show ] && printf 'one\\ntwo\\n'
exit 0
""",
    "srun": """
echo "srun $*" >> "$LOG"
case "$*" in
    *hostname*) echo 10.0.0.1 ;;
    *) exec sleep 60 ;;
esac
""",
    "ray": """
exit 0
""",
    "python": """
case "$1 $2" in
    "-c import secrets"*) printf word ;;
    "-c import ray"*) echo 2 ;;
    *) echo "python $* token=$(cat "$RAY_AUTH_TOKEN_PATH") address=$RAY_ADDRESS mode=$RAY_AUTH_MODE" >> "$LOG"
       echo "path=$PYTHONPATH" >> "$LOG"
       touch "$LOG.begun"; sleep "${LASTS:-0}"; exit "${ENDS:-0}" ;;
esac
""",
}
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start the script as a Slurm job on two nodes."""
    commands = tmp_path / ".venv" / "bin"
    commands.mkdir(parents=True)
    (commands / "activate").write_text(f'PATH="{commands}:$PATH"\n')
    for name, body in STAND_INS.items():
        (commands / name).write_text(f"#!/usr/bin/env bash{body}")
        (commands / name).chmod(0o755)

    def run(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "HOME": str(tmp_path),
            "LOG": str(tmp_path / "log"),
            "SLURM_SUBMIT_DIR": str(tmp_path),
            "SLURM_JOB_ID": "17",
            "SLURM_JOB_NODELIST": "one,two",
            "SLURM_CPUS_PER_TASK": "8",
            **variables,
        }
        command = ["bash", str(SCRIPT), *arguments]
        return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    return run


def test_shellcheck_has_nothing_to_say() -> None:
    shellcheck = Path(sys.executable).parent / "shellcheck"
    if not shellcheck.exists():
        pytest.skip("shellcheck comes with the `dev` extra")
    done = subprocess.run([shellcheck, SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_ray_is_on_every_node_and_the_job_on_the_first(start: Start, tmp_path: Path) -> None:
    job = start("jobs/pretrain.py", "name=one")
    said = job.communicate(timeout=60)[0]
    assert job.returncode == 0, said
    log = (tmp_path / "log").read_text()
    head, worker = sorted(
        (line for line in log.splitlines() if "ray start" in line), key=lambda line: "--head" not in line
    )
    assert "--nodelist=one" in head
    assert "--head" in head
    assert "--dashboard-host=127.0.0.1" in head
    assert "--nodelist=two" in worker
    assert "--address=10.0.0.1:20017" in worker
    assert "--num-cpus=8" in head
    assert "python jobs/pretrain.py name=one token=word address=10.0.0.1:20017 mode=token" in log
    assert f"path={tmp_path}" in log, "the code is found on every node"
    assert "Ray has 2 of 2 nodes; its dashboard is at 127.0.0.1:40017 of one." in said


def test_the_token_is_for_one_account_and_goes_with_the_job(start: Start, tmp_path: Path) -> None:
    job = start("jobs/pretrain.py", LASTS="1")
    token = tmp_path / ".ray" / "slurm-17.token"
    until(lambda: (tmp_path / "log.begun").exists())
    assert token.stat().st_mode & 0o077 == 0
    job.communicate(timeout=60)
    assert not token.exists()


def test_the_exit_code_is_the_jobs(start: Start) -> None:
    job = start("jobs/pretrain.py", ENDS="2")
    job.communicate(timeout=60)
    assert job.returncode == 2


def test_without_a_job_it_says_how(start: Start) -> None:
    job = start()
    assert "sbatch cluster/slurm/physioclr.sbatch jobs/pretrain.py" in job.communicate(timeout=60)[0]
    assert job.returncode == 2


def test_shortly_before_the_end_it_is_queued_again_and_the_job_goes_on(start: Start, tmp_path: Path) -> None:
    job = start("jobs/pretrain.py", LASTS="2")
    until(lambda: (tmp_path / "log.begun").exists())
    job.send_signal(signal.SIGUSR1)
    said = job.communicate(timeout=60)[0]
    assert "scontrol requeue 17" in (tmp_path / "log").read_text()
    assert "queued again" in said
    assert job.returncode == 0, said


def until(true: Callable[[], bool]) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.05)
    raise TimeoutError("the job did not begin")
