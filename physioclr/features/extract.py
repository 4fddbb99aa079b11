"""Features of the two 5 s halves of recordings. Make one `FeatureExtractor` a process: an engine may be slow to import.

Each half is cleaned and delineated alone, so that nothing in the features of one half comes from the other: the halves
are a positive pair, and a shared filter or baseline would tell them so. Many recordings at once are only faster: what
comes out for one does not depend on the others, to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physioclr.config import FeatureConfig
from physioclr.ecg.leads import LEADS
from physioclr.ecg.record import FS, INT16_PER_UNIT, SEGMENT_SAMPLES
from physioclr.features.batched.engine import BatchedEngine
from physioclr.features.engine import Engine
from physioclr.features.measures import measure


@dataclass(frozen=True, slots=True)
class SegmentFeatures:
    """What is known of one 5 s half. Sample indices count from the half's own start.

    `features` float32 [150], NaN = missing; `status` a word of `delineation.STATUSES`; `r_peaks` int64 [B];
    `intervals` int64 [I, 3], the P (0), QRS (1) and T (2) waves as (kind, onset, offset); `quality` as in
    `engine.Found`, NaN where the engine has none.
    """

    features: NDArray[np.float32]
    status: str
    r_peaks: NDArray[np.int64]
    intervals: NDArray[np.int64]
    quality: float


class FeatureExtractor:
    """Callable: standardised recordings [n, 12, 5000] to the features of the two halves of each."""

    def __init__(self, config: FeatureConfig | None = None) -> None:
        self._engine = _open_engine(config or FeatureConfig())

    def __call__(self, signals: NDArray[Any]) -> list[tuple[SegmentFeatures, SegmentFeatures]]:
        """n pairs of `SegmentFeatures`, first half first.

        `signals` is [n, 12, 5000] at 500 Hz, leads in the order of `ecg.leads.LEADS`: int16 in thousandths of the unit,
        or float in the unit itself. Bad signals give a status, never an error. Takes memory in proportion to n.
        """
        if signals.shape[1:] != (len(LEADS), 2 * SEGMENT_SAMPLES):
            raise ValueError(f"recordings are [n, 12, {2 * SEGMENT_SAMPLES}], these are {list(signals.shape)}")
        found = self._engine(_halves(signals), FS)
        d = found.delineation
        features = measure(found.signal, d, FS)
        halves = [
            SegmentFeatures(row, status, d.r_peaks[start:stop], d.intervals(i), quality)
            for i, (row, status, start, stop, quality) in enumerate(
                zip(features, d.status, d.bounds[:-1], d.bounds[1:], found.quality.tolist(), strict=True)
            )
        ]
        return list(zip(halves[::2], halves[1::2], strict=True))


def _open_engine(config: FeatureConfig) -> Engine:
    if config.engine == "batched":
        return BatchedEngine(config)
    # Here, not above: NeuroKit2 takes seconds to import, and only this engine needs it.
    from physioclr.features.neurokit import NeuroKitEngine

    return NeuroKitEngine(config)


def _halves(signals: NDArray[Any]) -> NDArray[np.float32]:
    """Recordings [n, 12, 5000] to segments float32 [2n, 12, 2500] in the unit, a recording's halves side by side."""
    parted = signals.reshape(len(signals), len(LEADS), 2, SEGMENT_SAMPLES).swapaxes(1, 2).astype(np.float32, order="C")
    if np.issubdtype(signals.dtype, np.integer):
        parted *= np.float32(1.0 / INT16_PER_UNIT)
    return parted.reshape(2 * len(signals), len(LEADS), SEGMENT_SAMPLES)
