"""A Ray cluster over the hosts of a `Lan`, and jobs sent to it from outside, as a user sends them."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from physioclr.pipeline.cluster import ROLE
from tests.cluster import growing
from tests.cluster.lan import BIN, Host, Lan, wait_until

ROOT = Path(__file__).parents[2]
TOKEN = "0123456789abcdef" * 4
OBJECT_STORE = 200_000_000
# Dead hosts are noticed within half a minute rather than within one, and without taking a busy machine for a dead one.
HEALTH = {"RAY_health_check_period_ms": "2000", "RAY_health_check_timeout_ms": "5000"}
# And with 10 s rather than 7 min a call to a host without power fails.
HEALTH |= {"RAY_grpc_client_keepalive_time_ms": "10000", "RAY_grpc_client_keepalive_timeout_ms": "10000"}
# Every host sees the whole machine: what others take of its memory is no reason for Ray to kill workers here.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_memory_monitor_refresh_ms": "0"}
OURS = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN, **QUIET, **HEALTH}
SUBMIT = (str(BIN / "ray"), "job", "submit", "--no-wait", "--working-dir", ".")
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")


@dataclass(frozen=True)
class Job:
    """A submitted job."""

    cluster: RayCluster
    id: str

    def status(self) -> str:
        """PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED."""
        return str(self.cluster.ask(f"/api/jobs/{self.id}")["status"])

    def output(self) -> str:
        """What the job has printed so far."""
        return str(self.cluster.ask(f"/api/jobs/{self.id}/logs")["logs"])

    def wait(self, seconds: float) -> str:
        """Wait for its end; what it printed. Raises `AssertionError` with that when it has not succeeded."""
        ended = self.end(seconds)
        assert ended == "SUCCEEDED", f"{ended}\n{self.output()}"
        return self.output()

    def end(self, seconds: float) -> str:
        """Wait for its end, whatever it is. Raises `TimeoutError` with what it printed."""
        try:
            wait_until(lambda: self.status() in ENDED, seconds, f"the end of job {self.id}")
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.output()}") from error
        return self.status()

    def until(self, happened: Any, seconds: float, what: str) -> None:
        """Wait for something that the job does. Fails at once, with its output, when the job ends without it."""

        def either() -> bool:
            if happened():
                return True
            assert self.status() not in ENDED, f"{what} has not happened:\n{self.output()}"
            return False

        try:
            wait_until(either, seconds, what)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.output()}") from error


class RayCluster:
    """A head and hosts that joined it, each by its own `ray start`; one that `grows` has an autoscaler instead."""

    def __init__(
        self, lan: Lan, environment: Mapping[str, str], head: str = "head", head_cpus: int = 0, *, grows: bool = False
    ) -> None:
        self._lan, self._environment = lan, {**OURS, **environment, **(growing.ENVIRONMENT if grows else {})}
        self.head = lan.add(head)
        more = growing.head_words(self.head.folder) if grows else []
        self._ray(self.head, head_cpus, "--head", "--port=6379", "--dashboard-host=0.0.0.0", *more)
        self.url = f"http://{self.head.address}:8265"
        wait_until(self._answers, 120, "the job server")

    def _ray(self, host: Host, cpus: int, *words: str) -> None:
        mine = [f"--node-ip-address={host.address}", f"--num-cpus={cpus}", f"--object-store-memory={OBJECT_STORE}"]
        for again in (True, True, False):
            try:
                host.run(["ray", "start", *words, *mine, "--disable-usage-stats"], self._environment)
                return
            except AssertionError:  # Ray gives its own processes half a minute, which a busy machine may not
                if not again:
                    raise
                host.run(["ray", "stop", "--force"], self._environment)  # sees only this host's processes

    def join(self, name: str, cpus: int = 2) -> Host:
        """A new host in the cluster."""
        before = len(self.alive())
        host = self._lan.add(name)
        self._ray(host, cpus, f"--address={self.head.address}:6379")
        wait_until(lambda: len(self.alive()) > before, 60, f"{name} in the cluster")
        return host

    def ask(self, path: str, send: dict[str, Any] | None = None) -> Any:
        """The dashboard's answer."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        data = None if send is None else json.dumps(send).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=60) as answer:
            return json.loads(answer.read())

    def _answers(self) -> bool:
        try:
            self.ask("/api/version")
        except OSError:
            return False
        return True

    def alive(self) -> dict[str, str]:
        """Ray's id of each living node, by its address."""
        nodes = self.ask("/api/v0/nodes")["data"]["result"]["result"]
        return {node["node_ip"]: node["node_id"] for node in nodes if node["state"] == "ALIVE"}

    def roles(self) -> dict[str, int]:
        """How many living nodes there are with each role."""
        nodes = self.ask("/api/v0/nodes?detail=1")["data"]["result"]["result"]
        return Counter(node["labels"].get(ROLE, "") for node in nodes if node["state"] == "ALIVE")

    def submit(self, *words: str, environment: Mapping[str, str] | None = None) -> Job:
        """`ray job submit --working-dir .` from this machine."""
        there = json.dumps({"env_vars": dict(environment or {})})
        sent = subprocess.run(
            [*SUBMIT, "--runtime-env-json", there, "--", str(BIN / "python"), *words],
            env={"PATH": str(BIN), "HOME": str(self._lan.folder), "RAY_ADDRESS": self.url, **OURS},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        assert sent.returncode == 0, sent.stdout
        word = next(word for word in sent.stdout.replace("'", " ").split() if word.startswith("raysubmit_"))
        return Job(self, word)

    def drain(self, host: Host, seconds: int) -> None:
        """Tell Ray that the host will be taken away in so many seconds, as a cloud's spot notice is told."""
        words = ["ray", "drain-node", "--address", f"{self.head.address}:6379", "--node-id", self.alive()[host.address]]
        words += ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot"]
        self.head.run([*words, "--deadline-remaining-seconds", str(seconds)], self._environment)

    def kill(self, hosts: Sequence[Host] = ()) -> None:
        """The power goes on these hosts, or on all of the cluster."""
        for host in hosts or [self.head]:
            host.kill()
