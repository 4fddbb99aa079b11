from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from physioclr.baselines import augmentations
from physioclr.baselines.config import SimCLRMethod, ThreeKGMethod
from physioclr.baselines.draws import SegmentDraws
from physioclr.baselines.two_views import SimCLR, ThreeKG, TwoViews
from physioclr.baselines.vectorcardiogram import turn_and_stretch
from physioclr.method.batch import SegmentBatch
from tests.small import SMALL


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def make_batch(patients: tuple[int, ...] = (0, 0, 1)) -> SegmentBatch:
    count = 2 * len(patients)
    return SegmentBatch(
        signal_SLT=torch.randn(count, 12, 2500, generator=torch.Generator().manual_seed(0)),
        r_peaks_SR=torch.full((count, 1), -1),
        intervals_SI2=torch.full((count, 1, 2), -1),
        features_SK=torch.zeros(count, 2),
        has_features_S=torch.zeros(count, dtype=torch.bool),
        record_S=torch.arange(count) // 2,
        patient_S=torch.tensor(patients).repeat_interleave(2),
    )


def simclr(**method: Any) -> SimCLR:
    torch.manual_seed(0)
    return SimCLR(SMALL, SimCLRMethod(**method))


def three_kg(**method: Any) -> ThreeKG:
    torch.manual_seed(0)
    return ThreeKG(SMALL, ThreeKGMethod(**method))


def embeddings(model: TwoViews, batch: SegmentBatch) -> list[Tensor]:
    """Unit vectors of all first views, then of all second ones, with the draws of `check`, one by one."""
    draws = SegmentDraws(len(batch), torch.Generator().manual_seed(3))
    found = []
    for _ in range(2):
        for view in model.view(batch.signal_SLT, draws):
            vector = model.projection(model.encoder.embed(view[None]))[0]
            found.append(vector / vector.norm())
    return found


def check(model: TwoViews, batch: SegmentBatch, losses: list[Tensor]) -> dict[str, Tensor]:
    """The mean of `losses` is the loss, its gradient too, through anchors and candidates alike. Gives the terms."""
    output = model(batch, torch.Generator().manual_seed(3))
    expected = torch.stack(losses).mean()
    torch.testing.assert_close(output.loss, expected, rtol=1e-4, atol=1e-5)
    assert output.loss.item() == output.terms["loss"].item()
    parameters = list(model.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(output.loss, parameters),
        torch.autograd.grad(expected, parameters),
        rtol=2e-3,
        atol=1e-5,
    )
    terms: dict[str, Tensor] = output.terms
    return terms


def test_simclr_is_nt_xent() -> None:
    model, batch = simclr(temperature=0.2), make_batch()
    z, count = embeddings(model, batch), len(batch)
    losses, aligned = [], []
    for i in range(2 * count):
        positive = (i + count) % (2 * count)
        everyone = sum(torch.exp(z[i].dot(z[j]) / 0.2) for j in range(2 * count) if j != i)
        losses.append(-torch.log(torch.exp(z[i].dot(z[positive]) / 0.2) / everyone))
        aligned.append(z[i].dot(z[positive]).item())
    terms = check(model, batch, losses)
    assert terms["alignment"].item() == pytest.approx(sum(aligned) / len(aligned), rel=1e-4)
    assert (terms["positives_mean"], terms["negatives_mean"]) == (1, 2 * count - 2)


@pytest.mark.parametrize("positives", ["patient", "segment"])
def test_3kg_is_the_loop_over_pairs_of_a_patient(positives: str) -> None:
    model, batch = three_kg(positives=positives, temperature=0.2), make_batch()
    z, count = embeddings(model, batch), len(batch)
    key = batch.patient_S.tolist() if positives == "patient" else list(range(count))
    owner = key + key
    losses = []
    for i in range(2 * count):
        negatives = sum(torch.exp(z[i].dot(z[j]) / 0.2) for j in range(2 * count) if owner[j] != owner[i])
        for j in range(2 * count):
            if j != i and owner[j] == owner[i]:
                s = torch.exp(z[i].dot(z[j]) / 0.2)
                losses.append(-torch.log(s / (s + negatives)))
    terms = check(model, batch, losses)
    assert terms["positives_mean"].item() == pytest.approx(len(losses) / (2 * count))


def test_the_two_views_of_a_segment_differ() -> None:
    batch = make_batch()
    for model in (simclr(), three_kg()):
        draws = SegmentDraws(len(batch), torch.Generator().manual_seed(0))
        first, second = model.view(batch.signal_SLT, draws), model.view(batch.signal_SLT, draws)
        assert (first - second).abs().amax(dim=(1, 2)).min() > 0.1


@pytest.mark.parametrize("name", ["powerline", "muscle", "wander", "mask_leads"])
def test_each_noise_of_simclr_can_be_had_alone(name: str) -> None:
    """The others, off, draw their numbers and change nothing."""
    off = dict.fromkeys(("powerline", "muscle", "wander", "mask_leads"), 0.0)
    signal, generator = make_batch().signal_SLT, torch.Generator().manual_seed(1)
    view = simclr(**off | {name: 0.5}).view(signal, SegmentDraws(6, generator))
    assert not torch.equal(view, signal)
    untouched = simclr(**off).view(signal, SegmentDraws(6, generator))
    assert torch.equal(untouched, signal)


def test_the_view_of_3kg_is_turned_then_masked() -> None:
    signal = make_batch().signal_SLT
    view = three_kg(angle=30.0, scale=1.2, mask_time=0.25, residual="dropped").view(
        signal, SegmentDraws(6, torch.Generator().manual_seed(1))
    )
    draws = SegmentDraws(6, torch.Generator().manual_seed(1))
    turned = turn_and_stretch(signal, 30, 1.2, draws, keep_residual=False)
    assert torch.equal(view, augmentations.mask_time(turned, 0.25, draws))
    assert ((view == 0).sum(dim=2) == 625).all()
