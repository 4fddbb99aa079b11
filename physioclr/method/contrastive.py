"""The contrastive term (arXiv 2509.08116, loss), a value for each anchor, in both forms.

- `released`: -log sum_P exp(s_p / tau) + log sum_N exp(s_n / tau), as in the authors' scripts. One easy positive
  satisfies it, and nothing bounds it from below.
- `supcon` [D]: mean over P of -log(exp(s_p / tau) / (exp(s_p / tau) + sum_N exp(s_n / tau))), in the manner of
  supervised contrastive learning (arXiv 2004.11362): every positive counts, and zero is the lower bound.

An anchor without positives or without negatives has no value: it is marked, and left out of the mean.

Shapes: S anchors, G originals of the global batch, C = G + 1 candidates (the last is the anchor's view), D dimensions.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from physioclr.method.pairs import Pairs


def cosines(anchors_SD: Tensor, originals_GD: Tensor, views_SD: Tensor) -> Tensor:
    """Similarity of unit vectors, float32 [S, G + 1]: each anchor with all originals, and with its own view."""
    with torch.autocast(anchors_SD.device.type, enabled=False):
        originals_SG = anchors_SD.float() @ originals_GD.float().T
        view_S1 = (anchors_SD.float() * views_SD.float()).sum(dim=1, keepdim=True)
        return torch.cat((originals_SG, view_S1), dim=1)


def masks(pairs: Pairs) -> tuple[Tensor, Tensor]:
    """Positives and negatives over all candidates, bool [S, G + 1]; a view is never a negative, and a pair that weighs
    nothing is neither."""
    positive_SG, negative_SG = pairs.positive_SG, pairs.negative_SG
    if pairs.weights is not None:
        positive_SG, negative_SG = positive_SG & (pairs.weights[0] > 0), negative_SG & (pairs.weights[1] > 0)
    view_S1 = pairs.view_S[:, None]
    positive_SC = torch.cat((positive_SG, view_S1), dim=1)
    negative_SC = torch.cat((negative_SG, torch.zeros_like(view_S1)), dim=1)
    return positive_SC, negative_SC


def pair_weights(pairs: Pairs) -> tuple[Tensor, Tensor] | None:
    """Weights of positives and negatives over all candidates, float32 [S, G + 1]; a view weighs 1."""
    if pairs.weights is None:
        return None
    view_S1 = torch.ones_like(pairs.weights[0][:, :1])
    positive_SC, negative_SC = (torch.cat((weight_SG, view_S1), dim=1) for weight_SG in pairs.weights)
    return positive_SC, negative_SC


def contrastive_rows(
    cosine_SC: Tensor,
    positive_SC: Tensor,
    negative_SC: Tensor,
    temperature: float,
    form: Literal["released", "supcon"],
    weights: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Loss of each anchor float32 [S], 0 where it has none, and bool [S]: has both positives and negatives.

    `weights`, of positives and of negatives, float32 [S, C] each and 0 or more: each negative's exponential is
    multiplied by its own, and so is each positive's in `released`; in `supcon` the mean over P is weighed instead. A
    row whose positives or negatives all weigh 0 has no value.
    """
    if weights is not None:
        positive_SC, negative_SC = positive_SC & (weights[0] > 0), negative_SC & (weights[1] > 0)
    logit_SC = cosine_SC.float() / temperature
    # A finite floor, not -inf: rows without any pair then have finite values, and finite gradients, to be masked.
    floor = torch.finfo(torch.float32).min
    attracted_SC, repelled_SC = logit_SC, logit_SC
    if weights is not None:
        attracted_SC, repelled_SC = (
            logit_SC + weight_SC.clamp_min(torch.finfo(torch.float32).tiny).log() for weight_SC in weights
        )
    negatives_S = repelled_SC.masked_fill(~negative_SC, floor).logsumexp(dim=1)
    if form == "released":
        row_S = negatives_S - attracted_SC.masked_fill(~positive_SC, floor).logsumexp(dim=1)
    else:
        weight_SC = positive_SC.float() if weights is None else torch.where(positive_SC, weights[0], 0.0)
        each_SC = functional.softplus(negatives_S[:, None] - logit_SC)
        smallest = torch.finfo(torch.float32).tiny
        row_S = torch.where(positive_SC, each_SC * weight_SC, 0.0).sum(dim=1) / weight_SC.sum(dim=1).clamp_min(smallest)
    valid_S = positive_SC.any(dim=1) & negative_SC.any(dim=1)
    return torch.where(valid_S, row_S, 0.0), valid_S
