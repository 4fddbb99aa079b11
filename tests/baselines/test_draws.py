from __future__ import annotations

import torch

from physioclr.baselines.draws import SegmentDraws


def draws(segments: int, seed: int = 0) -> SegmentDraws:
    return SegmentDraws(segments, torch.Generator().manual_seed(seed))


def test_the_same_state_gives_the_same_numbers() -> None:
    first, second = draws(3), draws(3)
    assert torch.equal(first.uniform(2, 5), second.uniform(2, 5))
    assert torch.equal(first.normal(4), second.normal(4))
    assert not torch.equal(draws(3, seed=1).uniform(5), draws(3).uniform(5))


def test_a_segment_has_its_numbers_whatever_comes_after_it() -> None:
    assert torch.equal(draws(5).uniform(7)[:2], draws(2).uniform(7))


def test_segments_and_calls_differ() -> None:
    some = draws(3)
    first, second = some.uniform(6), some.uniform(6)
    assert len(torch.cat((first, second)).unique()) == 36


def test_distributions() -> None:
    some = draws(4)
    uniform, normal = some.uniform(5000), some.normal(5000)
    assert uniform.dtype == normal.dtype == torch.float32
    assert 0 <= uniform.min() < 0.01
    assert 0.99 < uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.01
    assert abs(normal.mean()) < 0.03
    assert abs(normal.std() - 1) < 0.03


def test_the_generator_gives_one_number_a_segment() -> None:
    """So that it is in the same state on every rank afterwards, whatever a method draws."""
    one, other = torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)
    SegmentDraws(3, one).normal(12, 2500)
    SegmentDraws(3, other)
    assert torch.equal(one.get_state(), other.get_state())
