"""Which segments are alike and which are not (arXiv 2509.08116, pairs), over the batch of all ranks.

For an anchor i, P_i = P_pt U P_feat U P_aug and N_i is what the features call different, less P_i:

- P_pt: the other half of the same record; or any other segment of the same patient; or none;
- P_feat: segments whose reduced features have a cosine of delta or more with the anchor's;
- P_aug: the anchor's own heartbeat-shuffled view, where it was shuffled;
- N_i: segments whose cosine is below delta, less P_i; with `feature_negatives` off, all others less P_i.

Which cosines make a feature positive may be chosen otherwise (`alikeness.py`); `soft` makes every pair both, weighed.
With `confidence` a pair that the features chose weighs as much as the product of both segments' quality, which is that
of their worst leads.

[D] Anchors are the original segments; candidates are the originals of the global batch and the anchor's own view. The
anchor itself is neither its positive nor its negative. A pair of which either has no features is known to be neither
alike nor different by features. Switching `feature_positives` off takes P_feat away and leaves N_i as it is, so that
an ablation of the positives changes nothing else.

Shapes: S anchors (segments of this rank), G segments of the global batch, K reduced features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from physioclr.config import ObjectiveConfig
from physioclr.method.alikeness import alikeness


@dataclass(frozen=True, slots=True)
class PairKeys:
    """What pairs are made from: features [X, K], and has_features, record, patient, quality [X] as in `SegmentBatch`.

    Without `quality_X` all are equally sure.
    """

    features_XK: Tensor
    has_features_X: Tensor
    record_X: Tensor
    patient_X: Tensor
    quality_X: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Pairs:
    """Masks bool over anchors x originals [S, G], and bool [S]: is the own view a positive.

    `feature_SG` is P_feat, which may overlap P_pt; `positive_SG` is P_pt U P_feat. `weights`: what a positive and what
    a negative weighs, float32 [S, G] each; None where all weigh the same.
    """

    positive_SG: Tensor
    feature_SG: Tensor
    negative_SG: Tensor
    view_S: Tensor
    weights: tuple[Tensor, Tensor] | None = None


def feature_cosine(anchors: PairKeys, candidates: PairKeys) -> Tensor:
    """Cosine of reduced features, float64 [S, G]; NaN where either has no features.

    In float64, so that neither reduced-precision products nor the shape of the product moves a pair across delta.
    """
    units = []
    for keys in (anchors, candidates):
        features_XK = keys.features_XK.double()
        unit_XK = features_XK / torch.linalg.vector_norm(features_XK, dim=1, keepdim=True).clamp_min(1e-12)
        units.append(unit_XK.masked_fill(~keys.has_features_X[:, None], torch.nan))
    cosine_SG: Tensor = units[0] @ units[1].T
    return cosine_SG


def same_origin(anchors: PairKeys, candidates: PairKeys, which: str) -> Tensor:
    """P_pt with the anchor itself still in it, bool [S, G]; `which` is ObjectiveConfig.patient_positives."""
    same_record_SG = anchors.record_X[:, None] == candidates.record_X[None, :]
    if which == "record":
        return same_record_SG
    if which == "patient":
        return same_record_SG | (anchors.patient_X[:, None] == candidates.patient_X[None, :])
    return torch.zeros_like(same_record_SG)


def not_itself(anchors: PairKeys, candidates: PairKeys, first: int) -> Tensor:
    """False where a candidate is the anchor, bool [S, G]; the anchors are the candidates first .. first + S - 1."""
    device = anchors.record_X.device
    anchor_S = first + torch.arange(len(anchors.record_X), device=device)
    return anchor_S[:, None] != torch.arange(len(candidates.record_X), device=device)[None, :]


def find_pairs(
    anchors: PairKeys, candidates: PairKeys, first: int, shuffled_S: Tensor, objective: ObjectiveConfig
) -> Pairs:
    """The pairs of the anchors, which are the candidates first .. first + S - 1. `shuffled_S`: has an own view."""
    other_SG = not_itself(anchors, candidates, first)
    cosine_SG = feature_cosine(anchors, candidates)
    everyone = feature_cosine(candidates, candidates) if objective.choose == "quantile" else None
    alike_SG = alikeness(cosine_SG, other_SG, everyone, objective)
    # NaN compares false both ways: a pair without features is in neither.
    feature_SG = (alike_SG > 0) & other_SG
    if not objective.feature_positives:
        feature_SG = torch.zeros_like(feature_SG)
    origin_SG = same_origin(anchors, candidates, objective.patient_positives) & other_SG
    positive_SG = origin_SG | feature_SG
    different_SG = alike_SG < 1 if objective.feature_negatives else torch.ones_like(other_SG)
    certain_SG = origin_SG if objective.choose == "soft" else positive_SG
    negative_SG = different_SG & other_SG & ~certain_SG
    weights = None
    if objective.choose == "soft" or objective.confidence:
        weights = _weights(alike_SG, origin_SG, _sureness(anchors, candidates, objective), objective)
    return Pairs(positive_SG, feature_SG, negative_SG, shuffled_S, weights)


def _weights(
    alike_SG: Tensor, origin_SG: Tensor, sure_SG: Tensor | float, objective: ObjectiveConfig
) -> tuple[Tensor, Tensor]:
    """What positives and negatives weigh. A pair of one origin is known, and one without features, or with
    `feature_negatives` off a negative, is not decided by them: these weigh 1."""
    known_SG = ~alike_SG.isnan()
    soft = objective.choose == "soft"
    like_SG = (alike_SG if soft else 1.0) * sure_SG
    unlike_SG = ((1 - alike_SG) if soft else 1.0) * (sure_SG if objective.feature_negatives else 1.0)
    ones_SG = torch.ones_like(alike_SG)
    positive_SG = torch.where(known_SG & ~origin_SG, like_SG, ones_SG)
    return positive_SG.float(), torch.where(known_SG, unlike_SG, ones_SG).float()


def _sureness(anchors: PairKeys, candidates: PairKeys, objective: ObjectiveConfig) -> Tensor | float:
    """Product of both qualities, float64 [S, G]; one that is not known (NaN) counts as sure."""
    if not objective.confidence or anchors.quality_X is None or candidates.quality_X is None:
        return 1.0
    one_S, other_G = (keys.quality_X.double().nan_to_num(nan=1.0) for keys in (anchors, candidates))  # type: ignore[union-attr]
    return one_S[:, None] * other_G[None, :]
