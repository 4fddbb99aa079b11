"""What every compared method is: an encoder, whatever trains it, and the loss of a batch, as `PhysioCLR` has them.

On several ranks a method's anchors are the rank's own segments and the candidates those of all ranks, and a mean over
what counts is the sum of the rank divided by the count of all ranks, times the number of ranks (`method/objective.py`).

Shapes: S anchors, C candidates.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from physioclr.config import ModelConfig
from physioclr.method.batch import SegmentBatch
from physioclr.method.encoder import Encoder
from physioclr.method.gather import World, reduce_sum
from physioclr.method.objective import ObjectiveOutput


class Baseline(nn.Module, ABC):
    """A method by which `encoder` is pretrained; `forward` is given by each."""

    def __init__(self, model: ModelConfig) -> None:
        super().__init__()
        self.encoder = Encoder(model)

    @abstractmethod
    def forward(self, batch: SegmentBatch, generator: torch.Generator | None = None) -> ObjectiveOutput:
        """The loss of a batch, and `terms` over the global batch, `loss` among them.

        generator: a CPU generator in the same state on every rank, for whatever the method draws.
        """


def mean_over_ranks(sums_S: Tensor, counts_S: Tensor, here: World) -> Tensor:
    """Scalar of this rank whose mean over ranks is the sum of all `sums_S` over the sum of all `counts_S`, or 0."""
    return sums_S.sum() * here.size / reduce_sum(counts_S.sum()).clamp_min(1)


def pair_terms(cosine_SC: Tensor, positive_SC: Tensor, candidate_SC: Tensor, here: World) -> dict[str, Tensor]:
    """What the eye needs to see of this rank's pairs: named as PhysioCLR's terms are, to go through `over_ranks`."""
    positives_S = positive_SC.sum(dim=1)
    cosine_S = torch.where(positive_SC, cosine_SC.detach(), 0.0).sum(dim=1)
    return {
        "positives_mean": positives_S.float().mean(),
        "negatives_mean": (candidate_SC & ~positive_SC).sum(dim=1).float().mean(),
        "alignment": mean_over_ranks(cosine_S, positives_S, here),
    }


def over_ranks(terms: dict[str, Tensor], here: World) -> dict[str, Tensor]:
    """Detached float32 means over the ranks of each term, in one exchange."""
    packed = torch.stack([value.detach().float() for value in terms.values()])
    return dict(zip(terms, (reduce_sum(packed) / here.size).unbind(), strict=True))
