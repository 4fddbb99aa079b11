from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.baselines.info_nce import info_nce


def slow(
    cosine: list[list[float]], positive: list[list[bool]], candidate: list[list[bool]], tau: float, among: str
) -> tuple[list[float], list[int]]:
    """From the definition, one pair at a time."""
    sums, counts = [], []
    for i, row in enumerate(cosine):
        everyone = [j for j in range(len(row)) if candidate[i][j]]
        mine = [j for j in everyone if positive[i][j]]
        total = 0.0
        for p in mine:
            rivals = everyone if among == "candidates" else [p] + [j for j in everyone if not positive[i][j]]
            total -= math.log(math.exp(row[p] / tau) / sum(math.exp(row[j] / tau) for j in rivals))
        sums.append(total)
        counts.append(len(mine))
    return sums, counts


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["candidates", "negatives"]), st.floats(0.05, 2.0))
def test_equals_the_loop(seed: int, among: str, tau: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    cosine = torch.rand(4, 7, generator=generator) * 2 - 1
    positive, candidate = torch.rand(2, 4, 7, generator=generator) < torch.tensor([0.3, 0.8])[:, None, None]
    sums, counts = info_nce(cosine, positive, candidate, tau, among)  # type: ignore[arg-type]
    expected = slow(cosine.tolist(), positive.tolist(), candidate.tolist(), tau, among)
    assert counts.tolist() == expected[1]
    torch.testing.assert_close(sums, torch.tensor(expected[0]), rtol=1e-4, atol=1e-5)


def test_an_anchor_without_positives_costs_nothing_and_has_a_finite_gradient() -> None:
    cosine = torch.zeros(2, 3, requires_grad=True)
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    for among in ("candidates", "negatives"):
        sums, counts = info_nce(cosine, nothing, nothing, 0.1, among)  # type: ignore[arg-type]
        assert sums.tolist() == counts.tolist() == [0, 0]
        (gradient,) = torch.autograd.grad(sums.sum(), cosine)
        assert torch.equal(gradient, torch.zeros(2, 3))


def test_a_small_temperature_stays_finite() -> None:
    cosine = torch.tensor([[1.0, -1.0]])
    positive = torch.tensor([[False, True]])
    sums, _ = info_nce(cosine, positive, torch.ones_like(positive), 1e-3)
    assert sums.item() == pytest.approx(2000)
