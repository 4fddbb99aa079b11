"""The decoder (arXiv 2509.08116, network): each token by itself, through a 3-layer MLP, back to its own samples.

156 tokens of 16 samples are 2,496. [D] The last token also gives the 4 samples after it, through a last layer of its
own, so that all 2,500 samples are decoded and no error is measured against samples that nothing could reach.

Shapes: S segments, N 156 tokens, W width, L 12 leads, T 2,500 samples.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from physioclr.ecg.record import SEGMENT_SAMPLES
from physioclr.method.batch import LEAD_COUNT
from physioclr.method.encoder import SAMPLES_PER_TOKEN, TOKENS

TAIL_SAMPLES = SEGMENT_SAMPLES - TOKENS * SAMPLES_PER_TOKEN


class Decoder(nn.Module):
    """Tokens [S, 156, width] to the segment [S, 12, 2500]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width), nn.GELU())
        self.samples = nn.Linear(width, LEAD_COUNT * SAMPLES_PER_TOKEN)
        self.tail = nn.Linear(width, LEAD_COUNT * TAIL_SAMPLES)

    def forward(self, tokens_SNW: Tensor) -> Tensor:
        """z-scores of the segment; the samples of token n are 16 n .. 16 n + 15."""
        hidden_SNW = self.hidden(tokens_SNW)
        samples = self.samples(hidden_SNW).unflatten(2, (LEAD_COUNT, SAMPLES_PER_TOKEN))
        body_SLT = samples.transpose(1, 2).flatten(2)
        tail_SLT = self.tail(hidden_SNW[:, -1]).unflatten(1, (LEAD_COUNT, TAIL_SAMPLES))
        return torch.cat((body_SLT, tail_SLT), dim=2)
