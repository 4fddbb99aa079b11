"""The files in cluster/, as Ray's own loader reads them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

CLUSTER = Path(__file__).parents[2] / "cluster"
Launcher = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="session")
def launcher() -> Launcher:
    """cluster/NAME.yaml, filled out and checked by Ray as `ray up` does it."""

    def load(name: str) -> dict[str, Any]:
        prepared = prepare_config(copy.deepcopy(yaml.safe_load((CLUSTER / f"{name}.yaml").read_text())))
        validate_config(prepared)
        return dict(prepared)

    return load
