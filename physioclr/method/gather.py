"""The batches of all ranks joined, with gradient, so that pairs are over the global batch and not one GPU's.

Every rank must give the same number of rows. Without torch.distributed, or with one rank, all of it is the identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed

from physioclr.method.uncompiled import uncompiled


@dataclass(frozen=True, slots=True)
class World:
    """This rank and the number of ranks."""

    rank: int
    size: int


def world() -> World:
    """Where this process stands: rank 0 of 1 when torch.distributed was not initialised."""
    if distributed.is_available() and distributed.is_initialized():
        return World(distributed.get_rank(), distributed.get_world_size())
    return World(0, 1)


class _Gather(torch.autograd.Function):
    """Forward: all ranks' rows, in the order of the ranks. Backward: all ranks' gradients of the own rows, summed."""

    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        parts = [torch.empty_like(local) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, local.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].clone(memory_format=torch.contiguous_format)  # reduced in place
        distributed.all_reduce(gradient)
        return gradient.chunk(distributed.get_world_size())[distributed.get_rank()]


def gather(local: Tensor) -> Tensor:
    """Rows of all ranks, [X, ...] -> [ranks * X, ...]. A loss of any rank reaches the rows of every rank."""
    if world().size == 1:
        return local
    gathered: Tensor = _gather_compiled_apart(local)
    return gathered


@uncompiled
def _gather_compiled_apart(local: Tensor) -> Any:
    return _Gather.apply(local.contiguous())


@uncompiled
def _all_reduce(values: Tensor) -> None:
    distributed.all_reduce(values)


def reduce_sum(values: Tensor) -> Tensor:
    """Sum over the ranks, without gradient."""
    values = values.detach()
    if world().size > 1:
        values = values.clone()
        _all_reduce(values)
    return values
