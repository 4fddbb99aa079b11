"""How alike two segments are by their features, from 0 (different) to 1 (alike): what makes feature positives.

The paper's (arXiv 2509.08116) is a fixed cosine, `delta`. The others are options for what it leaves open [D]:

- `quantile`: the cosine that so large a share of all pairs of the batch lies below, instead of `delta`;
- `nearest`: the anchor's so many nearest segments, however near;
- `soft`: no pair is decided; its cosine weighs it, by a sigmoid around `delta` of width `softness`.

Shapes: S anchors (segments of this rank), G segments of the global batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from physioclr.config import ObjectiveConfig


def alikeness(cosine_SG: Tensor, other_SG: Tensor, cosine_GG: Tensor | None, objective: ObjectiveConfig) -> Tensor:
    """float64 [S, G]; NaN where `cosine_SG` is: either has no features.

    `other_SG` is false for the anchor itself. `cosine_GG` is of all segments with each other; only `quantile` needs it.
    """
    if objective.choose == "soft":
        return torch.sigmoid((cosine_SG - objective.delta) / objective.softness)
    if objective.choose == "nearest":
        alike_SG = _nearest(cosine_SG, other_SG, objective.nearest)
    elif objective.choose == "quantile":
        assert cosine_GG is not None, "the quantile is that of the whole batch"
        alike_SG = cosine_SG >= _quantile(cosine_GG, objective.quantile)
    else:
        alike_SG = cosine_SG >= objective.delta
    return torch.where(cosine_SG.isnan(), torch.nan, alike_SG.to(cosine_SG.dtype))


def _quantile(cosine_GG: Tensor, share: float) -> Tensor:
    """The value that `share` of the pairs of two segments with features lies below; infinite where there is no pair."""
    count = len(cosine_GG)
    row_P, column_P = torch.triu_indices(count, count, offset=1, device=cosine_GG.device)
    pairs_P = cosine_GG[row_P, column_P]
    known_P = pairs_P[~pairs_P.isnan()].sort().values
    if not len(known_P):
        return cosine_GG.new_tensor(torch.inf)
    return known_P[min(int(share * len(known_P)), len(known_P) - 1)]


def _nearest(cosine_SG: Tensor, other_SG: Tensor, count: int) -> Tensor:
    """The `count` largest of each row, bool; equal ones at the end all count. A row may have fewer."""
    known_SG = other_SG & ~cosine_SG.isnan()
    ranked_SG = cosine_SG.masked_fill(~known_SG, -torch.inf)
    last_S1 = ranked_SG.topk(min(count, ranked_SG.shape[1]), dim=1).values[:, -1:]
    return known_SG & (ranked_SG >= last_S1)
