from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from physioclr.evaluation import health
from physioclr.evaluation.health import (
    alignment,
    effective_rank,
    pair_agreement,
    patient_retrieval,
    record_retrieval,
    uniformity,
)

RECORD = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5])
PATIENT = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 3])


@pytest.fixture(params=[3, 1024])
def z(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """Embeddings [11, 4], looked at in chunks of 3 and all at once."""
    monkeypatch.setattr(health, "CHUNK", request.param)
    return torch.randn(11, 4, generator=torch.Generator().manual_seed(0))


def _unit(z: Tensor) -> np.ndarray:
    rows = z.double().numpy()
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_effective_rank_counts_the_directions_that_are_used() -> None:
    generator = torch.Generator().manual_seed(0)
    spread = torch.randn(2000, 6, generator=generator)
    assert effective_rank(spread) == pytest.approx(6, abs=0.1)
    assert effective_rank(spread[:, :2] @ torch.eye(2, 6) + 7.0) == pytest.approx(2, abs=0.05)
    assert effective_rank(torch.linspace(0, 1, 50)[:, None] * torch.ones(50, 6)) == pytest.approx(1, abs=1e-3)
    assert math.isnan(effective_rank(torch.ones(10, 6)))
    assert math.isnan(effective_rank(torch.full((10, 6), torch.nan)))  # a diverged run is no crash


def test_effective_rank_equals_the_entropy_of_singular_values(z: Tensor) -> None:
    rows = z.double().numpy()
    values = np.linalg.svd(rows - rows.mean(0), compute_uv=False)
    shares = values / values.sum()
    assert effective_rank(z) == pytest.approx(math.exp(-sum(p * math.log(p) for p in shares)), rel=1e-5)


def test_uniformity_equals_the_loop(z: Tensor) -> None:
    unit = _unit(z)
    kernel = [math.exp(-2 * ((unit[i] - unit[j]) ** 2).sum()) for i in range(11) for j in range(i)]
    assert uniformity(z) == pytest.approx(math.log(np.mean(kernel)), rel=1e-5)
    assert uniformity(torch.ones(5, 4)) == pytest.approx(0.0, abs=1e-6)
    assert math.isnan(uniformity(z[:1]))


def test_alignment_equals_the_loop(z: Tensor) -> None:
    unit = _unit(z)
    distances = [((unit[i] - unit[j]) ** 2).sum() for i in range(11) for j in range(i) if RECORD[i] == RECORD[j]]
    assert len(distances) == 5
    assert alignment(z, RECORD) == pytest.approx(np.mean(distances), rel=1e-5)
    assert alignment(z[RECORD], RECORD) == pytest.approx(0.0, abs=1e-6)
    assert math.isnan(alignment(z, torch.arange(11)))


def _slow_retrieval(z: Tensor, right: Tensor, excluded: Tensor) -> tuple[float, float, int]:
    unit = _unit(z)
    hits, chances = [], []
    for i in range(len(unit)):
        candidates = [j for j in range(len(unit)) if excluded[j] != excluded[i]]
        answers = [j for j in candidates if right[j] == right[i]]
        if answers:
            nearest = max(candidates, key=lambda j: float(unit[i] @ unit[j]))
            hits.append(nearest in answers)
            chances.append(len(answers) / len(candidates))
    return float(np.mean(hits)), float(np.mean(chances)), len(hits)


def test_retrieval_equals_the_loop(z: Tensor) -> None:
    of_patient = patient_retrieval(z, RECORD, PATIENT)
    expected = _slow_retrieval(z, PATIENT, RECORD)
    assert (of_patient.share, of_patient.chance, of_patient.queries) == pytest.approx(expected)
    assert of_patient.queries == 8  # patients 1 and 3 have one recording each
    of_record = record_retrieval(z, RECORD)
    expected = _slow_retrieval(z, RECORD, torch.arange(11))
    assert (of_record.share, of_record.chance, of_record.queries) == pytest.approx(expected)
    assert of_record.queries == 10


def test_retrieval_is_perfect_when_embeddings_are_the_identity(z: Tensor) -> None:
    assert patient_retrieval(torch.eye(4)[PATIENT], RECORD, PATIENT).share == 1.0
    assert record_retrieval(torch.eye(6)[RECORD], RECORD).share == 1.0


def test_retrieval_without_a_question_is_unknown(z: Tensor) -> None:
    result = patient_retrieval(z, RECORD, RECORD)  # every patient has one recording
    assert result.queries == 0
    assert math.isnan(result.share)
    assert math.isnan(result.chance)


def test_pair_agreement_equals_the_loop(z: Tensor) -> None:
    generator = torch.Generator().manual_seed(1)
    labels = torch.rand(11, 3, generator=generator) < 0.4
    has_features = torch.rand(11, generator=generator) < 0.9
    unit, delta = _unit(z), 0.1
    kept = [i for i in range(11) if has_features[i] and labels[i].any()]
    pairs = [(i, j) for i in kept for j in kept if i < j and PATIENT[i] != PATIENT[j]]
    shares = {(i, j): bool((labels[i] & labels[j]).any()) for i, j in pairs}
    near = [(i, j) for i, j in pairs if unit[i] @ unit[j] >= delta]
    result = pair_agreement(z, has_features, labels, delta, PATIENT)
    assert result.feature_pairs == len(near)
    assert 0 < len(near) < len(pairs)
    assert result.share == pytest.approx(np.mean([shares[pair] for pair in near]))
    assert result.chance == pytest.approx(np.mean(list(shares.values())))


def test_features_that_are_the_labels_agree_wholly() -> None:
    labels = torch.eye(2, dtype=torch.bool)[torch.tensor([0, 0, 1, 1])]
    result = pair_agreement(labels.float(), torch.ones(4, dtype=torch.bool), labels, 0.5, torch.arange(4))
    assert (result.share, result.chance) == (1.0, pytest.approx(1 / 3))


def test_pair_agreement_without_labels_is_unknown(z: Tensor) -> None:
    result = pair_agreement(z, torch.ones(11, dtype=torch.bool), torch.zeros(11, 3, dtype=torch.bool), 0.0, PATIENT)
    assert result.feature_pairs == 0
    assert math.isnan(result.share)
    assert math.isnan(result.chance)
