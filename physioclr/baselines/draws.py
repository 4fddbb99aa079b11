"""Random numbers that belong to segments: whichever rank holds a segment, it gets the same ones.

Drawing all numbers for the batch of all ranks and cutting out one's own, as beat shuffling does, is too much here: a
noise has as many numbers as the signal. So one seed is drawn for each segment of the global batch, and a segment's
numbers come from a generator of its own, on the device where they are needed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from physioclr.method.gather import world
from physioclr.method.uncompiled import uncompiled

_SEEDS = 2**63 - 1


class SegmentDraws:
    """Draws for the segments of this rank; each call gives the next numbers of every segment.

    segments: how many this rank holds, the same on every rank.
    generator: a CPU generator in the same state on every rank (torch's own without one); it gives one number for each
    segment of the global batch.
    device: where numbers are drawn. Another kind of device gives other numbers.
    """

    @uncompiled
    def __init__(self, segments: int, generator: torch.Generator | None, device: torch.device | str = "cpu") -> None:
        here = world()
        seeds = torch.randint(_SEEDS, (here.size * segments,), generator=generator)
        own = seeds[here.rank * segments : (here.rank + 1) * segments].tolist()
        self.device = torch.device(device)
        self._generators = [torch.Generator(self.device).manual_seed(seed) for seed in own]

    @uncompiled
    def uniform(self, *shape: int) -> Tensor:
        """float32 [segments, *shape] in [0, 1)."""
        drawn = torch.empty(len(self._generators), *shape, device=self.device)
        for row, generator in zip(drawn, self._generators, strict=True):
            row.uniform_(generator=generator)
        return drawn

    @uncompiled
    def normal(self, *shape: int) -> Tensor:
        """float32 [segments, *shape] of mean 0 and deviation 1."""
        drawn = torch.empty(len(self._generators), *shape, device=self.device)
        for row, generator in zip(drawn, self._generators, strict=True):
            row.normal_(generator=generator)
        return drawn
