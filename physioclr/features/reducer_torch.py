"""`Reducer.transform` on the training device. S segments, F features, K components."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def standardise_on_device(features_SF: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
    """Features, and marks of missing ones behind them, standardised, filled and cut: float32 [S, F + marks].

    `tensors` is `Reducer.tensors()` moved to the device of `features_SF` (float32, NaN = missing).
    """
    marks = torch.isnan(features_SF[:, tensors["marked"]]).to(features_SF.dtype)
    scaled = (torch.cat((features_SF, marks), dim=1) - tensors["mean"]) / tensors["scale"]
    filled = torch.nan_to_num(scaled, nan=0.0)
    return filled.clamp(-tensors["clip"], tensors["clip"])


def project_on_device(standard_SF: Tensor, usable_S: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
    """What `standardise_on_device` gave, on the principal components: float32 [S, K].

    `usable_S` (bool) says which rows have a usable status; the others get zeros.
    """
    reduced_SK = (standard_SF - tensors["centre"]) @ tensors["components"].T
    return torch.where(usable_S[:, None], reduced_SK, torch.zeros_like(reduced_SK))
