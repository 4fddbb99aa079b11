"""The three sizes of the network. `base` is the paper's (arXiv 2509.08116, network); the smaller ones are ours [D].

`tiny` is for a laptop without a GPU, `small` for one GPU and an afternoon.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from physioclr.config import ModelConfig
from physioclr.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Sizes:
    """Every dimension of the network. The names are those of `ModelConfig`."""

    conv_channels: int
    width: int
    depth: int
    heads: int
    feedforward: int
    position_kernel: int
    position_groups: int
    projection: int


SIZES = {
    "tiny": Sizes(
        conv_channels=32,
        width=96,
        depth=2,
        heads=4,
        feedforward=256,
        position_kernel=32,
        position_groups=8,
        projection=64,
    ),
    "small": Sizes(
        conv_channels=128,
        width=256,
        depth=6,
        heads=8,
        feedforward=1024,
        position_kernel=64,
        position_groups=16,
        projection=128,
    ),
    "base": Sizes(
        conv_channels=256,
        width=768,
        depth=12,
        heads=8,
        feedforward=3072,
        position_kernel=128,
        position_groups=16,
        projection=256,
    ),
}


def resolve(model: ModelConfig) -> Sizes:
    """The dimensions of `model.size`, less those that `model` sets itself.

    Raises ConfigError where the width cannot be shared among the attention heads or the groups of the position.
    """
    chosen = SIZES[model.size]
    values = {}
    for field in fields(Sizes):
        own = getattr(model, field.name)
        values[field.name] = getattr(chosen, field.name) if own is None else own
    for name in ("heads", "position_groups"):
        if values["width"] % values[name]:
            raise ConfigError(
                f"model.width {values['width']} cannot be shared by model.{name} {values[name]}; make it a multiple"
            )
    return Sizes(**values)
