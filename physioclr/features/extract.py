"""Features of a recording's two 5 s halves. Make one `FeatureExtractor` a process: it imports NeuroKit2 once.

Each half is cleaned and delineated alone, so that nothing in the features of one half comes from the other: the halves
are a positive pair, and a shared filter or baseline would tell them so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physioclr.config import FeatureConfig
from physioclr.ecg.leads import LEADS
from physioclr.ecg.record import FS, INT16_PER_UNIT, SEGMENT_SAMPLES
from physioclr.features.delineation import Delineation
from physioclr.features.measures import measure

PRINCIPAL = "pca"


@dataclass(frozen=True, slots=True)
class SegmentFeatures:
    """What is known of one 5 s half. Sample indices count from the half's own start.

    `features` float32 [150], NaN = missing; `status` a word of `delineation.STATUSES`; `r_peaks` int64 [B];
    `intervals` int64 [I, 3], the P (0), QRS (1) and T (2) waves as (kind, onset, offset).
    """

    features: NDArray[np.float32]
    status: str
    r_peaks: NDArray[np.int64]
    intervals: NDArray[np.int64]


class FeatureExtractor:
    """Callable: a standardised recording [12, 5000] to the features of its two halves."""

    def __init__(self, config: FeatureConfig | None = None) -> None:
        config = config or FeatureConfig()
        # Here, not above: NeuroKit2 takes seconds to import, and only the extractor needs it.
        from physioclr.features import neurokit

        self._clean: Callable[..., NDArray[np.float64]] = neurokit.clean
        self._delineate: Callable[..., Delineation] = neurokit.delineate
        self._lead = config.lead
        self._method = config.method

    def __call__(self, signal: NDArray[Any]) -> list[SegmentFeatures]:
        """Two `SegmentFeatures`, first half first.

        `signal` is [12, 5000] at 500 Hz, leads in the order of `ecg.leads.LEADS`: int16 in thousandths of the unit, or
        float in the unit itself. Bad signals give a status, never an error.
        """
        if signal.shape != (len(LEADS), 2 * SEGMENT_SAMPLES):
            raise ValueError(f"a recording is [12, {2 * SEGMENT_SAMPLES}], this one is {list(signal.shape)}")
        leads = signal.astype(np.float64)
        if np.issubdtype(signal.dtype, np.integer):
            leads /= INT16_PER_UNIT
        return [self._segment(half) for half in (leads[:, :SEGMENT_SAMPLES], leads[:, SEGMENT_SAMPLES:])]

    def _segment(self, leads: NDArray[np.float64]) -> SegmentFeatures:
        chosen = first_component(leads) if self._lead == PRINCIPAL else leads[LEADS.index(self._lead)]
        cleaned = self._clean(chosen, FS)
        found = self._delineate(cleaned, FS, self._method)
        return SegmentFeatures(measure(cleaned, found, FS), found.status, found.r_peaks, found.intervals())


def first_component(leads: NDArray[np.float64]) -> NDArray[np.float64]:
    """First principal component of leads [12, T] after each is standardised: float64 [T], the QRS upwards.

    Standardising gives each lead one vote, in mV and in normalised units alike. A component has no sign of its own:
    skewness decides, because QRS complexes are the tall and rare part of an ECG. Constant leads are left out.
    """
    deviation = leads.std(axis=1)
    varying = deviation > 0  # also false for a lead with NaN
    if not varying.any():
        return np.zeros(leads.shape[1])
    kept = leads[varying]
    scaled = (kept - kept.mean(axis=1, keepdims=True)) / deviation[varying, None]
    _, vectors = np.linalg.eigh(scaled @ scaled.T)
    component: NDArray[np.float64] = vectors[:, -1] @ scaled
    return component if (component**3).sum() >= 0 else -component
