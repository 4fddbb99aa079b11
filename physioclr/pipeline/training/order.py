"""The order in which training sees its rows: a pure function of the seed, the pass and the dataset.

Row groups are permuted, and the rows of a window of neighbouring groups are mixed. So a pass reads every row group
about once and in one piece, and still gives well-mixed batches: there is no shuffle of the archive.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

_SEVERAL_PASSES = 512  # samples that one task reads, 61 MB of signals


@dataclass(frozen=True)
class Plan:
    """Every sample of a run, in order. Positions count over all epochs; each epoch holds whole batches only.

    `group_rows` are the training rows in each row group that has any, `mix` is how many groups are mixed together. An
    epoch goes over the rows `passes` times, each time in another order.
    """

    group_rows: tuple[int, ...]
    batch_size: int
    epochs: int
    mix: int
    seed: int
    passes: int = 1

    @cached_property
    def steps_per_epoch(self) -> int:
        """Optimiser steps in an epoch. The rows beyond the last whole batch wait for another epoch's order."""
        return self.passes * sum(self.group_rows) // self.batch_size

    @property
    def epoch_samples(self) -> int:
        """Samples seen in an epoch."""
        return self.steps_per_epoch * self.batch_size

    @property
    def samples(self) -> int:
        """Samples seen in the run."""
        return self.epochs * self.epoch_samples

    def rows(self, start: int, stop: int) -> NDArray[np.int64]:
        """Training row at each position in [start, stop), which must lie in one epoch."""
        epoch, offset = divmod(start, self.epoch_samples)
        rows = sum(self.group_rows)
        last = offset + stop - start
        parts = []
        for one in range(offset // rows, -(-last // rows)):
            order = pass_order(self.group_rows, self.mix, self.seed, epoch * self.passes + one)
            parts.append(order[max(offset - one * rows, 0) : last - one * rows])
        return np.concatenate(parts)

    def spans(self, start: int, grain: int) -> Iterator[tuple[int, int]]:
        """The positions from `start` to the run's end, cut into what one task reads: about a window of row groups, and
        of few rows several passes, as each task reads their row groups anew.

        Every span is a multiple of `grain` samples (one worker's share of a micro-batch) and lies in one epoch.
        """
        window = max(sum(self.group_rows) * self.mix // max(len(self.group_rows), 1), grain)
        if self.passes > 1:
            window = max(window, _SEVERAL_PASSES)
        step = window // grain * grain
        while start < self.samples:
            epoch_end = (start // self.epoch_samples + 1) * self.epoch_samples
            stop = min(start + step, epoch_end)
            yield start, stop
            start = stop


@lru_cache(maxsize=2)
def pass_order(group_rows: tuple[int, ...], mix: int, seed: int, number: int) -> NDArray[np.int64]:
    """A permutation of all rows: groups permuted, then rows mixed inside each window of `mix` groups. `number` counts
    the passes from the run's beginning."""
    rng = np.random.default_rng([seed, number])
    sizes = np.asarray(group_rows, dtype=np.int64)
    starts = np.cumsum(sizes) - sizes
    groups = rng.permutation(len(sizes))
    window = np.repeat(np.arange(len(groups)) // mix, sizes[groups])
    first = np.repeat(starts[groups], sizes[groups])
    inside = np.arange(len(first)) - np.repeat(np.cumsum(sizes[groups]) - sizes[groups], sizes[groups])
    rows = first + inside
    order: NDArray[np.int64] = rows[np.lexsort((rng.random(len(rows)), window))]
    order.setflags(write=False)
    return order
