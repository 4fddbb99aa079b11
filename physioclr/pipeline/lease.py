"""Who works on a run: a file in its folder that the owner renews, so that no second process works on the same one.

Works on any storage, and needs neither equal clocks nor locks of the file system. A newcomer that finds the file
knows the owner to be gone where that was a process of this machine, and otherwise watches whether the file changes.
"""

from __future__ import annotations

import _thread
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel, ValidationError
from rich.console import Console

from physioclr import storage
from physioclr.errors import RunError, StorageError

FILE = "owner.json"
BEAT_SECONDS = 10.0
GONE_SECONDS = 45.0  # without a beat, which is more than four of them, the owner is taken for gone
SETTLE_SECONDS = {"local": 0.3, "remote": 2.0}  # after which two that wrote at once both see the later one's sign
LOOK_SECONDS = 1.0


class Sign(BaseModel):
    """What the file says. `machine` and `born` tell apart processes that have the same number."""

    id: str
    host: str
    machine: str | None
    pid: int
    born: str | None
    beat: int = 0


class Lease:
    """This process's hold on the folder `uri`. `what` is how an error begins: `The run 'x' in y`; `other` is what
    tells two of its kind apart."""

    def __init__(self, uri: str, what: str, other: str = "name") -> None:
        self._file, self._what, self._other = storage.join(uri, FILE), what, other
        self._sign = Sign(
            id=uuid.uuid4().hex, host=socket.gethostname(), machine=_machine(), pid=os.getpid(), born=_born(os.getpid())
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self.lost: Sign | None = None  # another one's sign, seen where ours had been

    def take(self, console: Console) -> None:
        """Become the owner. Raises `RunError` where another process is."""
        other = self._read()
        if other is not None and not _gone(other):
            self._watch(other, console)
        self._write()
        time.sleep(SETTLE_SECONDS["remote" if "://" in self._file else "local"])
        there = self._read()
        if there is not None and there.id != self._sign.id:
            raise self.refusal(there)
        self._thread.start()

    def give_back(self) -> None:
        """No longer be the owner; the next one need not wait."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=BEAT_SECONDS)
        with suppress(StorageError):  # the next one then waits until this one counts as gone
            there = self._read()
            if there is not None and there.id == self._sign.id:
                storage.remove(self._file)
                self._leave_no_folder()

    def _leave_no_folder(self) -> None:
        """A folder that the file alone has made goes with it: the name is still free."""
        if "://" not in self._file:
            with suppress(OSError):  # there is something else in it
                Path(self._file).parent.rmdir()

    def refusal(self, other: Sign) -> RunError:
        """Why this process must not work on the run."""
        return RunError(
            f"{self._what} is being worked on by process {other.pid} on {other.host}; wait for its end, stop it, or "
            f"give this one another {self._other} (it counts as gone {GONE_SECONDS:g} s after it last renewed "
            f"{self._file})."
        )

    def _watch(self, other: Sign, console: Console) -> None:
        """Return when the owner gives no sign of life, raise `RunError` when it does."""
        if _alive(other):
            raise self.refusal(other)
        console.print(
            f"{self._what} was last worked on by process {other.pid} on {other.host}; looking for up to "
            f"{GONE_SECONDS:g} s whether it still is.",
            highlight=False,
        )
        until = time.monotonic() + GONE_SECONDS
        while time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
            now = self._read()
            if now is None:
                return
            if (now.id, now.beat) != (other.id, other.beat):
                raise self.refusal(now)

    def _renew(self) -> None:
        """Give signs of life, and stop the run when it has become another one's: it must have seemed gone."""
        while not self._stop.wait(BEAT_SECONDS):
            try:
                there = self._read()
                if there is not None and there.id != self._sign.id:
                    self.lost = there
                    _thread.interrupt_main()
                    return
                self._sign.beat += 1
                self._write()
            except StorageError:
                continue  # if the storage stays away, the run ends by that itself

    def _read(self) -> Sign | None:
        if not storage.exists(self._file):
            return None
        try:
            return Sign.model_validate_json(storage.read_bytes(self._file))
        except (StorageError, ValidationError):
            return None  # given back meanwhile, or not ours to understand

    def _write(self) -> None:
        storage.write_text(self._file, self._sign.model_dump_json() + "\n")


@contextmanager
def held(uri: str, what: str, console: Console, other: str = "name") -> Iterator[None]:
    """Work on the folder `uri` alone, while the body runs. Raises `RunError` where another process works on it."""
    lease = Lease(uri, what, other)
    lease.take(console)
    try:
        yield
    except KeyboardInterrupt:
        if lease.lost is None:
            raise
    finally:
        lease.give_back()
    if lease.lost is not None:
        raise lease.refusal(lease.lost)


def _machine() -> str | None:
    """This start of this machine, and the space that process numbers count in (a container has its own)."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None


def _born(pid: int) -> str | None:
    """When a process of this machine began, in a clock of its own; None if there is none, or it has ended."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] in "ZX" else words[19]


def _here(sign: Sign) -> bool:
    return sign.machine is not None and sign.machine == _machine()


def _gone(sign: Sign) -> bool:
    """Whether the owner is known to have ended."""
    return _here(sign) and _born(sign.pid) != sign.born


def _alive(sign: Sign) -> bool:
    """Whether the owner is known to be there."""
    return _here(sign) and _born(sign.pid) == sign.born
