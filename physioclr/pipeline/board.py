"""A small actor through which rank 0 tells the driver how far it is, without waiting for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from rich.console import Console

from physioclr.pipeline.metrics_log import Row
from physioclr.pipeline.progress import Meter

POLL_SECONDS = 1.0
Listener = Callable[[Row], None]  # is called with the metrics row of each epoch


class Board:
    """Keeps the last word of the training workers, and the epochs that they have finished."""

    def __init__(self) -> None:
        self._samples, self._note = 0, ""
        self._epochs: list[Row] = []

    def tell(self, samples: int, note: str) -> None:
        """Say how many samples are done and what to show beside them."""
        self._samples, self._note = samples, note

    def add_epoch(self, row: Row) -> None:
        """Say that an epoch is done and saved, with its metrics row."""
        self._epochs.append(row)

    def read(self, epochs: int) -> tuple[int, str, list[Row]]:
        """What was told last, and the epochs after the first so many."""
        return self._samples, self._note, self._epochs[epochs:]


def start() -> Any:
    """A board on the cluster; the handle can be given to workers."""
    return ray.remote(num_cpus=0, max_restarts=-1)(Board).remote()


@contextmanager
def shown(board: Any, total: int, what: str, console: Console, listener: Listener | None = None) -> Iterator[None]:
    """Show the board as a progress meter, `what` before it, and tell `listener` each epoch, while the body runs."""
    stop = threading.Event()

    def poll() -> None:
        meter: Meter | None = None
        epochs, last = 0, False
        while not last:
            last = stop.wait(POLL_SECONDS)
            samples, note, rows = ray.get(board.read.remote(epochs))
            epochs += len(rows)
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
