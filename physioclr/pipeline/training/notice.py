"""What the workers do when a machine of theirs is to be taken away: a checkpoint at once, and one just before.

Ray Train knows of it (a cloud's spot notice drains the node) and starts the workers anew at the deadline.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import ray.train
import torch
import torch.distributed as dist

ASK_SECONDS = 2.0  # how often Ray is asked, which takes all workers a call to another process
NO_DEADLINE_SECONDS = 120.0  # what Ray Train waits where no deadline was told
LAST_SECONDS = 10.0  # before the deadline the last checkpoint is begun, or earlier where checkpoints take long
NOTHING, ASK, LAST = 0.0, 1.0, 2.0


class Notice:
    """Says when a checkpoint is due, at the same step to all workers: rank 0's clock decides."""

    def __init__(self, rank: int, world: int, device: torch.device) -> None:
        self._rank, self._world, self._device = rank, world, device
        self._asked = time.monotonic()
        self._deadlines: set[int | None] = set()
        self._last: float | None = None  # when the last checkpoint is due, by the wall clock
        self._saving = 0.0

    def due(self) -> bool:
        """Whether to write a checkpoint now. All workers must ask, after each step."""
        signal = self._shared(self._signal() if self._rank == 0 else NOTHING)
        if signal == ASK:
            return self._news()
        return signal == LAST

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Around the writing of a checkpoint: the last one is begun early enough."""
        started = time.monotonic()
        yield
        self._saving = max(self._saving, time.monotonic() - started)

    def _signal(self) -> float:
        if self._last is not None and time.time() >= self._last - max(LAST_SECONDS, 2 * self._saving):
            self._last = None
            return LAST
        if time.monotonic() - self._asked < ASK_SECONDS:
            return NOTHING
        self._asked = time.monotonic()
        return ASK

    def _shared(self, signal: float) -> float:
        if self._world == 1:
            return signal
        told = torch.tensor(signal, device=self._device)
        dist.broadcast(told, 0)
        return float(told)

    def _news(self) -> bool:
        info = ray.train.get_preemption_info()
        if info is None or info.deadline_ms in self._deadlines:
            return False
        self._deadlines.add(info.deadline_ms)
        self._last = info.deadline_ms / 1000 if info.deadline_ms else time.time() + NO_DEADLINE_SECONDS
        return True
