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
    """Positives and negatives over all candidates, bool [S, G + 1]; a view is never a negative."""
    view_S1 = pairs.view_S[:, None]
    positive_SC = torch.cat((pairs.positive_SG, view_S1), dim=1)
    negative_SC = torch.cat((pairs.negative_SG, torch.zeros_like(view_S1)), dim=1)
    return positive_SC, negative_SC


def contrastive_rows(
    cosine_SC: Tensor,
    positive_SC: Tensor,
    negative_SC: Tensor,
    temperature: float,
    form: Literal["released", "supcon"],
) -> tuple[Tensor, Tensor]:
    """Loss of each anchor float32 [S], 0 where it has none, and bool [S]: has both positives and negatives."""
    logit_SC = cosine_SC.float() / temperature
    # A finite floor, not -inf: rows without any pair then have finite values, and finite gradients, to be masked.
    floor = torch.finfo(torch.float32).min
    negatives_S = logit_SC.masked_fill(~negative_SC, floor).logsumexp(dim=1)
    if form == "released":
        row_S = negatives_S - logit_SC.masked_fill(~positive_SC, floor).logsumexp(dim=1)
    else:
        each_SC = functional.softplus(negatives_S[:, None] - logit_SC)
        row_S = torch.where(positive_SC, each_SC, 0.0).sum(dim=1) / positive_SC.sum(dim=1).clamp_min(1)
    valid_S = positive_SC.any(dim=1) & negative_SC.any(dim=1)
    return torch.where(valid_S, row_S, 0.0), valid_S
