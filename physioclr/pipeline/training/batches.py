"""A grain of stored samples to what the method sees, on the training device and without a loop over samples."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from physioclr.features.reducer_torch import project_on_device, standardise_on_device
from physioclr.method.batch import SegmentBatch
from physioclr.method.views import decode, halves
from physioclr.pipeline.pretrain.pairing import random_features
from physioclr.pipeline.training.packing import Grain


def reducer_tensors(arrays: Mapping[str, np.ndarray], device: torch.device) -> dict[str, Tensor]:
    """`Reducer.tensors()`, or those of a `Pairing`, on the training device."""
    return {name: torch.as_tensor(np.array(value), device=device) for name, value in arrays.items()}


def to_segments(grain: Grain, reducer: Mapping[str, Tensor], device: torch.device) -> SegmentBatch:
    """A grain of n recordings as 2n segments on `device`: decoded, z-scored, features reduced (or ablated, as the
    tensors of a `Pairing` say). All in float32, also under autocast, or rounding would move pairs across delta."""

    def move(array: np.ndarray) -> Tensor:
        return to_device(array, device)

    features_SF = move(grain.features).flatten(0, 1)
    if "dropped" in reducer:
        features_SF = features_SF.index_fill(1, reducer["dropped"], torch.nan)
    with torch.autocast(device.type, enabled=False):
        standard_SF, usable_S = standardise_on_device(features_SF, reducer), move(grain.usable).flatten().bool()
        features_SK = project_on_device(standard_SF, usable_S, reducer)
        if "spread" in reducer:
            features_SK = random_features(grain.record, grain.patient, int(reducer["seed"]), reducer["spread"])
            standard_SF = features_SK @ reducer["components"] + reducer["centre"]  # for a learned similarity
    return SegmentBatch(
        signal_SLT=segments_of(grain.signal, device),
        r_peaks_SR=move(grain.r_peaks).flatten(0, 1).long(),
        intervals_SI2=move(grain.intervals).flatten(0, 1).long(),
        features_SK=features_SK,
        has_features_S=usable_S,
        record_S=move(grain.record).repeat_interleave(2),
        patient_S=move(grain.patient).repeat_interleave(2),
        quality_S=move(grain.quality).flatten(),
        measures_SF=standard_SF[:, : features_SF.shape[1]],
    )


def segments_of(signal: np.ndarray, device: torch.device) -> Tensor:
    """Stored signals int16 [n, 12, 5000] as segments float32 [2n, 12, 2500] on `device`: decoded and z-scored."""
    return halves(decode(to_device(signal, device)))


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """An array on the device, without waiting for the transfer."""
    tensor = torch.from_numpy(array if array.flags.writeable else array.copy())
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
