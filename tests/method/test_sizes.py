from __future__ import annotations

import pytest

from physioclr.config import ModelConfig
from physioclr.errors import ConfigError
from physioclr.method.sizes import SIZES, resolve


def test_base_is_the_papers_network() -> None:
    base = resolve(ModelConfig(size="base"))
    assert (base.conv_channels, base.width, base.depth, base.heads) == (256, 768, 12, 8)
    assert (base.feedforward, base.position_kernel, base.position_groups, base.projection) == (3072, 128, 16, 256)


@pytest.mark.parametrize("size", ["tiny", "small", "base"])
def test_what_the_configuration_sets_wins(size: str) -> None:
    changed = resolve(ModelConfig(size=size, depth=1, projection=7))  # type: ignore[arg-type]
    assert (changed.depth, changed.projection) == (1, 7)
    assert changed.width == SIZES[size].width


@pytest.mark.parametrize("name", ["heads", "position_groups"])
def test_a_width_that_cannot_be_shared_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"model\.width 96 .* model\.{name} 7"):
        resolve(ModelConfig.model_validate({name: 7}))
