from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from physioclr.evaluation.class_weights import positive_weights


def test_positive_and_negative_rows_of_a_class_weigh_the_same() -> None:
    y = np.array([[1, 1], [0, 1], [0, 1], [0, 0]], dtype=bool)
    weights = positive_weights(y)
    assert weights.tolist() == pytest.approx([3.0, 1 / 3])
    loss = binary_cross_entropy_with_logits(
        torch.zeros(4, 2), torch.from_numpy(y).float(), pos_weight=weights, reduction="none"
    )
    of_positives = [loss[y[:, column], column].sum().item() for column in range(2)]
    of_negatives = [loss[~y[:, column], column].sum().item() for column in range(2)]
    assert of_positives == pytest.approx(of_negatives)


def test_a_class_with_one_outcome_gets_a_plain_weight() -> None:
    weights = positive_weights(np.array([[0, 1], [0, 1]], dtype=bool))
    assert weights.tolist() == [1.0, 1.0]
    assert weights.dtype == torch.float32


def test_weights_are_bounded() -> None:
    y = np.arange(1000)[:, None] == 0
    assert positive_weights(y).tolist() == [100.0]
    assert positive_weights(y, maximum=float("inf")).tolist() == [999.0]


def test_bad_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        positive_weights(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="above 0"):
        positive_weights(np.ones((1, 1)), maximum=0)
