from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from physioclr.baselines.cmsc import multi_segment_coding
from physioclr.method.batch import SegmentBatch
from physioclr.method.gather import World


def make_batch(patients: tuple[int, ...]) -> SegmentBatch:
    count = 2 * len(patients)
    return SegmentBatch(
        signal_SLT=torch.zeros(count, 12, 2500),
        r_peaks_SR=torch.full((count, 1), -1),
        intervals_SI2=torch.full((count, 1, 2), -1),
        features_SK=torch.zeros(count, 2),
        has_features_S=torch.zeros(count, dtype=torch.bool),
        record_S=torch.arange(count) // 2,
        patient_S=torch.tensor(patients).repeat_interleave(2),
    )


def slow(vectors: Tensor, owner: list[int], tau: float) -> Tensor:
    """Mean over pairs of both directions: a matrix of first against second halves, and its transpose."""
    records = len(vectors) // 2
    matrix = [
        [
            torch.exp(functional.cosine_similarity(vectors[2 * i], vectors[2 * j + 1], dim=0) / tau)
            for j in range(records)
        ]
        for i in range(records)
    ]
    directions = []
    for rows in (matrix, [list(column) for column in zip(*matrix, strict=True)]):
        losses = [
            -torch.log(rows[i][j] / sum(rows[i]))
            for i in range(records)
            for j in range(records)
            if owner[i] == owner[j]
        ]
        directions.append(torch.stack(losses).mean())
    return (directions[0] + directions[1]) / 2


@pytest.mark.parametrize("positives", ["patient", "record"])
def test_equals_the_loop(positives: Literal["patient", "record"]) -> None:
    patients = (0, 1, 1, 2, 1)
    vectors = torch.randn(10, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    pairs = multi_segment_coding(vectors, make_batch(patients), positives, 0.3, World(0, 1))
    owner = list(patients) if positives == "patient" else list(range(5))
    expected = slow(vectors, owner, 0.3)
    torch.testing.assert_close(pairs.loss, expected)
    torch.testing.assert_close(torch.autograd.grad(pairs.loss, vectors), torch.autograd.grad(expected, vectors))
    assert pairs.terms["positives_mean"].item() == pytest.approx(11 / 5 if positives == "patient" else 1)
    assert (pairs.terms["positives_mean"] + pairs.terms["negatives_mean"]).item() == pytest.approx(5)


def test_two_halves_that_agree_and_differ_from_the_others_cost_nearly_nothing() -> None:
    vectors = torch.eye(4).repeat_interleave(2, dim=0)
    batch = make_batch((0, 1, 2, 3))
    assert multi_segment_coding(vectors, batch, "record", 0.05, World(0, 1)).loss < 1e-6
    crossed = vectors.roll(1, dims=0)
    assert multi_segment_coding(crossed, batch, "record", 0.05, World(0, 1)).loss > 10


def test_first_halves_are_never_compared_with_first_halves() -> None:
    """Equal first halves of different patients do no harm: they are no negatives of each other."""
    vectors = torch.eye(8)[:6].clone()
    batch = make_batch((0, 1, 2))
    before = multi_segment_coding(vectors, batch, "patient", 0.1, World(0, 1)).loss
    vectors[[2, 4]] = vectors[0].clone()
    assert multi_segment_coding(vectors, batch, "patient", 0.1, World(0, 1)).loss.item() == pytest.approx(before.item())
