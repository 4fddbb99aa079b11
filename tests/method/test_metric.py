"""The learned similarity: what it is trained to, and that the encoder's loss does not reach it."""

from __future__ import annotations

import math

import pytest
import torch

from physioclr.config import ModelConfig, ObjectiveConfig
from physioclr.features.columns import COLUMNS
from physioclr.method.batch import SegmentBatch
from physioclr.method.metric import TEMPERATURE, FeatureMetric, metric_rows
from physioclr.method.objective import PhysioCLR
from physioclr.method.pairs import PairKeys

MODEL = ModelConfig(conv_channels=8, width=16, depth=1, heads=2, feedforward=16, position_kernel=8, position_groups=2)


def batch(count: int = 16) -> SegmentBatch:
    """Recordings of which each has measures of its own, with a little noise in each half."""
    generator = torch.Generator().manual_seed(0)
    own = torch.randn(count // 2, len(COLUMNS), generator=generator).repeat_interleave(2, dim=0)
    return SegmentBatch(
        signal_SLT=torch.randn(count, 12, 2500, generator=generator),
        r_peaks_SR=torch.arange(100, 2400, 400).expand(count, -1),
        intervals_SI2=torch.full((count, 1, 2), -1),
        features_SK=torch.randn(count, 4, generator=generator),
        has_features_S=torch.arange(count) != 3,
        record_S=torch.arange(count) // 2,
        patient_S=torch.arange(count) // 2,
        measures_SF=own + 0.5 * torch.randn(count, len(COLUMNS), generator=generator),
    )


def test_its_loss_equals_the_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    unit = torch.nn.functional.normalize(torch.randn(8, 3, generator=generator), dim=1)
    has = torch.tensor([True, True, True, False, True, True, True, True])
    record, patient = torch.arange(8) // 2, torch.tensor([0, 0, 0, 0, 1, 1, 2, 2])
    keys = PairKeys(unit, has, record, patient)
    rows, valid = metric_rows(keys, keys, 0)
    for i in range(8):
        others = [j for j in range(8) if j != i and has[i] and has[j]]
        same = [j for j in others if patient[i] == patient[j]]
        e = {j: math.exp(float(unit[i] @ unit[j]) / TEMPERATURE) for j in others}
        apart = sum(e[j] for j in others if j not in same)
        assert bool(valid[i]) == bool(same)
        expected = sum(-math.log(e[j] / (e[j] + apart)) for j in same) / len(same) if same else 0.0
        assert rows[i].item() == pytest.approx(expected, rel=1e-5)


def test_training_brings_the_halves_of_a_recording_together() -> None:
    torch.manual_seed(0)
    metric, data = FeatureMetric(8), batch()
    assert data.measures_SF is not None
    optimiser = torch.optim.Adam(metric.parameters(), lr=1e-2)

    def step() -> float:
        unit = metric(data.measures_SF)
        keys = PairKeys(unit, data.has_features_S, data.record_S, data.patient_S)
        rows, valid = metric_rows(keys, keys, 0)
        loss = rows.sum() / valid.sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    first = step()
    for _ in range(30):
        last = step()
    assert last < 0.2 * first


def test_only_its_own_loss_reaches_it() -> None:
    torch.manual_seed(0)
    learned = PhysioCLR(MODEL, ObjectiveConfig(similarity="learned", metric_weight=1e-12))
    learned(batch(), torch.Generator().manual_seed(0)).loss.backward()
    assert learned.metric is not None
    for parameter in learned.metric.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() < 1e-9
    output = learned(batch(), torch.Generator().manual_seed(0))
    assert output.terms["metric"] > 0


def test_without_measures_it_says_so() -> None:
    data = batch()
    bare = SegmentBatch(
        **{name: getattr(data, name) for name in SegmentBatch.__dataclass_fields__ if name != "measures_SF"}
    )
    with pytest.raises(ValueError, match=r"needs SegmentBatch\.measures_SF"):
        PhysioCLR(MODEL, ObjectiveConfig(similarity="learned"))(bare)


def test_reduced_precision_does_not_round_its_cosines() -> None:
    unit = torch.nn.functional.normalize(torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    keys = PairKeys(unit, torch.ones(8, dtype=torch.bool), torch.arange(8) // 2, torch.arange(8) // 4)
    with torch.autocast("cpu", torch.bfloat16):
        rows, _ = metric_rows(keys, keys, 0)
    assert torch.equal(rows, metric_rows(keys, keys, 0)[0])
