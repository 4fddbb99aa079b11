"""A Ray actor that measures features and does nothing else. Apart, so that its process imports little."""

from __future__ import annotations

import os
from typing import Any

from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from physioclr.config import FeatureConfig
from physioclr.features.extract import FeatureExtractor


class FeatureWorker:
    """Measures recordings with one thread on a core of its own: the `number`-th, where the system can pin it."""

    def __init__(self, config: FeatureConfig, number: int, at_once: int) -> None:
        threadpool_limits(1)
        self._pinned = hasattr(os, "sched_setaffinity")
        if self._pinned:
            cores = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {cores[number % len(cores)]})
        self._extract = FeatureExtractor(config)
        self._at_once = at_once

    def measure(self, signals: NDArray[Any]) -> bool:
        """Recordings [n, 12, 5000], a part at a time as prepare does it; returns whether this process is pinned.

        Nothing else is sent back: a worker writes its features itself.
        """
        for start in range(0, len(signals), self._at_once):
            self._extract(signals[start : start + self._at_once])
        return self._pinned
