"""A small actor through which rank 0 tells the driver how far it is, without waiting for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from rich.console import Console

from physioclr.pipeline import cluster
from physioclr.pipeline.metrics_log import Row
from physioclr.pipeline.progress import Meter

POLL_SECONDS = 1.0
BEGUN = "begun"  # kind of the row that says that the workers have started
Listener = Callable[[Row], None]  # is called with a row of kind BEGUN, and with the metrics row of each epoch


class Board:
    """Keeps the last word of the training workers, and rows: that they have begun, and each finished epoch."""

    def __init__(self) -> None:
        self._samples, self._note = 0, ""
        self._rows: list[Row] = []

    def tell(self, samples: int, note: str) -> None:
        """Say how many samples are done and what to show beside them."""
        self._samples, self._note = samples, note

    def add(self, row: Row) -> None:
        """Say that the workers have begun, or that an epoch is done and saved, with its metrics row."""
        self._rows.append(row)

    def read(self, rows: int) -> tuple[int, str, list[Row]]:
        """What was told last, and the rows after the first so many."""
        return self._samples, self._note, self._rows[rows:]


def start() -> Any:
    """A board on the cluster; the handle can be given to workers."""
    return ray.remote(num_cpus=0, max_restarts=-1, label_selector=cluster.for_drivers())(Board).remote()


@contextmanager
def shown(board: Any, total: int, what: str, console: Console, listener: Listener | None = None) -> Iterator[None]:
    """Show the board as a progress meter, `what` before it, and tell `listener` each row, while the body runs."""
    stop = threading.Event()

    def poll() -> None:
        meter: Meter | None = None
        told, last = 0, False
        while not last:
            last = stop.wait(POLL_SECONDS)
            samples, note, rows = ray.get(board.read.remote(told))
            told += len(rows)
            if listener is not None:
                for row in rows:
                    listener(row)
            if samples and meter is None:  # rates count from the first step on, not from the start of the workers
                meter = Meter(what, total, "samples", console, done=samples).__enter__()
            elif meter is not None:
                meter.advance_to(samples, note)
        if meter is not None:
            meter.__exit__(None, None, None)

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=10)
