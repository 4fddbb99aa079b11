"""What a training window is changed by before the classifier sees it."""

from __future__ import annotations

import torch
from torch import Tensor

from physioclr.baselines.augmentations import mask_leads
from physioclr.baselines.draws import SegmentDraws
from physioclr.downstream import FinetuneAugment
from physioclr.method.views import crops, halves


def augmented(signal_NLT: Tensor, augment: FinetuneAugment, generator: torch.Generator) -> Tensor:
    """Two 5 s segments of each z-scored record [N, 12, 5000], changed as `augment` says: float32 [2N, 12, 2500].

    generator: in the same state on every rank, so that a record is changed alike whichever rank holds it.
    """
    if not augment.crops and not augment.mask_leads:
        return halves(signal_NLT)  # no generators for every segment of every step
    draws = SegmentDraws(2 * len(signal_NLT), generator, signal_NLT.device)
    places = signal_NLT.shape[-1] // 2 + 1
    segments_SLT = crops(signal_NLT, (draws.uniform() * places).long()) if augment.crops else halves(signal_NLT)
    return mask_leads(segments_SLT, augment.mask_leads, draws) if augment.mask_leads else segments_SLT
