"""Signs of how pretraining goes, from the embeddings of a fixed set of segments.

A collapsed encoder has a low effective rank and a uniformity near 0. One that has only learned who the patient is has
a patient retrieval far above chance while the probe's AUROC stays where a random encoder's is.

Shape legend: S segments, d embedding width, K reduced features, C classes, B segments of one chunk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

CHUNK = 1024  # segments compared with all others at once: 1024 x S similarities in memory


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Share of the queries whose nearest neighbour is right, and the share that picking at random would give.

    Queries are the segments that have a right answer among their candidates; without any, both shares are NaN.
    """

    share: float
    chance: float
    queries: int


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Do segments that the features pair share labels? Pairs are unordered and of different patients.

    `share` is among the pairs with cosine >= delta, `chance` among all pairs, both NaN where there are no such pairs.
    """

    share: float
    chance: float
    feature_pairs: int


def effective_rank(embeddings_Sd: Tensor) -> float:
    """exp of the entropy of the normalised singular values of the centred embeddings (Roy & Vetterli 2007).

    Between 1 and min(S - 1, d); NaN where all embeddings are equal, which leaves no direction to count, or not
    all finite.
    """
    if not embeddings_Sd.isfinite().all():
        return float("nan")
    centred_Sd = embeddings_Sd.double() - embeddings_Sd.double().mean(dim=0)
    values = torch.linalg.svdvals(centred_Sd)
    floor = torch.finfo(torch.float32).eps * embeddings_Sd.double().norm()  # rounding of float32 embeddings
    values = values[values > floor]
    if not len(values):
        return float("nan")
    return float(torch.special.entr(values / values.sum()).sum().exp())


def uniformity(embeddings_Sd: Tensor, t: float = 2.0) -> float:
    """log of the mean of exp(-t |z_i - z_j|^2) over pairs of different segments (Wang & Isola 2020).

    Embeddings are L2-normalised first. 0 is full collapse, lower is more spread out. NaN for fewer than 2 segments.
    """
    z_Sd = normalize(embeddings_Sd.float(), dim=1)
    size = len(z_Sd)
    if size < 2:
        return float("nan")
    sums = []
    for rows, similarity_BS in _chunks(z_Sd):
        log_kernel_BS = -t * (2.0 - 2.0 * similarity_BS.double())
        log_kernel_BS[torch.arange(len(rows), device=rows.device), rows] = -torch.inf
        sums.append(log_kernel_BS.flatten().logsumexp(dim=0))
    return float(torch.stack(sums).logsumexp(dim=0) - torch.tensor(float(size * (size - 1))).log())


def alignment(embeddings_Sd: Tensor, record_S: Tensor, alpha: float = 2.0) -> float:
    """Mean of |z_i - z_j|^alpha over pairs of segments of one recording (Wang & Isola 2020), L2-normalised first.

    0 is perfect alignment, 2 (for alpha 2) is what unrelated directions give. NaN where no recording has two segments.
    """
    z_Sd = normalize(embeddings_Sd.float(), dim=1)
    total, pairs = 0.0, 0
    for rows, similarity_BS in _chunks(z_Sd):
        same_BS = record_S[rows, None] == record_S[None, :]
        same_BS[torch.arange(len(rows), device=rows.device), rows] = False
        squared = (2.0 - 2.0 * similarity_BS[same_BS].double()).clamp(min=0.0)
        total += float(squared.pow(alpha / 2).sum())
        pairs += int(same_BS.sum())
    return total / pairs if pairs else float("nan")


def patient_retrieval(embeddings_Sd: Tensor, record_S: Tensor, patient_S: Tensor) -> Retrieval:
    """Is a segment's nearest neighbour (cosine) outside its own recording of the same patient?"""
    return _retrieval(embeddings_Sd, right=patient_S, excluded=record_S)


def record_retrieval(embeddings_Sd: Tensor, record_S: Tensor) -> Retrieval:
    """Is a segment's nearest neighbour (cosine) the other half of its recording?"""
    return _retrieval(embeddings_Sd, right=record_S, excluded=torch.arange(len(record_S), device=record_S.device))


def pair_agreement(
    features_SK: Tensor, has_features_S: Tensor, labels_SC: Tensor, delta: float, patient_S: Tensor
) -> PairAgreement:
    """Share of feature pairs, cosine(features) >= `delta`, with at least one class in common, against all pairs.

    `labels_SC` bool. Segments without features or without any class are left out, of both shares.
    """
    kept_S = has_features_S.bool() & labels_SC.bool().any(dim=1)
    z_SK = normalize(features_SK[kept_S].float(), dim=1)
    labels_SC, patient_S = labels_SC[kept_S].float(), patient_S[kept_S]
    counts = torch.zeros(4, dtype=torch.int64)
    for rows, cosine_BS in _chunks(z_SK):
        pair_BS = patient_S[rows, None] != patient_S[None, :]
        pair_BS &= rows[:, None] < torch.arange(len(z_SK), device=rows.device)[None, :]
        shares_BS = (labels_SC[rows] @ labels_SC.T) > 0
        feature_BS = pair_BS & (cosine_BS >= delta)
        parts = (feature_BS & shares_BS, feature_BS, pair_BS & shares_BS, pair_BS)
        counts += torch.stack([part.sum() for part in parts]).cpu()
    feature_shares, feature_pairs, shares, pairs = counts.tolist()
    return PairAgreement(_ratio(feature_shares, feature_pairs), _ratio(shares, pairs), feature_pairs)


def _retrieval(embeddings_Sd: Tensor, right: Tensor, excluded: Tensor) -> Retrieval:
    """Nearest neighbour among segments of another `excluded` id; a hit has the same `right` id."""
    hits, chance, queries = 0, 0.0, 0
    for rows, similarity_BS in _chunks(normalize(embeddings_Sd.float(), dim=1)):
        candidate_BS = excluded[rows, None] != excluded[None, :]
        right_BS = candidate_BS & (right[rows, None] == right[None, :])
        query_B = right_BS.any(dim=1)
        nearest_B = similarity_BS.masked_fill(~candidate_BS, -torch.inf).argmax(dim=1)
        hits += int((right_BS.gather(1, nearest_B[:, None])[:, 0] & query_B).sum())
        chance += float((right_BS.sum(dim=1) / candidate_BS.sum(dim=1).clamp(min=1))[query_B].double().sum())
        queries += int(query_B.sum())
    return Retrieval(_ratio(hits, queries), _ratio(chance, queries), queries)


def _chunks(z_Sd: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Row indices [B] and their similarities [B, S] to every segment."""
    for start in range(0, len(z_Sd), CHUNK):
        rows = torch.arange(start, min(start + CHUNK, len(z_Sd)), device=z_Sd.device)
        yield rows, z_Sd[rows] @ z_Sd.T


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
