from __future__ import annotations

import math

import pytest
import torch

from physioclr.baselines.draws import SegmentDraws
from physioclr.baselines.quantiser import Quantiser, gumbel, perplexity
from physioclr.errors import ConfigError


def draws(segments: int = 3, seed: int = 0) -> SegmentDraws:
    return SegmentDraws(segments, torch.Generator().manual_seed(seed))


def make() -> Quantiser:
    torch.manual_seed(0)
    return Quantiser(width=5, codebooks=2, entries=7, output=6)


def test_a_target_is_one_entry_of_each_codebook_side_by_side() -> None:
    quantiser, tokens = make(), torch.randn(3, 4, 5)
    for training in (True, False):
        found = quantiser.train(training)(tokens, 1.0, draws())
        assert found.target_SNQ.shape == (3, 4, 6)
        for s in range(3):
            for n in range(4):
                first, second = found.entry_SNB[s, n].tolist()
                expected = torch.cat((quantiser.book[0, first], quantiser.book[1, second]))
                torch.testing.assert_close(found.target_SNQ[s, n], expected)


def test_without_training_the_most_likely_entry_is_taken_and_nothing_is_drawn() -> None:
    quantiser, tokens = make().eval(), torch.randn(3, 4, 5)
    some = draws()
    found = quantiser(tokens, 1.0, some)
    logits = (tokens @ quantiser.choose.weight.T + quantiser.choose.bias).view(3, 4, 2, 7)
    assert torch.equal(found.entry_SNB, logits.argmax(dim=-1))
    torch.testing.assert_close(found.likely_SNBE, logits.softmax(dim=-1))
    assert torch.equal(some.uniform(2), draws().uniform(2))


def test_in_training_entries_are_drawn_as_likely_as_they_are() -> None:
    """The maximum of logits with Gumbel noise is a draw from their softmax, whatever the temperature."""
    quantiser = make()
    tokens = torch.randn(1, 1, 5).expand(1, 20_000, 5)
    quantiser.choose.weight.data *= 0.3
    found = quantiser(tokens, 0.5, draws(1))
    for book in range(2):
        share = found.entry_SNB[0, :, book].bincount(minlength=7) / 20_000
        torch.testing.assert_close(share, found.likely_SNBE[0, 0, book].detach(), atol=0.015, rtol=0)


def test_the_gradient_is_that_of_the_soft_choice() -> None:
    quantiser, tokens, temperature = make(), torch.randn(3, 4, 5), 0.7
    weight = torch.randn(3, 4, 6)
    found = quantiser(tokens, temperature, draws())
    (gradient,) = torch.autograd.grad((found.target_SNQ * weight).sum(), quantiser.choose.weight)
    logits = quantiser.choose(tokens).view(3, 4, 2, 7)
    soft = ((logits + gumbel(draws(), logits.shape[1:])) / temperature).softmax(dim=-1)
    target = torch.cat([soft[:, :, book] @ quantiser.book[book].detach() for book in range(2)], dim=2)
    (expected,) = torch.autograd.grad((target * weight).sum(), quantiser.choose.weight)
    torch.testing.assert_close(gradient, expected)


def test_gumbel_noise_is_finite_and_has_gumbels_mean_and_deviation() -> None:
    noise = gumbel(draws(4), torch.Size((100, 100)))
    assert torch.isfinite(noise).all()
    assert noise.mean() == pytest.approx(0.5772, abs=0.03)
    assert noise.std() == pytest.approx(math.pi / math.sqrt(6), abs=0.03)


def test_perplexity_counts_entries_in_use() -> None:
    even = torch.full((2, 8), 1 / 8)
    assert perplexity(even).item() == pytest.approx(16, rel=1e-4)
    one = torch.zeros(2, 8)
    one[:, 3] = 1
    assert perplexity(one).item() == pytest.approx(2, rel=1e-4)
    half = torch.tensor([[0.5, 0.5, 0.0, 0.0]])
    assert perplexity(half).item() == pytest.approx(2, rel=1e-4)


def test_codebooks_that_do_not_divide_the_output_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.projection 6 cannot be shared by method\.codebooks 4"):
        Quantiser(width=5, codebooks=4, entries=7, output=6)
