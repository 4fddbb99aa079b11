"""How much a positive outcome counts in the loss, so that rare classes are heard.

Shape legend: n rows, C classes.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from physioclr.evaluation.metrics import both_outcomes

MAXIMUM = 100.0  # [D] one positive among thousands would otherwise decide every step that it is in


def positive_weights(y: ArrayLike, maximum: float = MAXIMUM) -> Tensor:
    """`pos_weight` for `BCEWithLogitsLoss`: negatives per positive of each class of `y` bool [n, C], float32 [C].

    A class with one outcome only gets 1: it has nothing to balance, and the ratio would be infinite or 0. Weights are
    at most `maximum` (infinity: no bound). Raises ValueError unless y is a table with rows and maximum is positive.
    """
    y_nC = np.asarray(y, dtype=bool)
    if y_nC.ndim != 2 or not len(y_nC):
        raise ValueError(f"outcomes {y_nC.shape} must be a table of rows x classes with at least one row")
    if not maximum > 0:
        raise ValueError(f"the largest weight {maximum} must be above 0")
    positives_C = y_nC.sum(axis=0, dtype=np.float64)
    ratio_C = (len(y_nC) - positives_C) / np.maximum(positives_C, 1.0)
    return torch.from_numpy(np.where(both_outcomes(y_nC), np.minimum(ratio_C, maximum), 1.0)).float()
