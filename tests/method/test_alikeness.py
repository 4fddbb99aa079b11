"""How features choose pairs other than by a fixed cosine: against loops, and what each promises."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from physioclr.config import ObjectiveConfig
from physioclr.method.alikeness import alikeness
from physioclr.method.contrastive import masks
from physioclr.method.pairs import PairKeys, Pairs, feature_cosine, find_pairs


def keys(seed: int, count: int = 10, quality: bool = False) -> PairKeys:
    generator = torch.Generator().manual_seed(seed)
    return PairKeys(
        torch.randn(count, 4, generator=generator),
        torch.rand(count, generator=generator) > 0.2,
        torch.arange(count) // 2,
        torch.arange(count) // 4,
        torch.rand(count, generator=generator) if quality else None,
    )


def alike(everyone: PairKeys, **objective: Any) -> torch.Tensor:
    cosine = feature_cosine(everyone, everyone)
    other = ~torch.eye(len(cosine), dtype=torch.bool)
    return alikeness(cosine, other, cosine, ObjectiveConfig(**objective))


def pairs_of(everyone: PairKeys, **objective: Any) -> Pairs:
    view = torch.ones(len(everyone.record_X), dtype=torch.bool)
    return find_pairs(everyone, everyone, 0, view, ObjectiveConfig(**objective))


@given(seed=st.integers(0, 2**31), count=st.integers(1, 12))
def test_nearest_equals_the_loop(seed: int, count: int) -> None:
    everyone = keys(seed)
    cosine, found = feature_cosine(everyone, everyone), alike(everyone, choose="nearest", nearest=count)
    for i in range(10):
        ranked = sorted((j for j in range(10) if j != i and not cosine[i, j].isnan()), key=lambda j: -cosine[i, j])
        assert set((found[i] == 1).nonzero().flatten().tolist()) == set(ranked[:count])
    assert torch.equal(found.isnan(), cosine.isnan())


@given(seed=st.integers(0, 2**31), share=st.floats(0.0, 0.99))
def test_quantile_leaves_that_share_of_the_pairs_below(seed: int, share: float) -> None:
    everyone = keys(seed)
    known = [float(value) for i, row in enumerate(feature_cosine(everyone, everyone)) for value in row[i + 1 :]]
    known = [value for value in known if not math.isnan(value)]
    found = alike(everyone, choose="quantile", quantile=share)
    chosen = sum(bool(found[i, j] == 1) for i in range(10) for j in range(i + 1, 10))
    if known:
        assert chosen == len(known) - min(int(share * len(known)), len(known) - 1)
    else:
        assert chosen == 0


@given(seed=st.integers(0, 2**31), delta=st.floats(-0.9, 0.9))
def test_soft_with_a_narrow_step_is_delta(seed: int, delta: float) -> None:
    everyone = keys(seed)
    hard, soft = alike(everyone, delta=delta), alike(everyone, delta=delta, choose="soft", softness=1e-12)
    torch.testing.assert_close(hard, soft, equal_nan=True)


def test_soft_weighs_by_the_cosine() -> None:
    found = alike(keys(3), choose="soft", delta=0.2, softness=0.5)
    cosine = feature_cosine(keys(3), keys(3))
    for value, expected in zip(found.flatten().tolist(), cosine.flatten().tolist(), strict=True):
        if not math.isnan(expected):
            assert value == pytest.approx(1 / (1 + math.exp(-(expected - 0.2) / 0.5)))


def test_a_soft_pair_is_positive_and_negative_and_both_weights_are_one_together() -> None:
    everyone = keys(0)
    pairs = pairs_of(everyone, choose="soft", softness=0.3)
    assert pairs.weights is not None
    both = pairs.positive_SG & pairs.negative_SG
    assert both.any()
    torch.testing.assert_close((pairs.weights[0] + pairs.weights[1])[both], torch.ones(int(both.sum())))
    same_record = everyone.record_X[:, None] == everyone.record_X[None, :]
    others = same_record & ~torch.eye(10, dtype=torch.bool)
    assert (pairs.weights[0][others] == 1).all(), "the other half is known to be alike"
    assert not (pairs.negative_SG & others).any()


def test_without_features_no_one_is_chosen() -> None:
    everyone = keys(0)
    none = ~everyone.has_features_X
    for choose in ("delta", "quantile", "nearest", "soft"):
        pairs = pairs_of(everyone, choose=choose)
        for mask in (pairs.feature_SG, pairs.negative_SG):
            assert not mask[none].any()
            assert not mask[:, none].any()


def test_confidence_weighs_what_the_features_chose_and_nothing_else() -> None:
    everyone = keys(5, quality=True)
    assert everyone.quality_X is not None
    sure = everyone.quality_X[:, None] * everyone.quality_X[None, :]
    plain, weighed = pairs_of(everyone), pairs_of(everyone, confidence=True)
    assert plain.weights is None
    assert weighed.weights is not None
    assert torch.equal(plain.positive_SG, weighed.positive_SG)
    assert torch.equal(plain.negative_SG, weighed.negative_SG)
    origin = everyone.record_X[:, None] == everyone.record_X[None, :]
    chosen = weighed.positive_SG & ~origin
    torch.testing.assert_close(weighed.weights[0][chosen], sure[chosen])
    torch.testing.assert_close(weighed.weights[1][weighed.negative_SG], sure[weighed.negative_SG])
    assert (weighed.weights[0][weighed.positive_SG & origin] == 1).all()


def test_a_quality_that_is_not_known_counts_as_sure() -> None:
    everyone = keys(5, quality=True)
    unknown = PairKeys(
        *(getattr(everyone, name) for name in ("features_XK", "has_features_X", "record_X", "patient_X")),
        quality_X=torch.full((10,), torch.nan),
    )
    pairs = pairs_of(unknown, confidence=True)
    assert pairs.weights is not None
    assert (pairs.weights[0] == 1).all()
    assert (pairs.weights[1] == 1).all()


def test_a_segment_of_no_quality_is_in_no_pair_that_features_chose_and_is_counted_as_left_out() -> None:
    everyone = keys(5)
    quality = torch.ones(10)
    quality[2] = 0.0
    everyone = PairKeys(
        everyone.features_XK, torch.ones(10, dtype=torch.bool), everyone.record_X, everyone.patient_X, quality
    )
    positive, negative = masks(pairs_of(everyone, confidence=True))
    assert positive[2].nonzero().flatten().tolist() == [3, 10]  # the other half, and the own view
    assert not negative[2].any()
    assert not negative[:, 2].any()


def test_confidence_leaves_negatives_alone_that_features_did_not_choose() -> None:
    everyone = keys(5, quality=True)
    weights = pairs_of(everyone, confidence=True, feature_negatives=False).weights
    assert weights is not None
    assert (weights[1] == 1).all()
    assert not (weights[0] == 1).all()


def test_soft_needs_the_negatives_of_features() -> None:
    with pytest.raises(ValidationError, match="feature_negatives=false takes the latter away"):
        ObjectiveConfig(choose="soft", feature_negatives=False)
