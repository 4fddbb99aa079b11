"""From stored records to segments: int16 to z-scores, and the two halves that are the temporally adjacent pair, or two
segments that begin anywhere.

Shapes: N records, S = 2N segments, L leads, T samples.
"""

from __future__ import annotations

import torch
from torch import Tensor


def decode(signal_NLT: Tensor) -> Tensor:
    """z-score of each lead over its own record (arXiv 2509.08116, input): int16 [N, 12, 5000] -> float32, same shape.

    The deviation is the population's. A constant lead, which a prepared dataset never holds, becomes zeros.
    """
    # Against the lead's first sample first: exact in float32 for any int16, and a constant lead is then exactly zero.
    signal_NLT = signal_NLT.to(torch.float32)
    signal_NLT = signal_NLT - signal_NLT[..., :1]
    centred_NLT = signal_NLT - signal_NLT.mean(dim=-1, keepdim=True)
    deviation_NL1 = centred_NLT.square().mean(dim=-1, keepdim=True).sqrt()
    # 5,000 integers that are not all equal deviate by 0.014 at least, so the bound touches constant leads only.
    return centred_NLT / deviation_NL1.clamp_min(1e-3)


def halves(signal_NLT: Tensor) -> Tensor:
    """Both halves of each record, side by side: [N, L, T] -> [2N, L, T // 2]; T must be even (ValueError)."""
    records, leads, samples = signal_NLT.shape
    if samples % 2:
        raise ValueError(f"a record of {samples} samples has no two equal halves; give an even number of samples")
    return signal_NLT.reshape(records, leads, 2, samples // 2).transpose(1, 2).reshape(2 * records, leads, samples // 2)


def crops(signal_NLT: Tensor, start_S: Tensor) -> Tensor:
    """Two segments of each record, half as long as it is, side by side: [N, L, T] -> [2N, L, T // 2].

    start_S: int64 [2N], the first sample of each, 0 to T // 2. With 0 and T // 2 they are `halves`.
    """
    records, leads, samples = signal_NLT.shape
    within_ST = start_S[:, None] + torch.arange(samples // 2, device=signal_NLT.device)
    index_NL2T = within_ST.reshape(records, 1, -1).expand(-1, leads, -1)
    return signal_NLT.gather(2, index_NL2T).reshape(records, leads, 2, -1).transpose(1, 2).flatten(0, 1)
