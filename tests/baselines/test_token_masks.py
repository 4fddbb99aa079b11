from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from physioclr.baselines.draws import SegmentDraws
from physioclr.baselines.token_masks import distractors, patch_mask, span_mask

TOKENS = 156


def draws(segments: int, seed: int = 0) -> SegmentDraws:
    return SegmentDraws(segments, torch.Generator().manual_seed(seed))


def runs(mask: Tensor) -> list[int]:
    """Lengths of the runs of True of one row."""
    lengths, length = [], 0
    for value in [*mask.tolist(), False]:
        if value:
            length += 1
        elif length:
            lengths.append(length)
            length = 0
    return lengths


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.floats(0.1, 0.9), st.integers(0, 1000))
def test_patches_are_masked_whole_and_as_many_in_every_segment(patch: int, ratio: float, seed: int) -> None:
    mask = patch_mask(TOKENS, patch, ratio, draws(4, seed))
    patches = -(-TOKENS // patch)
    for row in mask:
        parts = row.split(patch)
        assert all(part.all() or not part.any() for part in parts)
        assert sum(bool(part.all()) for part in parts) == round(ratio * patches)


def test_every_patch_has_its_turn() -> None:
    assert patch_mask(TOKENS, 6, 0.5, draws(200)).float().mean(dim=0).sub(0.5).abs().max() < 0.15


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 78), st.floats(0.01, 0.99), st.integers(0, 1000))
def test_spans_are_no_shorter_than_asked_and_two_tokens_are_masked(span: int, probability: float, seed: int) -> None:
    mask = span_mask(TOKENS, span, probability, draws(4, seed))
    assert mask.shape == (4, TOKENS)
    for row in mask:
        assert min(runs(row)) >= span
        assert row.sum() >= 2
        assert row.sum() <= max(round(probability * TOKENS / span), 2) * span


def test_half_of_the_tokens_with_the_values_of_wav2vec() -> None:
    """65 % of tokens in overlapping spans of 10."""
    mask = span_mask(TOKENS, 10, 0.65, draws(300))
    assert 0.45 < mask.float().mean() < 0.55
    assert mask.any(dim=0).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 12))
def test_distractors_are_other_masked_tokens(seed: int, masked: int) -> None:
    order = torch.rand(3, 20, generator=torch.Generator().manual_seed(seed)).argsort(dim=1)
    mask = order < masked
    other = distractors(mask, 200, draws(3, seed))
    for row in range(3):
        allowed = set(mask[row].nonzero().flatten().tolist())
        for token in allowed:
            found = set(other[row, token].tolist())
            assert found == allowed - {token}, "each of them comes, in 200 draws of 11 at most"


def test_distractors_come_equally_often() -> None:
    mask = torch.tensor([[True, False, True, True, True]])
    counts = distractors(mask, 30_000, draws(1))[0, 2].bincount(minlength=5) / 30_000
    torch.testing.assert_close(counts, torch.tensor([1, 0, 0, 1, 1]) / 3, atol=0.01, rtol=0)
