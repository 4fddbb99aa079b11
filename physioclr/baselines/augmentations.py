"""What recordings suffer from, put on z-scored segments: powerline, muscle noise, baseline wander, leads that fell off.

After the perturbations with which SimCLR is compared in Oh et al. 2022 (arXiv 2203.06889). Each function takes the
signals [S, 12, T] (standard deviations of each lead, 500 Hz), a strength, and the draws of their segments, and gives
signals of the same shape. Strength 0 changes nothing. A noise's strength is the largest amplitude that is drawn, in
standard deviations of the lead; each lead draws its own, since z-scoring has taken away how the leads' are related.

Shapes: S segments, L leads, T samples, K waves.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from physioclr.baselines.draws import SegmentDraws
from physioclr.ecg.record import FS

POWERLINE_HZ = (50.0, 60.0)  # Europe, Africa, most of Asia; the Americas
WANDER_HZ = (0.01, 0.2)
WANDER_WAVES = 3


def powerline(signal_SLT: Tensor, strength: float, draws: SegmentDraws) -> Tensor:
    """A sine of 50 or 60 Hz, one frequency and phase a segment, one amplitude a lead, uniform up to `strength`."""
    which_S1, phase_S1 = draws.uniform(2, 1).unbind(dim=1)
    frequency_S1 = torch.where(which_S1 < 0.5, *POWERLINE_HZ)
    sine_ST = torch.sin(2 * math.pi * (frequency_S1 * _seconds(signal_SLT) + phase_S1))
    return signal_SLT + _amplitude(signal_SLT, strength, draws) * sine_ST[:, None, :]


def muscle(signal_SLT: Tensor, strength: float, draws: SegmentDraws) -> Tensor:
    """White noise, each lead its own, with a deviation uniform up to `strength`."""
    amplitude_SL1 = _amplitude(signal_SLT, strength, draws)
    return signal_SLT + amplitude_SL1 * draws.normal(*signal_SLT.shape[1:])


def wander(signal_SLT: Tensor, strength: float, draws: SegmentDraws) -> Tensor:
    """Three slow waves (0.01 to 0.2 Hz) a segment, with an amplitude of their own in each lead, up to `strength`."""
    place_SK1, phase_SK1 = draws.uniform(2, WANDER_WAVES, 1).unbind(dim=1)
    low, high = WANDER_HZ
    frequency_SK1 = low + (high - low) * place_SK1
    waves_SKT = torch.sin(2 * math.pi * (frequency_SK1 * _seconds(signal_SLT) + phase_SK1))
    amplitude_SLK = strength * draws.uniform(signal_SLT.shape[1], WANDER_WAVES)
    return signal_SLT + amplitude_SLK @ waves_SKT


def mask_leads(signal_SLT: Tensor, strength: float, draws: SegmentDraws) -> Tensor:
    """Each lead is zero with probability `strength`. [D] At least one stays: the one that was drawn highest."""
    draw_SL1 = draws.uniform(signal_SLT.shape[1], 1)
    stays_SL1 = (draw_SL1 >= strength) | (draw_SL1 == draw_SL1.amax(dim=1, keepdim=True))
    return torch.where(stays_SL1, signal_SLT, 0.0)


def mask_time(signal_SLT: Tensor, strength: float, draws: SegmentDraws) -> Tensor:
    """A share `strength` of each lead is zero, in one window that begins anywhere and goes on at the start (3KG)."""
    samples = signal_SLT.shape[-1]
    start_SL1 = (draws.uniform(signal_SLT.shape[1], 1) * samples).long()
    time_T = torch.arange(samples, device=signal_SLT.device)
    inside_SLT = (time_T - start_SL1) % samples < math.floor(strength * samples)
    return torch.where(inside_SLT, 0.0, signal_SLT)


def _seconds(signal_SLT: Tensor) -> Tensor:
    return torch.arange(signal_SLT.shape[-1], device=signal_SLT.device) / FS


def _amplitude(signal_SLT: Tensor, strength: float, draws: SegmentDraws) -> Tensor:
    """Uniform in [0, strength), float32 [S, L, 1]."""
    return strength * draws.uniform(signal_SLT.shape[1], 1)
