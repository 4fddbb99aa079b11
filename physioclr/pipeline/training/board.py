"""A small actor through which rank 0 tells the driver how far it is, without waiting for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayError
from ray.train import UserCallback
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from rich.console import Console

from physioclr.pipeline.progress import Meter
from physioclr.pipeline.training.metrics_log import Row

POLL_SECONDS = 1.0
BEGUN = "begun"  # kind of the row that says that the workers have started
STARTED, RESIZE, FAILURE, PREEMPTION = "start", "resize", "failure", "preemption"  # after what
Listener = Callable[[Row], None]  # is called with a row of kind BEGUN, and with the metrics row of each epoch


class Board:
    """Keeps the last word of the training workers, and rows: each start of theirs, and each finished epoch."""

    def __init__(self) -> None:
        self._samples, self._note = 0, ""
        self._rows: list[Row] = []
        self._cause: str | None = None

    def tell(self, samples: int, note: str) -> None:
        """Say how many samples are done and what to show beside them."""
        self._samples, self._note = samples, note

    def add(self, row: Row) -> None:
        """Say that an epoch is done and saved, with its metrics row."""
        self._rows.append(row)

    def blame(self, cause: str) -> None:
        """Say why the workers are about to be started anew. A notice counts for more than what follows from it."""
        if self._cause != PREEMPTION:
            self._cause = cause

    def begin(self, step: int, samples: int, workers: int) -> list[Row]:
        """Say that so many workers start at a step; all starts of this job, with what each was due to and has cost."""
        again = bool(self._starts())
        row: Row = {"kind": BEGUN, "step": step, "samples": samples, "workers": workers, "time": time.time()}
        row["after"] = (self._cause or RESIZE) if again else STARTED
        row["lost_samples"] = max(self._samples - samples, 0) if again else 0
        self._samples, self._cause = samples, None
        self._rows.append(row)
        return self._starts()

    def _starts(self) -> list[Row]:
        return [row for row in self._rows if row["kind"] == BEGUN]

    def read(self, rows: int) -> tuple[int, str, list[Row]]:
        """What was told last, and the rows after the first so many."""
        return self._samples, self._note, self._rows[rows:]


class Witness(UserCallback):
    """Tells the board, from Ray Train's controller, that workers have failed."""

    def __init__(self, board: Any) -> None:
        self._board = board

    def after_exception(self, run_context: Any, worker_exceptions: Any) -> None:
        """What Ray Train calls."""
        self._board.blame.remote(FAILURE)


def start() -> Any:
    """A board on this machine, so that it is lost with the job and not before; the handle can be given to workers."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, max_restarts=-1, scheduling_strategy=here)(Board).remote()


@contextmanager
def shown(board: Any, total: int, what: str, console: Console, listener: Listener | None = None) -> Iterator[None]:
    """Show the board as a progress meter, `what` before it, and tell `listener` each row, while the body runs."""
    stop = threading.Event()

    def poll() -> None:
        meter: Meter | None = None
        told, last = 0, False
        while not last:
            last = stop.wait(POLL_SECONDS)
            try:
                samples, note, rows = ray.get(board.read.remote(told))
            except RayError:  # what becomes of the run, training says
                continue
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
