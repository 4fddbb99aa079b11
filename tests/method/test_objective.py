from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional

from physioclr.config import ModelConfig, ObjectiveConfig
from physioclr.method.batch import SegmentBatch
from physioclr.method.objective import ObjectiveOutput, PhysioCLR
from physioclr.method.shuffling import draw_keys, shuffle_beats

SMALLEST: dict[str, Any] = {
    "conv_channels": 8,
    "width": 16,
    "depth": 1,
    "heads": 2,
    "feedforward": 16,
    "position_kernel": 8,
    "position_groups": 2,
    "projection": 8,
}
TERMS = {
    *("loss", "contrastive", "reconstruction_global", "reconstruction_peak"),
    *("positives_mean", "feature_positives_mean", "negatives_mean"),
    *("anchors_without_negatives", "anchors_without_positives"),
    *("not_shuffled", "without_peak_mask", "without_features", "alignment"),
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def make_batch(records: int = 4, seed: int = 0) -> SegmentBatch:
    """Segment 1 lacks intervals, segment 2 lacks features, segment 3 has two R peaks only, segment 4 has nothing."""
    generator = torch.Generator().manual_seed(seed)
    count = 2 * records
    r_peaks = torch.arange(100, 2400, 450).expand(count, -1).clone() + torch.arange(count)[:, None]
    intervals = torch.stack((r_peaks - 20, r_peaks + 40), dim=-1)
    has_features = torch.ones(count, dtype=torch.bool)
    intervals[[1, 4]] = -1
    has_features[[2, 4]] = False
    r_peaks[3, 2:] = -1
    r_peaks[4] = -1
    return SegmentBatch(
        signal_SLT=torch.randn(count, 12, 2500, generator=generator),
        r_peaks_SR=r_peaks,
        intervals_SI2=intervals,
        features_SK=torch.randn(count, 5, generator=generator),
        has_features_S=has_features,
        record_S=torch.arange(count) // 2,
        patient_S=torch.arange(count) // 4,
    )


def make(dropout: float = 0.0, **objective: Any) -> PhysioCLR:
    torch.manual_seed(0)
    return PhysioCLR(ModelConfig(dropout=dropout, **SMALLEST), ObjectiveConfig(**objective))


def run(model: PhysioCLR, batch: SegmentBatch, seed: int = 5) -> ObjectiveOutput:
    output: ObjectiveOutput = model(batch, torch.Generator().manual_seed(seed))
    return output


def reference(model: PhysioCLR, batch: SegmentBatch, seed: int) -> dict[str, Any]:
    """The whole objective one segment and one pair at a time, from the definitions, with gradient."""
    asked, count = model.objective, len(batch)
    views, shuffled = shuffle_beats(
        batch.signal_SLT, batch.r_peaks_SR, draw_keys(count, torch.Generator().manual_seed(seed))
    )
    z = functional.normalize(model.projection(model.encoder.embed(batch.signal_SLT)), dim=1)
    z_view = functional.normalize(model.projection(model.encoder.embed(views)), dim=1)
    decoded = model.decoder(model.encoder(batch.signal_SLT))
    rows, peaks, wholes, aligned = [], [], [], []
    positives_count = negatives_count = 0
    for i in range(count):
        positive, negative = [], []
        for j in range(count):
            if i == j:
                continue
            s = z[i].dot(z[j])
            known = bool(batch.has_features_S[i] and batch.has_features_S[j])
            cosine = float(functional.cosine_similarity(batch.features_SK[i], batch.features_SK[j], dim=0))
            if batch.record_S[i] == batch.record_S[j] or (known and cosine >= asked.delta):
                positive.append(s)
            elif known:
                negative.append(s)
        if asked.shuffle_positives and shuffled[i]:
            positive.append(z_view[i].dot(z[i]))
        positives_count, negatives_count = positives_count + len(positive), negatives_count + len(negative)
        aligned += positive
        tau = asked.temperature
        if positive and negative:
            of_negatives = torch.stack(negative).div(tau).exp().sum()
            if asked.form == "released":
                rows.append(-torch.stack(positive).div(tau).exp().sum().log() + torch.log(of_negatives))
            else:
                each = [-torch.log((s / tau).exp() / ((s / tau).exp() + of_negatives)) for s in positive]
                rows.append(torch.stack(each).mean())
        error = (decoded[i] - batch.signal_SLT[i]).square()
        wholes.append(error.mean())
        waves = [(a, b) for a, b in batch.intervals_SI2[i].tolist() if a >= 0]
        waves = waves or [(max(r - 100, 0), r + 200) for r in batch.r_peaks_SR[i].tolist() if r >= 0]
        covered = sorted({t for a, b in waves for t in range(a, min(b, 2500))})
        if covered:
            peaks.append(error[:, covered].sum() / (12 * len(covered)))
    means = [sum(values) / len(values) for values in (rows, wholes, peaks)]
    return {
        "contrastive": means[0],
        "reconstruction_global": means[1],
        "reconstruction_peak": means[2],
        "loss": means[0] + asked.global_weight * means[1] + asked.peak_weight * means[2],
        "positives_mean": positives_count / count,
        "negatives_mean": negatives_count / count,
        "alignment": sum(aligned) / len(aligned),
    }


@pytest.mark.parametrize("form", ["released", "supcon"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_equals_the_loop(form: str, shuffle: bool) -> None:
    model, batch = make(form=form, shuffle_positives=shuffle, global_weight=0.3), make_batch()
    output = run(model, batch)
    slow = reference(model, batch, seed=5)

    assert set(output.terms) == TERMS
    for name, expected in slow.items():
        assert output.terms[name].item() == pytest.approx(float(torch.as_tensor(expected).detach()), rel=1e-4), name
    assert output.loss.item() == pytest.approx(output.terms["loss"].item())
    # The gradient too: it flows through anchors, candidates and views alike.
    parameters = list(model.parameters())
    found = torch.autograd.grad(output.loss, parameters)
    torch.testing.assert_close(found, torch.autograd.grad(slow["loss"], parameters), rtol=2e-3, atol=1e-5)


def test_what_is_left_out_is_counted() -> None:
    terms = run(make(), make_batch()).terms
    assert terms["not_shuffled"].item() == pytest.approx(2 / 8)
    assert terms["without_peak_mask"].item() == pytest.approx(1 / 8)
    assert terms["without_features"].item() == pytest.approx(2 / 8)
    assert terms["anchors_without_negatives"].item() >= 2 / 8
    assert run(make(shuffle_positives=False), make_batch()).terms["not_shuffled"].item() == 1
    assert run(make(shuffle_positives=False, patient_positives="none", feature_positives=False), make_batch()).terms[
        "anchors_without_positives"
    ].item() == pytest.approx(1)


@pytest.mark.parametrize("form", ["released", "supcon"])
def test_a_batch_without_any_pair_or_mask_still_trains_the_reconstruction(form: str) -> None:
    batch = make_batch()
    empty = replace(
        batch,
        r_peaks_SR=torch.full_like(batch.r_peaks_SR, -1),
        intervals_SI2=torch.full_like(batch.intervals_SI2, -1),
        has_features_S=torch.zeros_like(batch.has_features_S),
        features_SK=torch.full_like(batch.features_SK, math.nan),
    )
    model = make(form=form, patient_positives="none")
    output = run(model, empty)
    output.loss.backward()
    assert output.terms["contrastive"].item() == 0
    assert output.terms["reconstruction_peak"].item() == 0
    assert math.isnan(output.terms["alignment"].item())
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any() == (not name.startswith("projection")), name


ABLATIONS: dict[str, dict[str, Any]] = {
    "patient only": {"feature_positives": False, "shuffle_positives": False},
    "patient only, features without any say": {
        "feature_positives": False,
        "feature_negatives": False,
        "shuffle_positives": False,
    },
    "feature only": {"patient_positives": "none", "shuffle_positives": False},
    "augmentation only": {"patient_positives": "none", "feature_positives": False},
    "without shuffling": {"shuffle_positives": False},
    "without the contrastive term": {"contrastive_weight": 0.0},
    "without the global term": {"global_weight": 0.0},
    "without the peak term": {"peak_weight": 0.0},
    "without reconstruction": {"global_weight": 0.0, "peak_weight": 0.0},
    "the released form": {"form": "released"},
}


@pytest.mark.parametrize("name", ABLATIONS)
def test_each_ablation_is_a_configuration_with_a_loss_of_its_own(name: str) -> None:
    output, whole = run(make(**ABLATIONS[name]), make_batch()), run(make(), make_batch())
    assert math.isfinite(output.loss.item())
    assert output.loss.item() != whole.loss.item()
    terms, weights = output.terms, ObjectiveConfig(**ABLATIONS[name])
    expected = (
        weights.contrastive_weight * terms["contrastive"]
        + weights.global_weight * terms["reconstruction_global"]
        + weights.peak_weight * terms["reconstruction_peak"]
    )
    assert output.loss.item() == pytest.approx(expected.item())


def test_what_an_ablation_leaves_out_gives_no_gradient() -> None:
    model = make(contrastive_weight=0.0)
    run(model, make_batch()).loss.backward()
    assert model.projection.weight.grad is not None
    assert not model.projection.weight.grad.any()
    model = make(global_weight=0.0, peak_weight=0.0)
    run(model, make_batch()).loss.backward()
    assert all(p.grad is not None and not p.grad.any() for p in model.decoder.parameters())


def test_every_parameter_gets_a_gradient_whatever_the_weights() -> None:
    """DDP waits for every one of them."""
    model = make(global_weight=0, peak_weight=0, shuffle_positives=False)
    run(model, make_batch()).loss.backward()
    assert all(p.grad is not None for p in model.parameters())


def test_the_same_seed_gives_the_same_bits() -> None:
    def once() -> tuple[torch.Tensor, list[torch.Tensor]]:
        model = make(dropout=0.1)
        torch.manual_seed(1)
        loss = run(model, make_batch()).loss
        loss.backward()
        return loss, [p.grad for p in model.parameters() if p.grad is not None]

    first, second = once(), once()
    assert torch.equal(first[0], second[0])
    assert all(torch.equal(a, b) for a, b in zip(first[1], second[1], strict=True))


def test_another_seed_gives_other_views() -> None:
    model, batch = make(), make_batch()
    assert run(model, batch, seed=1).loss.item() != run(model, batch, seed=2).loss.item()


def test_training_steps_lower_the_loss_and_keep_it_finite() -> None:
    model, batch = make(), make_batch()
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for step in range(12):
        optimiser.zero_grad()
        output = run(model, batch, seed=step)
        output.loss.backward()
        optimiser.step()
        losses.append(output.loss.item())
    assert losses[-1] < losses[0] - 0.1
    assert all(map(math.isfinite, losses))


def test_bfloat16_stays_close_and_keeps_the_loss_in_float32() -> None:
    model, batch = make(), make_batch()
    exact = run(model, batch).terms
    with torch.autocast("cpu", torch.bfloat16):
        output = run(model, batch)
    output.loss.backward()
    assert output.loss.dtype == torch.float32
    assert output.terms["reconstruction_global"].item() == pytest.approx(
        exact["reconstruction_global"].item(), rel=0.02
    )
    assert output.terms["loss"].item() == pytest.approx(exact["loss"].item(), rel=0.05)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_compiled_it_gives_the_same_loss() -> None:
    model, batch = make(), make_batch()
    compiled = torch.compile(model, backend="eager")
    assert run(compiled, batch).loss.item() == pytest.approx(run(model, batch).loss.item(), rel=1e-5)  # type: ignore[arg-type]
