"""InfoNCE (van den Oord et al. 2018, arXiv 1807.03748), summed over an anchor's positives, in the two forms in use.

Each positive p of an anchor costs -log( exp(s_p / tau) / sum exp(s / tau) ). The sum is over

- `candidates`: all candidates, the anchor's other positives among them (CLOCS; with one positive, NT-Xent);
- `negatives`: p itself and the negatives (3KG as released with arXiv 2203.06889).

The mean is over pairs, so the number of an anchor's positives comes back with its sum.

Shapes: S anchors, C candidates.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional


def info_nce(
    cosine_SC: Tensor,
    positive_SC: Tensor,
    candidate_SC: Tensor,
    temperature: float,
    among: Literal["candidates", "negatives"] = "candidates",
) -> tuple[Tensor, Tensor]:
    """Sum of each anchor's losses float32 [S], 0 where it has no positive, and how many it has, int64 [S].

    cosine_SC: similarities. candidate_SC, positive_SC: bool; an anchor's negatives are the candidates that are not
    positives, and what is no candidate is left out.
    """
    logit_SC = cosine_SC.float() / temperature
    positive_SC = positive_SC & candidate_SC
    rival_SC = candidate_SC if among == "candidates" else candidate_SC & ~positive_SC
    # A finite floor, not -inf: rows without rivals then have finite values, and finite gradients, to be masked.
    rivals_S1 = logit_SC.masked_fill(~rival_SC, torch.finfo(torch.float32).min).logsumexp(dim=1, keepdim=True)
    each_SC = rivals_S1 - logit_SC if among == "candidates" else functional.softplus(rivals_S1 - logit_SC)
    return torch.where(positive_SC, each_SC, 0.0).sum(dim=1), positive_SC.sum(dim=1)
