"""CMSC of CLOCS (Kiyasseh et al. 2021, arXiv 2005.13249): adjacent segments of a patient attract each other.

An anchor that is a first half is compared with all second halves of the batch, and the other way round; its positives
are those of the same patient. The loss is the mean over all positive pairs in both directions, which is the mean of the
two directions, for each has as many pairs.

Shapes: S segments of this rank, G of all ranks, D dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from physioclr.baselines.config import CMSCMethod
from physioclr.baselines.info_nce import info_nce
from physioclr.baselines.objective import Baseline, mean_over_ranks, over_ranks, pair_terms
from physioclr.config import ModelConfig
from physioclr.method.batch import SegmentBatch
from physioclr.method.gather import World, gather, world
from physioclr.method.objective import ObjectiveOutput
from physioclr.method.sizes import resolve


@dataclass(frozen=True, slots=True)
class SegmentPairs:
    """`loss`: scalar of this rank. `terms`: of its pairs, to go through `over_ranks`."""

    loss: Tensor
    terms: dict[str, Tensor]


def multi_segment_coding(
    embedding_SD: Tensor,
    batch: SegmentBatch,
    positives: Literal["patient", "record"],
    temperature: float,
    here: World,
) -> SegmentPairs:
    """CMSC of a batch. embedding_SD: one vector a segment, of any length."""
    unit_SD = functional.normalize(embedding_SD.float(), dim=1)
    with torch.autocast(unit_SD.device.type, enabled=False):
        cosine_SG = unit_SD @ gather(unit_SD).T
    owner_S = batch.patient_S if positives == "patient" else batch.record_S
    half_S = torch.arange(len(batch), device=owner_S.device) % 2
    candidate_SG = half_S[:, None] != half_S.repeat(here.size)[None, :]
    positive_SG = (owner_S[:, None] == gather(owner_S)[None, :]) & candidate_SG
    sums_S, pairs_S = info_nce(cosine_SG, positive_SG, candidate_SG, temperature)
    loss = mean_over_ranks(sums_S, pairs_S, here)
    return SegmentPairs(loss, pair_terms(cosine_SG, positive_SG, candidate_SG, here))


class CMSC(Baseline):
    """Contrastive multi-segment coding, without any augmentation.

    `terms`: loss; positives_mean, negatives_mean: how many an anchor has; alignment: mean cosine of positives.
    [D] It has PhysioCLR's projection, one linear layer.
    """

    def __init__(self, model: ModelConfig, method: CMSCMethod) -> None:
        super().__init__(model)
        sizes = resolve(model)
        self.method = method
        self.projection = nn.Linear(sizes.width, sizes.projection)

    def forward(self, batch: SegmentBatch, generator: torch.Generator | None = None) -> ObjectiveOutput:
        """Draws nothing: `generator` is not used."""
        here, method = world(), self.method
        projected_SD = self.projection(self.encoder.embed(batch.signal_SLT))
        pairs = multi_segment_coding(projected_SD, batch, method.positives, method.temperature, here)
        return ObjectiveOutput(pairs.loss, over_ranks({"loss": pairs.loss, **pairs.terms}, here))
