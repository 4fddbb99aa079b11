"""A cluster with a token: who has none, or another, is refused; and no secret gets into what a job leaves."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from physioclr.sources.pseudonyms import FILE_VARIABLE, VARIABLE
from tests.cluster.lan import BIN, wait_until
from tests.cluster.nodes import QUIET, ROOT
from tests.conftest import free_port
from tests.secrets import files_with, own_archive

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1500)]

TOKEN, WRONG = "0123456789abcdef" * 4, "fedcba9876543210" * 4
AWS_SECRET, PATIENT_KEY, PATIENT = "planted/AWS+secret/K7MDENGbPxRfi", "planted-patient-key-" + "5" * 32, "4711-0815"
ASK = "import ray; ray.init('{}', logging_level='ERROR', log_to_driver=False); print('nodes', len(ray.nodes()))"


@dataclass(frozen=True)
class Head:
    """A head on the loopback: its address, its job server and the folder that Ray writes to."""

    address: str
    url: str
    folder: Path

    def ask(self, path: str, token: str | None, send: dict[str, Any] | None = None) -> Any:
        """The job server's answer. Raises `HTTPError`."""
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        data = None if send is None else json.dumps(send).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=60) as answer:
            return json.loads(answer.read())


def environment(**more: str) -> dict[str, str]:
    """That of a user who has no token, and nothing of this process's."""
    return {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": "/nonexistent", **QUIET, **more}


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    """A head started as the shipped files start it, on ports of its own, with secrets in its environment."""
    with tempfile.TemporaryDirectory(prefix="token-", dir="/tmp", ignore_cleanup_errors=True) as name:
        port, dashboard, *others = (free_port() for _ in range(7))
        names = ["dashboard-agent-listen-port", "dashboard-agent-grpc-port", "metrics-export-port"]
        names += ["ray-client-server-port", "runtime-env-agent-port"]
        words = [f"--{name}={number}" for name, number in zip(names, others, strict=True)]
        words += ["--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}", f"--port={port}", "--num-cpus=2"]
        words += ["--node-ip-address=127.0.0.1", f"--temp-dir={name}", "--object-store-memory=200000000", "--block"]
        secrets = {"AWS_ACCESS_KEY_ID": "AKIAPLANTED", "AWS_SECRET_ACCESS_KEY": AWS_SECRET, VARIABLE: PATIENT_KEY}
        one = Head(f"127.0.0.1:{port}", f"http://127.0.0.1:{dashboard}", Path(name))
        try:
            start(one, words, environment(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN, **secrets))
            yield one
        finally:
            kill(one)


def start(head: Head, words: list[str], environment: dict[str, str]) -> None:
    """Start it, again if need be: Ray gives its own processes half a minute, which a busy machine may not."""
    said = head.folder / "said"
    for again in (True, True, False):
        command = ["ray", "start", "--head", *words]
        with said.open("wb") as output:
            ray = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
        wait_until(lambda ray=ray: ray.poll() is not None or answers(head), 300, "the job server")  # type: ignore[misc]
        if ray.poll() is None:
            return
        assert again, said.read_text()
        kill(head)


def kill(head: Head) -> None:
    """End the processes of this cluster and no others."""
    for one in children_in(str(head.folder)):
        os.kill(one, signal.SIGKILL)


def answers(head: Head) -> bool:
    try:
        head.ask("/api/version", TOKEN)
    except OSError:
        return False
    return True


def children_in(folder: str) -> list[int]:
    """Processes whose command names `folder`: what this cluster has started and not ended."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        found += [int(entry.name)] if folder.encode() in command and int(entry.name) != os.getpid() else []
    return found


REFUSED = {"no token": None, "another token": WRONG}


@pytest.mark.parametrize("token", REFUSED.values(), ids=REFUSED)
def test_the_job_server_refuses_who_has_no_token(head: Head, token: str | None) -> None:
    for path, send in (
        ("/api/jobs/", None),
        ("/api/jobs/", {"entrypoint": f"touch {head.folder}/harm"}),
        ("/api/v0/nodes", None),
        ("/api/cluster_status", None),
    ):
        with pytest.raises(urllib.error.HTTPError, match=r"401|403"):
            head.ask(path, token, send)
    assert head.ask("/api/jobs/", TOKEN) == [], "nothing was submitted, and the token opens"


def test_the_command_line_refuses_who_has_no_token(head: Head) -> None:
    submit = ["ray", "job", "submit", "--address", head.url, "--", "touch", f"{head.folder}/harm"]
    for mode in ({}, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": WRONG}, {"RAY_AUTH_MODE": "disabled"}):
        done = subprocess.run(submit, env=environment(**mode), capture_output=True, text=True, timeout=180, check=False)
        assert done.returncode != 0
        assert "oken" in done.stdout + done.stderr, "it says what is missing"
    assert not (head.folder / "harm").exists()


def test_ray_itself_refuses_who_has_no_token(head: Head) -> None:
    def join(**mode: str) -> subprocess.CompletedProcess[str]:
        script = [sys.executable, "-c", ASK.format(head.address)]
        return subprocess.run(script, env=environment(**mode), capture_output=True, text=True, timeout=180, check=False)

    inside = join(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN)
    assert "nodes 1" in inside.stdout, inside.stderr
    for mode in ({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": WRONG}, {"RAY_AUTH_MODE": "disabled"}):
        outside = join(**mode)
        assert outside.returncode != 0
        assert "nodes" not in outside.stdout


def test_the_dashboard_is_on_the_loopback_alone(head: Head) -> None:
    port = int(head.url.rpartition(":")[2])
    listening = {
        line.split()[1]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in Path(table).read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")
    }
    assert listening == {f"{socket.inet_aton('127.0.0.1')[::-1].hex().upper()}:{port:04X}"}


def test_no_secret_gets_into_what_a_job_leaves(head: Head, tmp_path: Path) -> None:
    """Recordings to an encoder, submitted: dataset, run, report, checkpoints, Ray's own logs and what it tells."""
    own_archive(tmp_path, 24, PATIENT)
    (tmp_path / "key").write_text(PATIENT_KEY)
    left = tmp_path / "left"
    dataset = [f"uri={left}/prepared", "sources.0.kind=wfdb", f"sources.0.uri={tmp_path}/archive", "sources.0.name=own"]
    dataset += [f"sources.0.labels_csv={tmp_path}/labels.csv", "features.components=10"]
    words = [f"dataset.{word}" for word in dataset] + ["name=one", f"output={left}/runs", "monitor.probe=none"]
    words += ["training.workers=1", "training.epochs=1", "training.batch_size=8", "training.device=cpu"]
    given = {"env_vars": {FILE_VARIABLE: str(tmp_path / "key"), "PYTHONPATH": str(ROOT)}}
    entry = " ".join([str(BIN / "python"), str(ROOT / "jobs/pretrain.py"), *words])
    job = head.ask("/api/jobs/", TOKEN, {"entrypoint": entry, "runtime_env": given})["submission_id"]
    ended = ("SUCCEEDED", "FAILED", "STOPPED")
    wait_until(lambda: head.ask(f"/api/jobs/{job}", TOKEN)["status"] in ended, 900, "the end of the job")
    said = head.ask(f"/api/jobs/{job}/logs", TOKEN)["logs"]
    assert head.ask(f"/api/jobs/{job}", TOKEN)["status"] == "SUCCEEDED", said
    assert "Done" in said

    (left / "told").write_text(said + json.dumps([head.ask("/api/jobs/", TOKEN), head.ask("/api/v0/actors", TOKEN)]))
    time.sleep(2)  # Ray writes its logs when it likes
    kinds = {path.suffix for path in left.rglob("*") if path.is_file()}
    assert {".parquet", ".json", ".yaml", ".pt", ".safetensors", ".html", ".jsonl"} <= kinds
    assert files_with(left, AWS_SECRET, PATIENT_KEY, TOKEN, PATIENT) == []
    assert files_with(head.folder, AWS_SECRET, PATIENT_KEY, TOKEN, PATIENT) == []
    assert files_with(head.folder, job), "what is looked for would be found"
