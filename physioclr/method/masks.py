"""Which samples the peak reconstruction looks at: the P, QRS and T waves (arXiv 2509.08116, loss).

Shapes: S segments, T samples, R R peaks, I intervals.
"""

from __future__ import annotations

import torch
from torch import Tensor

from physioclr.ecg.record import FS

# [D] Where no wave was delineated: this much around each R peak, about where P, QRS and T lie at a resting rate.
BEFORE_R = FS * 200 // 1000
AFTER_R = FS * 400 // 1000


def interval_mask(intervals_SI2: Tensor, samples: int) -> Tensor:
    """Samples inside at least one interval [onset, offset): bool [S, T]. Padding and empty intervals cover nothing."""
    is_there_SI = (intervals_SI2[..., 1] > intervals_SI2[..., 0]) & (intervals_SI2[..., 1] > 0)
    bounds_SI2 = intervals_SI2.clamp(0, samples)
    step_SI = is_there_SI.to(torch.int32)
    change_ST = torch.zeros(intervals_SI2.shape[0], samples + 1, dtype=torch.int32, device=intervals_SI2.device)
    change_ST = change_ST.scatter_add(1, bounds_SI2[..., 0], step_SI).scatter_add(1, bounds_SI2[..., 1], -step_SI)
    return change_ST.cumsum(dim=1)[:, :samples] > 0


def windows_around(r_peaks_SR: Tensor) -> Tensor:
    """[R - 200 ms, R + 400 ms) for each R peak, as intervals int64 [S, R, 2]; padding stays padding."""
    windows_SR2 = torch.stack((r_peaks_SR - BEFORE_R, r_peaks_SR + AFTER_R), dim=-1)
    return torch.where(r_peaks_SR[..., None] >= 0, windows_SR2, -1)


def peak_mask(intervals_SI2: Tensor, r_peaks_SR: Tensor, samples: int) -> Tensor:
    """bool [S, T]: the P, QRS and T intervals; windows around the R peaks in a segment that has no interval; nothing at
    all in a segment that has no R peak either (its peak reconstruction is skipped and counted).
    """
    waves_ST = interval_mask(intervals_SI2, samples)
    around_ST = interval_mask(windows_around(r_peaks_SR), samples)
    return torch.where(waves_ST.any(dim=1, keepdim=True), waves_ST, around_ST)
