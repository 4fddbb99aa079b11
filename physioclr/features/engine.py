"""What finds the waves: the one interface of every engine. `extract.py` calls it, `measures.py` reads its findings.

Shapes: n segments, T samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from physioclr.features.delineation import Delineation


@dataclass(frozen=True, eq=False)
class Found:
    """What an engine found in n segments.

    `signal` float64 [n, T] is the cleaned lead, or combination of leads, to be measured, in the unit of the segments
    (a lead) or in standard deviations (the principal component). `quality` float64 [n] is from 0, unusable, to 1; NaN
    where the engine has none.
    """

    signal: NDArray[np.float64]
    delineation: Delineation
    quality: NDArray[np.float64]


class Engine(Protocol):
    """Finds the beats and waves of segments. What it says of one must not depend on the others, to the last bit."""

    def __call__(self, segments: NDArray[np.floating[Any]], fs: int) -> Found:
        """`segments` is [n, 12, T] at `fs` Hz, leads in the order of `ecg.leads.LEADS`, n from 0 on.

        Bad signals (flat, missing, noise) give a status, never an error.
        """
        ...
