"""A small actor through which rank 0 tells the driver how far it is, without waiting for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from rich.console import Console

from physioclr.pipeline.progress import Meter

POLL_SECONDS = 1.0


class Board:
    """Keeps the last word of the training workers."""

    def __init__(self) -> None:
        self._samples, self._note = 0, ""

    def tell(self, samples: int, note: str) -> None:
        """Say how many samples are done and what to show beside them."""
        self._samples, self._note = samples, note

    def read(self) -> tuple[int, str]:
        """What was told last."""
        return self._samples, self._note


def start() -> Any:
    """A board on the cluster; the handle can be given to workers."""
    return ray.remote(num_cpus=0, max_restarts=-1)(Board).remote()


@contextmanager
def shown(board: Any, total: int, what: str, console: Console) -> Iterator[None]:
    """Show the board as a progress meter, `what` before it, while the body runs."""
    stop = threading.Event()

    def poll() -> None:
        meter: Meter | None = None
        while not stop.wait(POLL_SECONDS):
            samples, note = ray.get(board.read.remote())
            if not samples:
                continue
            if meter is None:  # rates count from the first step on, not from the start of the workers
                meter = Meter(what, total, "samples", console, done=samples).__enter__()
            meter.advance_to(samples, note)
        if meter is not None:
            meter.advance_to(*ray.get(board.read.remote()))
            meter.__exit__(None, None, None)

    thread = threading.Thread(target=poll, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=10)
