"""PhysioCLR's pretraining objective (arXiv 2509.08116, loss): L = L_con + alpha L_global + beta L_peak.

`ObjectiveConfig.contrastive_weight` [D], 1 in the paper, multiplies L_con, so that it can be left out.

On several ranks the anchors are the rank's own segments and the candidates those of all ranks. The loss of a rank is
the sum over its own anchors, divided by the anchors that count on ALL ranks, times the number of ranks. So the mean
over ranks, which is what DDP makes of the gradients, is the loss and the gradient of one process with the whole batch.

Shapes: S segments of this rank, G of all ranks, L leads, T samples, C candidates, D projected dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from physioclr.config import ModelConfig, ObjectiveConfig
from physioclr.method.batch import SegmentBatch
from physioclr.method.contrastive import contrastive_rows, cosines, masks, pair_weights
from physioclr.method.decoder import Decoder
from physioclr.method.encoder import Encoder
from physioclr.method.gather import World, gather, reduce_sum, world
from physioclr.method.masks import peak_mask
from physioclr.method.metric import FeatureMetric, metric_rows
from physioclr.method.pairs import PairKeys, Pairs, find_pairs
from physioclr.method.reconstruction import reconstruction_rows
from physioclr.method.shuffling import draw_keys, shuffle_beats
from physioclr.method.sizes import resolve


@dataclass(frozen=True, slots=True)
class ObjectiveOutput:
    """`loss`: scalar of this rank, to go backward from. `terms`: detached scalars of the global batch, for the eye."""

    loss: Tensor
    terms: dict[str, Tensor]


class PhysioCLR(nn.Module):
    """Encoder, projection and decoder with the objective that trains them. `encoder` is what is kept.

    `terms` of its output, all over the global batch:
    loss, contrastive, reconstruction_global, reconstruction_peak: the objective and its unweighted parts;
    positives_mean, feature_positives_mean, negatives_mean: how many an anchor has (its own view counts as a positive);
    anchors_without_positives, anchors_without_negatives: shares of the anchors, all left out of `contrastive`;
    not_shuffled: share of segments without a shuffled view, too few R peaks; 1 where no view is asked for;
    without_peak_mask, without_features: shares of segments;
    metric: loss of the learned similarity, where there is one;
    alignment: mean cosine of positive pairs; NaN where there is none.
    """

    def __init__(self, model: ModelConfig, objective: ObjectiveConfig) -> None:
        super().__init__()
        sizes = resolve(model)
        self.objective = objective
        self.encoder = Encoder(model)
        self.projection = nn.Linear(sizes.width, sizes.projection)
        self.decoder = Decoder(sizes.width)
        learned = objective.similarity == "learned"
        self.metric = FeatureMetric(objective.metric_width) if learned else None

    def forward(self, batch: SegmentBatch, generator: torch.Generator | None = None) -> ObjectiveOutput:
        """The loss of a batch. `generator`: a CPU generator in the same state on every rank, for the shuffling."""
        here = world()
        signal_XLT, shuffled_S = self._with_views(batch, generator, here)
        tokens_XNW = self.encoder(signal_XLT)
        embedding_XD = functional.normalize(self.projection(self.encoder.pool(tokens_XNW)).float(), dim=1)

        own, everyone = self._keys(batch)
        pairs = self._pairs(own, everyone, shuffled_S, here)
        anchors_SD, views_SD = embedding_XD[: len(batch)], embedding_XD[-len(batch) :]
        cosine_SC = cosines(anchors_SD, gather(anchors_SD), views_SD)
        positive_SC, negative_SC = masks(pairs)
        contrastive_S, valid_S = contrastive_rows(
            cosine_SC, positive_SC, negative_SC, self.objective.temperature, self.objective.form, pair_weights(pairs)
        )
        mask_ST = peak_mask(batch.intervals_SI2, batch.r_peaks_SR, batch.signal_SLT.shape[-1])
        decoded_SLT = self.decoder(tokens_XNW[: len(batch)])
        global_S, peak_S, has_mask_S = reconstruction_rows(decoded_SLT, batch.signal_SLT, mask_ST)

        counts = reduce_sum(torch.stack((valid_S.sum(), has_mask_S.sum())))
        contrastive = contrastive_S.sum() * here.size / counts[0].clamp_min(1)
        peak = peak_S.sum() * here.size / counts[1].clamp_min(1)
        whole = global_S.mean()
        weights = self.objective
        loss = weights.contrastive_weight * contrastive + weights.global_weight * whole + weights.peak_weight * peak

        metric = {}
        if self.metric is not None:
            rows_S, counted_S = metric_rows(own, everyone, here.rank * len(batch))
            metric["metric"] = rows_S.sum() * here.size / reduce_sum(counted_S.sum()).clamp_min(1)
            loss = loss + weights.metric_weight * metric["metric"]

        terms = {"loss": loss, "contrastive": contrastive, "reconstruction_global": whole, "reconstruction_peak": peak}
        terms |= metric
        terms |= _pair_terms(pairs, positive_SC, negative_SC)
        terms["without_peak_mask"] = _share(~has_mask_S)
        terms["without_features"] = _share(~batch.has_features_S)
        return ObjectiveOutput(loss, _over_ranks(terms, cosine_SC, positive_SC, here))

    def _with_views(self, batch: SegmentBatch, generator: torch.Generator | None, here: World) -> tuple[Tensor, Tensor]:
        """The segments, then their shuffled views if asked for: [S or 2S, L, T], and bool [S]: has a view."""
        signal_SLT = batch.signal_SLT
        if not self.objective.shuffle_positives:
            return signal_SLT, torch.zeros_like(batch.has_features_S)
        own = slice(here.rank * len(batch), (here.rank + 1) * len(batch))
        keys_SB = draw_keys(here.size * len(batch), generator)[own].to(signal_SLT.device, non_blocking=True)
        views_SLT, shuffled_S = shuffle_beats(signal_SLT, batch.r_peaks_SR, keys_SB)
        return torch.cat((signal_SLT, views_SLT)), shuffled_S

    def _keys(self, batch: SegmentBatch) -> tuple[PairKeys, PairKeys]:
        """What pairs are made from: of the own segments, and of those of all ranks."""
        ids_S3 = torch.stack((batch.has_features_S.long(), batch.record_S, batch.patient_S), dim=1)
        ids_G3 = gather(ids_S3)
        features_SK, quality_S = batch.features_SK, batch.quality_S
        if self.metric is not None:
            if batch.measures_SF is None:
                raise ValueError("a learned similarity needs SegmentBatch.measures_SF")
            features_SK = self.metric(batch.measures_SF)
        quality_G = None if quality_S is None or not self.objective.confidence else gather(quality_S)
        own = PairKeys(features_SK, batch.has_features_S, batch.record_S, batch.patient_S, quality_S)
        everyone = PairKeys(gather(features_SK), ids_G3[:, 0].bool(), ids_G3[:, 1], ids_G3[:, 2], quality_G)
        return own, everyone

    def _pairs(self, own: PairKeys, everyone: PairKeys, shuffled_S: Tensor, here: World) -> Pairs:
        """Pairs of the own segments with those of all ranks. A view equal to its segment is no positive [D]."""
        anchors, originals = (replace(keys, features_XK=keys.features_XK.detach()) for keys in (own, everyone))
        return find_pairs(anchors, originals, here.rank * len(own.record_X), shuffled_S, self.objective)


def _share(which_S: Tensor) -> Tensor:
    return which_S.float().mean()


def _pair_terms(pairs: Pairs, positive_SC: Tensor, negative_SC: Tensor) -> dict[str, Tensor]:
    """What the eye needs to see of the pairs of this rank."""
    return {
        "positives_mean": positive_SC.sum(dim=1).float().mean(),
        "feature_positives_mean": pairs.feature_SG.sum(dim=1).float().mean(),
        "negatives_mean": negative_SC.sum(dim=1).float().mean(),
        "anchors_without_positives": _share(~positive_SC.any(dim=1)),
        "anchors_without_negatives": _share(~negative_SC.any(dim=1)),
        "not_shuffled": _share(~pairs.view_S),
    }


def _over_ranks(terms: dict[str, Tensor], cosine_SC: Tensor, positive_SC: Tensor, here: World) -> dict[str, Tensor]:
    """Means over the ranks of each term, and the alignment, in one exchange."""
    alignment = torch.where(positive_SC, cosine_SC.detach(), 0.0).sum()
    packed = torch.stack([value.detach().float() for value in (*terms.values(), alignment, positive_SC.sum())])
    *values, alignment, positives = reduce_sum(packed).unbind()
    means = {name: value / here.size for name, value in zip(terms, values, strict=True)}
    return means | {"alignment": alignment / positives}
