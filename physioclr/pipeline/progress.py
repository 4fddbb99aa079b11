"""Progress with rate and time left: a live bar on a terminal, a line now and then in a job's log."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LOG_EVERY_SECONDS = 10.0


class Meter:
    """Counts `unit`s towards `total` and shows them; use as a context manager.

    `console` decides how: a terminal gets a bar, anything else (a file, `ray job logs`) a line every ten seconds.
    """

    def __init__(self, what: str, total: int, unit: str, console: Console, done: int = 0) -> None:
        self._what, self._total, self._unit, self._console = what, total, unit, console
        self._done = self._start_done = done
        self._started = self._logged = time.monotonic()
        self._note = ""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=console) if console.is_terminal else None

    def __enter__(self) -> Meter:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=self._total, completed=self._done, note="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        elif kind is None and self._done > self._start_done:
            self._log()

    @property
    def rate(self) -> float:
        """Units a second since this meter started."""
        return (self._done - self._start_done) / max(time.monotonic() - self._started, 1e-9)

    def advance_to(self, done: int, note: str = "") -> None:
        """Say that `done` units are finished in all, with a short `note` such as a loss or a count."""
        self._done, self._note = done, note
        shown = f"{self.rate:,.1f} {self._unit}/s {note}"
        if self._bar is not None:
            self._bar.update(self._task, completed=done, note=shown)
        elif time.monotonic() - self._logged >= LOG_EVERY_SECONDS:
            self._log()

    def advance(self, by: int, note: str = "") -> None:
        """Say that `by` more units are finished."""
        self.advance_to(self._done + by, note)

    def _log(self) -> None:
        self._logged = time.monotonic()
        left = (self._total - self._done) / max(self.rate, 1e-9)
        self._console.print(
            f"{self._what}: {self._done:,} of {self._total:,}, {self.rate:,.1f} {self._unit}/s, "
            f"{left:,.0f} s left {self._note}".rstrip(),
            highlight=False,
        )
