from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from physioclr.baselines.config import TOKENS as CONFIG_TOKENS
from physioclr.baselines.config import MaskedMethod
from physioclr.baselines.draws import SegmentDraws
from physioclr.baselines.masked import MaskedReconstruction, samples_of
from physioclr.baselines.token_masks import patch_mask
from physioclr.config import ModelConfig
from physioclr.method.batch import SegmentBatch
from physioclr.method.encoder import TOKENS

SIZES: dict[str, Any] = {"conv_channels": 8, "width": 16, "depth": 1, "heads": 2, "feedforward": 16}
MODEL = ModelConfig(dropout=0.0, position_kernel=8, position_groups=2, **SIZES)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def make_batch(seed: int = 0) -> SegmentBatch:
    return SegmentBatch(
        signal_SLT=torch.randn(4, 12, 2500, generator=torch.Generator().manual_seed(seed)),
        r_peaks_SR=torch.full((4, 1), -1),
        intervals_SI2=torch.full((4, 1, 2), -1),
        features_SK=torch.zeros(4, 2),
        has_features_S=torch.zeros(4, dtype=torch.bool),
        record_S=torch.arange(4) // 2,
        patient_S=torch.arange(4) // 2,
    )


def make(**method: Any) -> MaskedReconstruction:
    torch.manual_seed(0)
    return MaskedReconstruction(MODEL, MaskedMethod(**method))


def mask_of(method: MaskedMethod) -> torch.Tensor:
    draws = SegmentDraws(4, torch.Generator().manual_seed(2))
    return patch_mask(TOKENS, method.patch_tokens, method.ratio, draws)


def test_the_configuration_counts_tokens_as_the_encoder_does() -> None:
    assert CONFIG_TOKENS == TOKENS


def test_samples_of_tokens() -> None:
    mask = torch.zeros(2, TOKENS, dtype=torch.bool)
    mask[0, 3] = mask[1, 155] = True
    found = samples_of(mask)
    assert found.shape == (2, 2500)
    assert found[0].nonzero().flatten().tolist() == list(range(48, 64))
    assert found[1].nonzero().flatten().tolist() == list(range(2480, 2500))


def test_equals_the_loop() -> None:
    model, batch = make(ratio=0.4, patch_tokens=10), make_batch()
    mask = mask_of(model.method)
    tokens = model.encoder.local(batch.signal_SLT).clone()
    for segment in range(4):
        for token in range(TOKENS):
            if mask[segment, token]:
                tokens[segment, token] = model.mask_token
    decoded = model.decoder(model.encoder.contextualise(tokens))
    error, count = torch.zeros(()), 0
    for segment in range(4):
        for token in range(TOKENS):
            if mask[segment, token]:
                end = 2500 if token == TOKENS - 1 else 16 * token + 16
                difference = decoded[segment, :, 16 * token : end] - batch.signal_SLT[segment, :, 16 * token : end]
                error, count = error + difference.square().sum(), count + difference.numel()
    output = model(batch, torch.Generator().manual_seed(2))
    torch.testing.assert_close(output.loss, error / count)
    assert output.terms["loss"].item() == output.loss.item()
    assert output.terms["masked"].item() == pytest.approx(count / (4 * 12 * 2500))
    parameters = list(model.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(output.loss, parameters),
        torch.autograd.grad(error / count, parameters),
        rtol=1e-3,
        atol=1e-6,
    )


def test_what_is_hidden_is_not_seen() -> None:
    """Any other samples there give the same decoding, but for the group norm's mean and deviation."""
    model, batch = make(), make_batch()
    model.encoder.convolutions.norm = nn.Identity()  # type: ignore[assignment]
    decoded: list[torch.Tensor] = []
    model.decoder.register_forward_hook(lambda _module, _arguments, result: decoded.append(result))
    hidden = samples_of(mask_of(model.method))
    assert hidden.float().mean() == pytest.approx(0.5, abs=0.01)
    for change in (hidden, ~hidden):
        other = torch.where(change[:, None, :], make_batch(seed=9).signal_SLT, batch.signal_SLT)
        for signal in (batch.signal_SLT, other):
            model(replace(batch, signal_SLT=signal), torch.Generator().manual_seed(2))
    assert torch.equal(decoded[0], decoded[1])
    assert not torch.allclose(decoded[2], decoded[3], atol=1e-4)


def test_the_error_outside_counts_for_nothing() -> None:
    model, batch = make(), make_batch()
    output = model(batch, torch.Generator().manual_seed(2))
    (gradient,) = torch.autograd.grad(output.loss, model.decoder.tail.bias)
    last_is_hidden = mask_of(model.method)[:, -1]
    assert bool(gradient.any()) == bool(last_is_hidden.any())
