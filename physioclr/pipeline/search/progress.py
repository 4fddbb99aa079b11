"""The search as a person follows it: a live table on a terminal, a line for each ended trial in a job's log."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from physioclr.pipeline.progress import LOG_EVERY_SECONDS
from physioclr.pipeline.search.ledger import TrialRecord

ROWS = 12  # of the live table: the running trials, then the best


class SearchProgress:
    """Shows the records whenever they change; use as a context manager."""

    def __init__(self, trials: int, epochs: int, ended_before: Iterable[str], console: Console) -> None:
        self._trials, self._epochs, self._console = trials, epochs, console
        self._live = Live(console=console, refresh_per_second=2) if console.is_terminal else None
        self._said = set(ended_before)  # those of earlier starts are not news
        self._logged = time.monotonic()

    def __enter__(self) -> SearchProgress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, records: Sequence[TrialRecord]) -> None:
        """Show how things stand."""
        if self._live is not None:
            self._live.update(self._table(records))
            return
        ended = {record.trial for record in records if record.status != "running"}
        for record in records:
            if record.trial in ended - self._said:
                score = "-" if record.score is None else f"{record.score:.3f}"
                line = f"Trial {record.trial} {record.status}: {score}, {_values(record)} ({record.why})"
                self._console.print(line, highlight=False, markup=False, soft_wrap=True)
        if ended - self._said or time.monotonic() - self._logged > LOG_EVERY_SECONDS:
            self._logged = time.monotonic()
            self._console.print(self._line(records), highlight=False)
        self._said = ended  # one that had failed and runs again is news another time

    def _line(self, records: Sequence[TrialRecord]) -> str:
        ended = [record for record in records if record.status != "running"]
        pruned = sum(record.status == "pruned" for record in ended)
        failed = sum(record.status == "failed" for record in ended)
        scored = [record for record in records if record.score is not None]
        best = max(scored, key=lambda record: record.score or 0.0, default=None)
        seconds = sum(record.worker_seconds for record in records)
        return (
            f"Search: {len(ended)} of {self._trials} trials ended, {pruned} pruned, {failed} failed, "
            f"{len(records) - len(ended)} running; best {best.score:.3f} ({best.trial}); {seconds:,.0f} worker-seconds"
            if best is not None
            else f"Search: {len(ended)} of {self._trials} trials ended, {failed} failed; no score yet"
        )

    def _table(self, records: Sequence[TrialRecord]) -> Table:
        running = [record for record in records if record.status == "running"]
        ended = (record for record in records if record.status != "running")
        best = sorted(ended, key=lambda record: (record.score is None, -(record.score or 0.0)))
        table = Table(title=self._line(records), title_justify="left")
        for name in ("trial", "status", "epoch", "AUROC", "worker s", "values"):
            table.add_column(name)
        for record in [*running, *best][:ROWS]:
            score = "-" if record.score is None else f"{record.score:.3f}"
            seconds = f"{record.worker_seconds:,.0f}"
            epoch = f"{record.epoch} of {self._epochs}"
            table.add_row(record.trial, record.status, epoch, score, seconds, _values(record))
        return table


def _values(record: TrialRecord) -> str:
    return ", ".join(
        f"{key.rsplit('.', 1)[-1]} {value:.3g}" if isinstance(value, float) else f"{key.rsplit('.', 1)[-1]} {value}"
        for key, value in record.parameters.items()
    )
