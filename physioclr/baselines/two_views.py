"""Methods that compare two random views of each segment: SimCLR and 3KG.

[D] Both have PhysioCLR's projection, one linear layer, so that what is compared is the views and the pairs.

Shapes: S segments of this rank, G of all ranks, V = 2S views of this rank, C = 2G candidates, L leads, T samples,
D projected dimensions.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from physioclr.baselines import augmentations
from physioclr.baselines.config import SimCLRMethod, ThreeKGMethod
from physioclr.baselines.draws import SegmentDraws
from physioclr.baselines.info_nce import info_nce
from physioclr.baselines.objective import Baseline, mean_over_ranks, over_ranks, pair_terms
from physioclr.baselines.vectorcardiogram import turn_and_stretch
from physioclr.config import ModelConfig
from physioclr.method.batch import SegmentBatch
from physioclr.method.gather import gather, world
from physioclr.method.objective import ObjectiveOutput
from physioclr.method.sizes import resolve


class TwoViews(Baseline):
    """Every view is an anchor; its candidates are all other views of the batch of all ranks.

    `terms`: loss; positives_mean, negatives_mean: how many an anchor has; alignment: mean cosine of positives.
    """

    def __init__(self, model: ModelConfig, temperature: float) -> None:
        super().__init__(model)
        sizes = resolve(model)
        self.temperature = temperature
        self.projection = nn.Linear(sizes.width, sizes.projection)

    @abstractmethod
    def view(self, signal_SLT: Tensor, draws: SegmentDraws) -> Tensor:
        """One random view of each segment, [S, L, T]."""

    def identity(self, batch: SegmentBatch, first: int) -> Tensor:
        """int64 [S]: views with the same one are positives. Here the segment's place in the global batch."""
        return torch.arange(first, first + len(batch), device=batch.record_S.device)

    def forward(self, batch: SegmentBatch, generator: torch.Generator | None = None) -> ObjectiveOutput:
        here, signal_SLT = world(), batch.signal_SLT
        draws = SegmentDraws(len(batch), generator, signal_SLT.device)
        views_VLT = torch.cat((self.view(signal_SLT, draws), self.view(signal_SLT, draws)))
        embedding_VD = functional.normalize(self.projection(self.encoder.embed(views_VLT)).float(), dim=1)
        with torch.autocast(embedding_VD.device.type, enabled=False):
            cosine_VC = embedding_VD @ gather(embedding_VD).T

        identity_V = self.identity(batch, here.rank * len(batch)).repeat(2)
        candidate_VC = torch.ones_like(cosine_VC, dtype=torch.bool)
        candidate_VC.diagonal(here.rank * len(views_VLT)).fill_(False)  # no view is compared with itself
        positive_VC = (identity_V[:, None] == gather(identity_V)[None, :]) & candidate_VC
        sums_V, pairs_V = info_nce(cosine_VC, positive_VC, candidate_VC, self.temperature, among="negatives")
        loss = mean_over_ranks(sums_V, pairs_V, here)
        terms = {"loss": loss, **pair_terms(cosine_VC, positive_VC, candidate_VC, here)}
        return ObjectiveOutput(loss, over_ranks(terms, here))


class SimCLR(TwoViews):
    """SimCLR (arXiv 2002.05709): NT-Xent between two noisy, partly masked views of each segment.

    Each segment has one positive, its other view, so the loss over positive and negatives is NT-Xent.
    """

    def __init__(self, model: ModelConfig, method: SimCLRMethod) -> None:
        super().__init__(model, method.temperature)
        self.method = method

    def view(self, signal_SLT: Tensor, draws: SegmentDraws) -> Tensor:
        """Powerline, muscle noise and wander, and then leads masked."""
        view_SLT = augmentations.powerline(signal_SLT, self.method.powerline, draws)
        view_SLT = augmentations.muscle(view_SLT, self.method.muscle, draws)
        view_SLT = augmentations.wander(view_SLT, self.method.wander, draws)
        return augmentations.mask_leads(view_SLT, self.method.mask_leads, draws)


class ThreeKG(TwoViews):
    """3KG (arXiv 2106.04452): views of a heart that lies and is stretched otherwise, each partly masked.

    With `positives: patient` all views of all segments of a patient attract each other.
    """

    def __init__(self, model: ModelConfig, method: ThreeKGMethod) -> None:
        super().__init__(model, method.temperature)
        self.method = method

    def view(self, signal_SLT: Tensor, draws: SegmentDraws) -> Tensor:
        """Turned, stretched, and half of each lead masked."""
        keep = self.method.residual == "kept"
        view_SLT = turn_and_stretch(signal_SLT, self.method.angle, self.method.scale, draws, keep)
        return augmentations.mask_time(view_SLT, self.method.mask_time, draws)

    def identity(self, batch: SegmentBatch, first: int) -> Tensor:
        """The patient, or the segment."""
        return batch.patient_S if self.method.positives == "patient" else super().identity(batch, first)
