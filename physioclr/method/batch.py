"""What one training step sees: the segments of a batch with what is known of each, on one device.

Shapes: S segments (two of each record), L 12 leads, T 2,500 samples, R R peaks, I intervals, K reduced features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from physioclr.ecg.record import SEGMENT_SAMPLES
from physioclr.features.columns import COLUMNS

LEAD_COUNT = 12
OPTIONAL = ("quality_S", "measures_SF")
PADDING = -1  # stands in `r_peaks` and `intervals` where a segment has fewer than the others


@dataclass(frozen=True, slots=True)
class SegmentBatch:
    """S = 2N segments of N records, in the order record 0 first half, record 0 second half, record 1 first half ...

    signal_SLT: float32 [S, 12, 2500], z-scored per lead over the 10 s record
    r_peaks_SR: int64 [S, R], sample index in the segment, ascending, padded with -1 at the end
    intervals_SI2: int64 [S, I, 2], P, QRS and T intervals [onset, offset), padded with -1
    features_SK: float32 [S, K], reduced; the rows without features may hold anything
    has_features_S: bool [S]
    record_S, patient_S: int64 [S], equal iff the record (patient) is the same, over the batches of all ranks
    quality_S: float32 [S], how sure the features are, 0 to 1, NaN where that is not known; or None
    measures_SF: float32 [S, 150], the features standardised and cut, 0 where missing; or None

    Every rank holds the same number of segments. Raises ValueError where the shapes contradict each other.
    """

    signal_SLT: Tensor
    r_peaks_SR: Tensor
    intervals_SI2: Tensor
    features_SK: Tensor
    has_features_S: Tensor
    record_S: Tensor
    patient_S: Tensor
    quality_S: Tensor | None = None
    measures_SF: Tensor | None = None

    def __post_init__(self) -> None:
        count = self.signal_SLT.shape[0]
        expected = {
            "signal_SLT": (count, LEAD_COUNT, SEGMENT_SAMPLES),
            "r_peaks_SR": (count, self.r_peaks_SR.shape[-1]),
            "intervals_SI2": (count, self.intervals_SI2.shape[1] if self.intervals_SI2.ndim == 3 else -1, 2),
            "features_SK": (count, self.features_SK.shape[-1]),
            "has_features_S": (count,),
            "record_S": (count,),
            "patient_S": (count,),
            "quality_S": (count,),
            "measures_SF": (count, len(COLUMNS)),
        }
        for name, shape in expected.items():
            if getattr(self, name) is None and name in OPTIONAL:
                continue
            found = tuple(getattr(self, name).shape)
            if found != shape:
                raise ValueError(f"SegmentBatch.{name} has shape {list(found)}; it must be {list(shape)}")

    def __len__(self) -> int:
        return self.signal_SLT.shape[0]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> SegmentBatch:
        """The same batch on another device."""
        return self._each(lambda values: values.to(device, non_blocking=non_blocking))

    def rows(self, first: int, last: int) -> SegmentBatch:
        """Segments first .. last - 1, for instance the part of one rank."""
        return self._each(lambda values: values[first:last])

    def _each(self, change: Callable[[Tensor], Tensor]) -> SegmentBatch:
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        changed: dict[str, Any] = {name: None if value is None else change(value) for name, value in values.items()}
        return SegmentBatch(**changed)
