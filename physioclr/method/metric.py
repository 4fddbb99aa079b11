"""A similarity of segments learned from their features, instead of the cosine of a fixed PCA [D].

A small network brings the 150 standardised features to a few dimensions in which the segments of a recording, and of a
patient, are near each other and far from those of others. It is trained beside the encoder by a loss of its own, which
is all that reaches it: the pairs that it chooses are choices, not a way to make the encoder's task easy.

Shapes: S anchors (segments of this rank), G segments of the global batch, D dimensions of the metric.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from physioclr.features.columns import COLUMNS
from physioclr.method.contrastive import contrastive_rows
from physioclr.method.pairs import PairKeys, not_itself, same_origin

HIDDEN = 128
TEMPERATURE = 0.1


class FeatureMetric(nn.Module):
    """Standardised features [S, 150], 0 where missing, to unit vectors [S, D]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(len(COLUMNS), HIDDEN), nn.GELU(), nn.Linear(HIDDEN, width))

    def forward(self, measures_SF: Tensor) -> Tensor:
        with torch.autocast(measures_SF.device.type, enabled=False):
            return functional.normalize(self.layers(measures_SF.float()), dim=1)


def metric_rows(anchors: PairKeys, everyone: PairKeys, first: int) -> tuple[Tensor, Tensor]:
    """The metric's loss of each anchor float32 [S], 0 where it has none, and bool [S]: has one.

    `features_XK` of both are unit vectors of `FeatureMetric`, with their gradient. Positives: other segments of the
    recording or patient; negatives: all others. Segments without features are neither, and have no loss.
    """
    usable_SG = (
        not_itself(anchors, everyone, first) & anchors.has_features_X[:, None] & everyone.has_features_X[None, :]
    )
    same_SG = same_origin(anchors, everyone, "patient")
    with torch.autocast(anchors.features_XK.device.type, enabled=False):
        cosine_SG = anchors.features_XK @ everyone.features_XK.T
    return contrastive_rows(cosine_SG, same_SG & usable_SG, ~same_SG & usable_SG, TEMPERATURE, "supcon")
