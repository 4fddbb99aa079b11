"""The two reconstruction terms (arXiv 2509.08116, loss), a value for each segment.

Shapes: S segments, L 12 leads, T 2,500 samples.
"""

from __future__ import annotations

import torch
from torch import Tensor


def reconstruction_rows(decoded_SLT: Tensor, signal_SLT: Tensor, mask_ST: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """L_global [S] and L_peak [S] of each segment, float32, and bool [S]: has a mask.

    L_global is the mean squared error over leads and samples. L_peak is the same over the samples of `mask_ST` (bool
    [S, T]) alone: the error within, divided by the leads times the size of the mask; 0 in a segment without one.
    """
    error_ST = (decoded_SLT.float() - signal_SLT.float()).square().mean(dim=1)
    size_S = mask_ST.sum(dim=1)
    peak_S = torch.where(mask_ST, error_ST, 0.0).sum(dim=1) / size_S.clamp_min(1)
    return error_ST.mean(dim=1), peak_S, size_S > 0
