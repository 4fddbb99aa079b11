"""What tests of the method and of the baselines train."""

from __future__ import annotations

from physioclr.config import ModelConfig

# Of the encoder's shape, as small as each part may be. Without dropout, so that two ways to compute the same agree.
SMALL = ModelConfig(
    dropout=0.0,
    conv_channels=8,
    width=16,
    depth=1,
    heads=2,
    feedforward=16,
    position_kernel=8,
    position_groups=2,
    projection=8,
)
