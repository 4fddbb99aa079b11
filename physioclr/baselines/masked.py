"""Masked reconstruction: patches of time are hidden, and what was there is told from the rest.

The tokens of hidden patches become one learned vector before position and transformer, as in SimMIM (Xie et al. 2022,
arXiv 2111.09886), and PhysioCLR's decoder gives their samples; the error is over those alone (MAE, arXiv 2111.06377).
MAE leaves hidden tokens out of the encoder, which a convolutional position over neighbours does not allow. The group
norm of the convolutions sees the whole segment: mean and deviation of a channel over time are not hidden.

Shapes: S segments, N 156 tokens, W width, L 12 leads, T 2,500 samples.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from physioclr.baselines.config import MaskedMethod
from physioclr.baselines.draws import SegmentDraws
from physioclr.baselines.objective import Baseline, mean_over_ranks, over_ranks
from physioclr.baselines.token_masks import patch_mask
from physioclr.config import ModelConfig
from physioclr.ecg.record import SEGMENT_SAMPLES
from physioclr.method.batch import SegmentBatch
from physioclr.method.decoder import TAIL_SAMPLES, Decoder
from physioclr.method.encoder import SAMPLES_PER_TOKEN, TOKENS
from physioclr.method.gather import world
from physioclr.method.objective import ObjectiveOutput


def samples_of(mask_SN: Tensor) -> Tensor:
    """The samples that masked tokens stand for, bool [S, 2500]; the last 4 go with the last token, as in decoding."""
    return functional.pad(mask_SN.repeat_interleave(SAMPLES_PER_TOKEN, dim=1), (0, TAIL_SAMPLES)) | _tail(mask_SN)


def _tail(mask_SN: Tensor) -> Tensor:
    place_T = torch.arange(SEGMENT_SAMPLES, device=mask_SN.device)
    return mask_SN[:, -1:] & (place_T >= TOKENS * SAMPLES_PER_TOKEN)


class MaskedReconstruction(Baseline):
    """Encoder, mask token and decoder.

    `terms`: loss, the mean squared error of hidden samples (1 is about what zeros give); masked: share of samples.
    """

    def __init__(self, model: ModelConfig, method: MaskedMethod) -> None:
        super().__init__(model)
        self.method = method
        self.decoder = Decoder(self.encoder.width)
        self.mask_token = nn.Parameter(torch.randn(self.encoder.width) * 0.02)

    def forward(self, batch: SegmentBatch, generator: torch.Generator | None = None) -> ObjectiveOutput:
        here, signal_SLT = world(), batch.signal_SLT
        draws = SegmentDraws(len(batch), generator, signal_SLT.device)
        mask_SN = patch_mask(TOKENS, self.method.patch_tokens, self.method.ratio, draws)
        tokens_SNW = self.encoder.local(signal_SLT)
        tokens_SNW = torch.where(mask_SN[:, :, None], self.mask_token.to(tokens_SNW.dtype), tokens_SNW)
        decoded_SLT = self.decoder(self.encoder.contextualise(tokens_SNW))

        hidden_ST = samples_of(mask_SN)
        error_ST = (decoded_SLT.float() - signal_SLT.float()).square().mean(dim=1)
        loss = mean_over_ranks(torch.where(hidden_ST, error_ST, 0.0), hidden_ST, here)
        return ObjectiveOutput(loss, over_ranks({"loss": loss, "masked": hidden_ST.float().mean()}, here))
