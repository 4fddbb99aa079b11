from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.nn import functional

from physioclr.baselines import augmentations
from physioclr.baselines.cmsc import multi_segment_coding
from physioclr.baselines.config import Wav2VecMethod
from physioclr.baselines.draws import SegmentDraws
from physioclr.baselines.token_masks import distractors, span_mask
from physioclr.baselines.wav2vec import Wav2Vec, prediction_rows
from physioclr.method.batch import SegmentBatch
from physioclr.method.encoder import TOKENS
from physioclr.method.gather import World
from tests.small import SMALL


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def make_batch() -> SegmentBatch:
    return SegmentBatch(
        signal_SLT=torch.randn(4, 12, 2500, generator=torch.Generator().manual_seed(0)),
        r_peaks_SR=torch.full((4, 1), -1),
        intervals_SI2=torch.full((4, 1, 2), -1),
        features_SK=torch.zeros(4, 2),
        has_features_S=torch.zeros(4, dtype=torch.bool),
        record_S=torch.arange(4) // 2,
        patient_S=torch.arange(4) // 2,
    )


def make(**method: Any) -> Wav2Vec:
    torch.manual_seed(0)
    return Wav2Vec(SMALL, Wav2VecMethod(**{"entries": 6, "distractors": 5, "mask_span": 20} | method))


def slow(model: Wav2Vec, batch: SegmentBatch) -> dict[str, torch.Tensor]:
    """Every part from its definition, one token and one distractor at a time."""
    method, draws = model.method, SegmentDraws(len(batch), torch.Generator().manual_seed(4))
    signal = augmentations.mask_leads(batch.signal_SLT, method.mask_leads, draws)
    conv = model.encoder.convolutions(signal)
    normed = model.encoder.conv_norm(conv)
    mask = span_mask(TOKENS, method.mask_span, method.mask_probability, draws)
    quantised = model.quantiser(normed, method.gumbel_first, draws)
    other = distractors(mask, method.distractors, draws)
    hidden = model.encoder.local(signal).clone()
    hidden[mask] = model.mask_token
    context = model.project_context(model.encoder.contextualise(hidden))
    target = model.project_target(quantised.target_SNQ)
    losses, right, choices = [], [], []
    for s, n in mask.nonzero().tolist():
        own = functional.cosine_similarity(context[s, n], target[s, n], dim=0) / method.temperature
        rivals = [
            functional.cosine_similarity(context[s, n], target[s, k], dim=0) / method.temperature
            for k in other[s, n].tolist()
            if quantised.entry_SNB[s, k].tolist() != quantised.entry_SNB[s, n].tolist()
        ]
        losses.append(-torch.log(own.exp() / (own.exp() + sum(rival.exp() for rival in rivals))))
        right.append(all(own > rival for rival in rivals))
        choices.append(quantised.likely_SNBE[s, n])
    mean = torch.stack(choices).mean(dim=0)
    usage = sum(torch.exp(-sum(p * torch.log(p + 1e-7) for p in book)) for book in mean)
    pooled = model.encoder.embed(signal)
    return {
        "prediction": torch.stack(losses).mean(),
        "accuracy": torch.tensor(sum(right) / len(right)),
        "diversity": (12 - usage) / 12,
        "penalty": conv.square().mean(),
        "cmsc": multi_segment_coding(pooled, batch, method.positives, method.cmsc_temperature, World(0, 1)).loss,
    }


def test_equals_the_loop() -> None:
    model, batch = make(cmsc_weight=0.7), make_batch()
    parts = slow(model, batch)
    output = model(batch, torch.Generator().manual_seed(4))
    for name, value in parts.items():
        assert output.terms[name].item() == pytest.approx(value.item(), rel=1e-4), name
    loss = parts["prediction"] + 0.1 * parts["diversity"] + 10 * parts["penalty"] + 0.7 * parts["cmsc"]
    assert output.loss.item() == pytest.approx(loss.item(), rel=1e-4)
    assert output.terms["loss"].item() == output.loss.item()
    parameters = list(model.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(output.loss, parameters), torch.autograd.grad(loss, parameters), rtol=2e-3, atol=1e-5
    )


def test_a_distractor_with_the_same_entries_is_none() -> None:
    predicted, target = torch.eye(3)[None], torch.eye(3)[None]
    entry = torch.tensor([[[0, 0], [0, 0], [1, 0]]])
    other = torch.tensor([[[1], [0], [0]]])
    rows, right = prediction_rows(predicted, target, entry, other, 0.5)
    assert rows[0, :2].tolist() == [0, 0]
    assert rows[0, 2].item() == pytest.approx(math.log(1 + math.exp(-2)))
    assert right.all()


def test_the_gumbel_temperature_falls_with_training_only_and_is_saved() -> None:
    model = make(gumbel_first=2.0, gumbel_last=0.5, gumbel_decay=0.5)
    assert [model.gumbel_temperature().item() for _ in range(4)] == [2, 1, 0.5, 0.5]
    again = make(gumbel_first=2.0, gumbel_last=0.5, gumbel_decay=0.5)
    model = make(gumbel_first=2.0, gumbel_last=0.5, gumbel_decay=0.5)
    model.gumbel_temperature()
    again.load_state_dict(model.state_dict())
    again.eval()
    assert [again.gumbel_temperature().item() for _ in range(2)] == [1, 1]
    assert [again.train().gumbel_temperature().item() for _ in range(2)] == [1, 0.5]


def test_more_use_of_the_codebooks_costs_less() -> None:
    """The gradient of the diversity evens out which entries are likely."""
    model = make(diversity_weight=1000.0, cmsc_weight=0.0, penalty_weight=0.0)
    optimiser = torch.optim.Adam(model.quantiser.choose.parameters(), lr=0.05)
    used = []
    for _ in range(8):
        optimiser.zero_grad()
        output = model(make_batch(), torch.Generator().manual_seed(4))
        output.loss.backward()
        optimiser.step()
        used.append(output.terms["perplexity"].item())
    assert used[-1] > used[0] + 0.5
    assert used[-1] <= 12
