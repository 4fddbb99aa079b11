"""Hosts on one machine: each with its own network, processes, name, home and temporary files, joined by a bridge.

A host is what a real one is to Ray: it has an address, its cable can be pulled, and when its power goes all of its
processes are gone at once. Needs root and iproute2.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

TOOLS = ("ip", "nsenter", "unshare", "mount")
BIN = Path(sys.executable).parent
BRIDGES = range(1, 250)


def why_not() -> str | None:
    """Why hosts cannot be made here; None if they can."""
    if os.geteuid() != 0:
        return "hosts as network namespaces need root"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"hosts as network namespaces need {', '.join(missing)}"
    tried = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False)
    return None if tried.returncode == 0 else "this machine does not allow new namespaces"


def wait_until(happened: Callable[[], object], seconds: float, what: str) -> None:
    """Poll until `happened()` is true. Raises `TimeoutError` naming `what`."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.2)


def ip(*words: str) -> None:
    """Run `ip`; `CalledProcessError` when it fails."""
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


class Host:
    """One host of a `Lan`. What runs in it is killed with it."""

    def __init__(self, lan: Lan, name: str, number: int) -> None:
        self.name, self.address = name, f"{lan.subnet}.{number}"
        self.folder = lan.folder / name
        self._space, self._cable = f"{lan.bridge}-{name}", f"{lan.bridge}{name}"
        for own in ("home", "ray", "tmp"):
            (self.folder / own).mkdir(parents=True)
        Path("/tmp/ray").mkdir(exist_ok=True)  # what the host's own is mounted on
        self._plug_in(lan)
        (self.folder / "names").write_text(f"127.0.0.1 localhost\n{self.address} {name}\n")
        mounts = f"mount --bind {self.folder}/ray /tmp/ray; mount --bind {self.folder}/names /etc/hosts"
        init = f"hostname {name}; {mounts}; echo up; while :; do sleep 1; done"
        space = ["unshare", "--pid", "--fork", "--kill-child", "--uts", "--mount", "--mount-proc", "bash", "-c", init]
        self._outer = subprocess.Popen(
            ["ip", "netns", "exec", self._space, *space], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._outer.stdout is not None
        assert self._outer.stdout.readline() == "up\n", "the host has come up"
        self._init = int(Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children").read_text().split()[0])

    def _plug_in(self, lan: Lan) -> None:
        ip("netns", "add", self._space)
        ip("link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", self._space)
        ip("link", "set", self._cable, "master", lan.bridge, "up")
        ip("-n", self._space, "addr", "add", f"{self.address}/24", "dev", "eth0")
        ip("-n", self._space, "link", "set", "eth0", "up")
        ip("-n", self._space, "link", "set", "lo", "up")
        ip("-n", self._space, "route", "add", "default", "via", lan.address)  # nowhere: for Ray to ask

    def command(self, words: Sequence[str]) -> list[str]:
        """`words` as a command line that runs in this host."""
        return ["nsenter", "-t", str(self._init), "--net", "--pid", "--mount", "--uts", "--", *words]

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """What a login on this host would see: nothing of the tests' own settings, but those of its arithmetic, so that
        what is made here and there is the same to the last bit."""
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        own = {"HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "tmp"), "RAY_TMPDIR": "/tmp"}
        arithmetic = {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")}
        return {"PATH": path, "LANG": "C.UTF-8", **arithmetic, **own, **more}

    def run(self, words: Sequence[str], environment: Mapping[str, str], seconds: float = 300) -> str:
        """Run a command here to its end; its output. Raises `AssertionError` with the output when it fails."""
        done = subprocess.run(
            self.command(words),
            env=self.environment(environment),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, f"{self.name}: {' '.join(words)}\n{done.stdout}"
        return done.stdout

    def start(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a command here that runs until the host is killed; its output goes to `log.txt` of the host."""
        with (self.folder / "log.txt").open("ab") as log:
            subprocess.Popen(
                self.command(words), env=self.environment(environment), cwd=self.folder, stdout=log, stderr=log
            )

    def processes(self, having: str) -> list[int]:
        """Ids, as this machine counts them, of the host's processes whose command line has `having` in it."""
        space = os.readlink(f"/proc/{self._init}/ns/pid")
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _is(pid, space, having)]

    def cut(self) -> None:
        """Pull the cable: packets are lost, nobody is told."""
        ip("link", "set", self._cable, "down")

    def mend(self) -> None:
        """Put the cable back."""
        ip("link", "set", self._cable, "up")

    @property
    def alive(self) -> bool:
        """Whether the power is on."""
        return self._outer.poll() is None

    def kill(self) -> None:
        """The power goes: nobody hears a good-bye, and every process ends."""
        if not self.alive:
            return
        ip("link", "del", self._cable)
        os.kill(self._init, signal.SIGKILL)
        self._outer.wait()
        ip("netns", "del", self._space)


def _is(pid: int, space: str, having: str) -> bool:
    """Whether `pid` runs in the space of processes with `having` in its command line; it may be gone by now."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        return having in line and os.readlink(f"/proc/{pid}/ns/pid") == space
    except OSError:
        return False


class Lan:
    """A bridge and the hosts on it. Its own address, `.1`, is where this machine can be reached from them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hosts: list[Host] = []
        self._made = 0
        for number in BRIDGES:
            self.bridge, self.subnet = f"ecg{number}", f"10.199.{number}"
            try:
                ip("link", "add", self.bridge, "type", "bridge")
            except subprocess.CalledProcessError:
                continue  # taken by another test run on this machine
            break
        else:
            raise RuntimeError("every bridge is taken")
        ip("addr", "add", f"{self.address}/24", "dev", self.bridge)
        ip("link", "set", self.bridge, "up")

    @property
    def address(self) -> str:
        """This machine, seen from the hosts."""
        return f"{self.subnet}.1"

    def add(self, name: str) -> Host:
        """A new host; `name` may be up to 6 letters long and used once."""
        self._made += 1
        host = Host(self, name, self._made + 1)
        self.hosts.append(host)
        return host

    def remove(self) -> None:
        """Kill every host and take the bridge away."""
        for host in self.hosts:
            host.kill()
        ip("link", "del", self.bridge)
