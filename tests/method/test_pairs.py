from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.config import ObjectiveConfig
from physioclr.method.pairs import PairKeys, Pairs, find_pairs


def keys(features: torch.Tensor, has: list[bool] | None = None, patient: list[int] | None = None) -> PairKeys:
    count = len(features)
    return PairKeys(
        features,
        torch.tensor(has if has is not None else [True] * count),
        torch.arange(count) // 2,
        torch.tensor(patient) if patient is not None else torch.arange(count) // 2,
    )


def pairs_of(everyone: PairKeys, **objective: Any) -> Pairs:
    view = torch.ones(len(everyone.record_X), dtype=torch.bool)
    return find_pairs(everyone, everyone, 0, view, ObjectiveConfig(**objective))


def reference(everyone: PairKeys, objective: ObjectiveConfig) -> tuple[list[set[int]], list[set[int]], list[set[int]]]:
    """P_pt U P_feat, P_feat and N of each segment, one pair at a time."""
    positives, by_features, negatives = [], [], []
    count = len(everyone.record_X)
    for i in range(count):
        origin: set[int] = set()
        alike: set[int] = set()
        different: set[int] = set()
        for j in range(count):
            if i == j:
                continue
            same_record = bool(everyone.record_X[i] == everyone.record_X[j])
            same_patient = bool(everyone.patient_X[i] == everyone.patient_X[j])
            if objective.patient_positives == "record" and same_record:
                origin.add(j)
            if objective.patient_positives == "patient" and (same_patient or same_record):
                origin.add(j)
            if everyone.has_features_X[i] and everyone.has_features_X[j]:
                a, b = everyone.features_XK[i].tolist(), everyone.features_XK[j].tolist()
                cosine = sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))
                (alike if cosine >= objective.delta else different).add(j)
        if not objective.feature_positives:
            alike = set()
        if not objective.feature_negatives:
            different = set(range(count)) - {i}
        positives.append(origin | alike)
        by_features.append(alike)
        negatives.append(different - origin - alike)
    return positives, by_features, negatives


def as_sets(mask: torch.Tensor) -> list[set[int]]:
    return [set(row.nonzero().flatten().tolist()) for row in mask]


@given(
    st.integers(0, 2**31),
    st.sampled_from(["none", "record", "patient"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([-0.5, 0.0, 0.25, 0.75]),
)
@settings(deadline=None, max_examples=60)
def test_equals_the_loop(
    seed: int, patient_positives: str, feature_positives: bool, feature_negatives: bool, delta: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    everyone = PairKeys(
        torch.randn(12, 3, generator=generator),
        torch.rand(12, generator=generator) > 0.2,
        torch.arange(12) // 2,
        torch.randint(0, 3, (6,), generator=generator).repeat_interleave(2),
    )
    objective = ObjectiveConfig(
        patient_positives=patient_positives,  # type: ignore[arg-type]
        feature_positives=feature_positives,
        feature_negatives=feature_negatives,
        delta=delta,
    )
    pairs = find_pairs(everyone, everyone, 0, torch.ones(12, dtype=torch.bool), objective)

    positives, by_features, negatives = reference(everyone, objective)
    assert as_sets(pairs.positive_SG) == positives
    assert as_sets(pairs.feature_SG) == by_features
    assert as_sets(pairs.negative_SG) == negatives


@pytest.mark.parametrize("patient_positives", ["none", "record", "patient"])
@pytest.mark.parametrize("delta", [-1.0, 0.25, 1.0])
def test_a_segment_is_never_its_own_positive_nor_negative(patient_positives: str, delta: float) -> None:
    """In the authors' release it is its own positive, and takes most of the pull from the real ones."""
    everyone = keys(torch.randn(8, 5, generator=torch.Generator().manual_seed(0)), patient=[0] * 8)
    pairs = pairs_of(everyone, patient_positives=patient_positives, delta=delta)
    for mask in (pairs.positive_SG, pairs.feature_SG, pairs.negative_SG):
        assert not mask.diagonal().any()


def test_a_cosine_of_exactly_delta_is_positive() -> None:
    pairs = pairs_of(keys(torch.tensor([[1.0, 0.0], [0.0, 1.0], [3.0, 4.0]])), delta=0.6, patient_positives="none")
    assert as_sets(pairs.feature_SG) == [{2}, {2}, {0, 1}]
    above = pairs_of(keys(torch.tensor([[1.0, 0.0], [3.0, 4.0]])), delta=0.6 + 1e-12, patient_positives="none")
    assert as_sets(above.feature_SG) == [set(), set()]
    assert as_sets(above.negative_SG) == [{1}, {0}]


@pytest.mark.parametrize("filler", [0.0, math.nan, math.inf])
def test_without_features_a_pair_is_neither_feature_positive_nor_negative(filler: float) -> None:
    features = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    features[2] = filler
    pairs = pairs_of(keys(features, has=[True, True, False, True, True, True]))
    assert as_sets(pairs.positive_SG)[2] == {3}  # the other half stays: it needs no features
    assert not pairs.negative_SG[2].any()
    assert not pairs.negative_SG[:, 2].any()
    assert not pairs.feature_SG[2].any()
    assert not pairs.feature_SG[:, 2].any()
    assert (pairs.positive_SG | pairs.negative_SG)[0].tolist() == [False, True, False, True, True, True]


def test_the_other_half_is_positive_even_where_its_features_differ() -> None:
    features = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    pairs = pairs_of(keys(features))
    assert as_sets(pairs.positive_SG) == [{1}, {0}, {3}, {2}]
    assert as_sets(pairs.negative_SG) == [{2, 3}, {2, 3}, {0, 1}, {0, 1}]
    none = pairs_of(keys(features), patient_positives="none")
    assert not none.positive_SG.any()
    assert none.negative_SG.sum() == 12


def test_without_any_say_of_features_all_others_are_negatives() -> None:
    features = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    pairs = pairs_of(keys(features, has=[False] * 3 + [True] * 3), feature_positives=False, feature_negatives=False)
    assert as_sets(pairs.positive_SG) == [{1}, {0}, {3}, {2}, {5}, {4}]
    anyone = pairs.positive_SG | pairs.negative_SG
    assert torch.equal(anyone, ~torch.eye(6, dtype=torch.bool))
    assert not (pairs.positive_SG & pairs.negative_SG).any()


def test_other_records_of_the_patient_are_positive_only_if_asked_for() -> None:
    features = torch.eye(6)
    patient = [0, 0, 7, 7, 0, 0]
    assert as_sets(pairs_of(keys(features, patient=patient)).positive_SG)[0] == {1}
    whole = pairs_of(keys(features, patient=patient), patient_positives="patient")
    assert as_sets(whole.positive_SG)[0] == {1, 4, 5}
    assert as_sets(whole.negative_SG)[0] == {2, 3}


def test_pairs_of_a_rank_are_its_rows_of_the_pairs_of_all() -> None:
    """Pairs are over the global batch: the second rank's anchors see the first rank's segments."""
    everyone = keys(torch.randn(8, 3, generator=torch.Generator().manual_seed(2)), patient=[0] * 8)
    whole = pairs_of(everyone, patient_positives="patient", delta=0.0)
    fields = ("features_XK", "has_features_X", "record_X", "patient_X")
    own = PairKeys(*(getattr(everyone, name)[4:] for name in fields))
    objective = ObjectiveConfig(patient_positives="patient", delta=0.0)
    part = find_pairs(own, everyone, 4, torch.ones(4, dtype=torch.bool), objective)
    assert torch.equal(part.positive_SG, whole.positive_SG[4:])
    assert torch.equal(part.feature_SG, whole.feature_SG[4:])
    assert torch.equal(part.negative_SG, whole.negative_SG[4:])
