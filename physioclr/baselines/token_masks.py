"""Which tokens of a segment are masked, and which other masked tokens one is told apart from.

Shapes: S segments, N 156 tokens, M patches, K distractors.
"""

from __future__ import annotations

import torch
from torch import Tensor

from physioclr.baselines.draws import SegmentDraws


def patch_mask(tokens: int, patch: int, ratio: float, draws: SegmentDraws) -> Tensor:
    """bool [S, N]: a share `ratio` of the patches of `patch` tokens; the last patch may be shorter."""
    patches = -(-tokens // patch)
    chosen_SM = draws.uniform(patches).argsort(dim=1) < round(ratio * patches)
    return chosen_SM.repeat_interleave(patch, dim=1)[:, :tokens]


def span_mask(tokens: int, span: int, probability: float, draws: SegmentDraws) -> Tensor:
    """bool [S, N]: spans of `span` tokens, as many as are `probability` of the tokens; they may overlap (wav2vec 2.0).

    Two tokens are masked in every segment, at least, or there would be nothing to tell apart: with a span of one there
    are two spans or more.
    """
    starts = tokens - span + 1
    spans = min(max(round(probability * tokens / span), 2 if span == 1 else 1), starts)
    first_S = draws.uniform(starts).argsort(dim=1)[:, :spans]
    token_N = torch.arange(tokens, device=first_S.device)
    after_SKN = token_N - first_S[:, :, None]
    return ((after_SKN >= 0) & (after_SKN < span)).any(dim=1)


def distractors(mask_SN: Tensor, count: int, draws: SegmentDraws) -> Tensor:
    """For each token, `count` masked tokens of its own segment other than itself, drawn with return: int64 [S, N, K].

    What stands at tokens that are not masked means nothing. Each segment must have two masked tokens or more.
    """
    masked_S11 = mask_SN.sum(dim=1)[:, None, None]
    rank_SN1 = (mask_SN.long().cumsum(dim=1) - 1)[:, :, None]  # of a token among the masked ones
    drawn_SNK = (draws.uniform(mask_SN.shape[1], count) * (masked_S11 - 1)).long().clamp_max(masked_S11 - 2)
    drawn_SNK = drawn_SNK + (drawn_SNK >= rank_SN1)  # leaves out the token itself
    where_SN = mask_SN.logical_not().long().argsort(dim=1, stable=True)  # places of the masked ones, in order, first
    return where_SN.gather(1, drawn_SNK.flatten(1)).view_as(drawn_SNK)
