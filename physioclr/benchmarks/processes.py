"""The processes of a job that was started in a session of its own, as Linux lists them: Ray's are among them."""

from __future__ import annotations

import os
from pathlib import Path


def of_session(leader: int, *titles: str) -> dict[int, str]:
    """Process ids of the session, and their titles; only those that have one of `titles` in it, if any are given."""
    found = {pid: title for pid in _pids() if _session(pid) == leader and (title := _title(pid)) is not None}
    return {pid: title for pid, title in found.items() if not titles or any(part in title for part in titles)}


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:  # it has ended meanwhile
        return None


def _title(pid: int) -> str | None:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")[0]
    except OSError:  # it has ended meanwhile
        return None
