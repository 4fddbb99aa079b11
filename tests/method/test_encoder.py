from __future__ import annotations

import numpy as np
import pytest
import torch

from physioclr.config import ModelConfig, ObjectiveConfig
from physioclr.errors import EncoderError
from physioclr.method.encoder import TOKENS, Encoder, embedding_width, parameter_count
from physioclr.method.objective import PhysioCLR


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder(ModelConfig()).eval()


def test_five_seconds_are_156_tokens(encoder: Encoder) -> None:
    assert TOKENS == 156
    assert encoder(torch.randn(2, 12, 2500)).shape == (2, 156, encoder.width)


def test_base_has_about_90_million_parameters() -> None:
    with torch.device("meta"):
        base = PhysioCLR(ModelConfig(size="base"), ObjectiveConfig())
    assert parameter_count(base.encoder) == pytest.approx(90e6, rel=0.05)


@pytest.mark.parametrize(("size", "low", "high"), [("tiny", 0.2e6, 0.5e6), ("small", 5e6, 10e6)])
def test_the_smaller_sizes(size: str, low: float, high: float) -> None:
    with torch.device("meta"):
        assert low < parameter_count(Encoder(ModelConfig(size=size))) < high  # type: ignore[arg-type]


def test_the_embedding_is_the_mean_over_all_tokens(encoder: Encoder) -> None:
    """The authors' release takes the first token."""
    signal = torch.randn(3, 12, 2500)
    tokens = encoder(signal)
    torch.testing.assert_close(encoder.embed(signal), sum(tokens[:, n] for n in range(156)) / 156)
    assert not torch.allclose(encoder.embed(signal), tokens[:, 0], atol=1e-3)


def test_statistics_are_four_over_all_tokens(encoder: Encoder) -> None:
    tokens = torch.randn(3, 156, 16, dtype=torch.float64)
    found = encoder.pool(tokens, "statistics").numpy()
    assert found.shape == (3, embedding_width(16, "statistics"))
    for segment, vector in zip(tokens.numpy(), found, strict=True):
        expected = [value for one in (np.mean, np.std, np.max, np.min) for value in one(segment, axis=0)]
        np.testing.assert_allclose(vector, expected, rtol=1e-5, atol=1e-6)
    signal = torch.randn(2, 12, 2500)
    torch.testing.assert_close(encoder.embed(signal, "statistics"), encoder.pool(encoder(signal), "statistics"))


def test_statistics_of_equal_tokens_can_be_learned_through(encoder: Encoder) -> None:
    """A deviation of zero has no slope."""
    tokens = torch.ones(1, 156, 16, requires_grad=True)
    encoder.pool(tokens, "statistics").sum().backward()
    assert tokens.grad is not None
    assert torch.isfinite(tokens.grad).all()


def test_local_tokens_become_those_of_the_encoder(encoder: Encoder) -> None:
    """In two steps as in one, so that a method may change tokens in between."""
    signal = torch.randn(2, 12, 2500)
    local = encoder.local(signal)
    assert torch.equal(encoder.contextualise(local), encoder(signal))
    local[:, 40:60] = 0
    assert not torch.allclose(encoder.contextualise(local)[:, 50], encoder(signal)[:, 50], atol=1e-3)


def test_a_local_token_knows_only_its_own_samples(encoder: Encoder) -> None:
    """But for the mean and deviation of the group norm, which are the same in both signals."""
    signal = torch.randn(1, 12, 2500)
    swapped = signal.clone()
    swapped[:, :, 160:176], swapped[:, :, 800:816] = signal[:, :, 800:816], signal[:, :, 160:176]
    before, after = encoder.local(signal)[0], encoder.local(swapped)[0]
    changed = (before - after).abs().amax(dim=1) > 1e-3
    assert changed.nonzero().flatten().tolist() == [10, 50]
    torch.testing.assert_close(after[10], before[50], atol=1e-4, rtol=1e-3)


def test_tokens_know_where_they_are(encoder: Encoder) -> None:
    """The same 16 samples again and again: only the convolutional position tells the first token from a middle one."""
    tokens = encoder(torch.randn(1, 12, 16).repeat(1, 1, 157)[..., :2500])
    assert not torch.allclose(tokens[0, 0], tokens[0, 78], atol=1e-3)


def test_a_token_of_the_convolutions_sees_its_own_16_samples(encoder: Encoder) -> None:
    signal = torch.randn(1, 12, 2500, requires_grad=True)
    hidden = encoder.convolutions.layers[0](signal)
    for layer in encoder.convolutions.layers[1:]:
        hidden = layer(hidden)
    hidden[0, :, 10].sum().backward()
    assert signal.grad is not None
    assert signal.grad[0].any(dim=0).nonzero().flatten().tolist() == list(range(160, 176))


def test_every_parameter_gets_a_gradient(encoder: Encoder) -> None:
    encoder.embed(torch.randn(2, 12, 2500)).square().sum().backward()
    without = [name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_segments_of_a_batch_do_not_touch_each_other(encoder: Encoder) -> None:
    signal = torch.randn(4, 12, 2500)
    torch.testing.assert_close(encoder.embed(signal)[2:3], encoder.embed(signal[2:3]), atol=1e-5, rtol=1e-4)


def test_dropout_is_on_in_training_only(encoder: Encoder) -> None:
    signal = torch.randn(2, 12, 2500)
    assert torch.equal(encoder.embed(signal), encoder.embed(signal))
    encoder.train()
    assert not torch.equal(encoder.embed(signal), encoder.embed(signal))


@pytest.mark.parametrize("shape", [(12, 2500), (1, 11, 2500), (1, 12, 5000)])
def test_other_shapes_are_refused(encoder: Encoder, shape: tuple[int, ...]) -> None:
    with pytest.raises(EncoderError, match="12 leads of 5 s at 500 Hz"):
        encoder(torch.zeros(shape))


def test_the_state_survives_saving(encoder: Encoder) -> None:
    other = Encoder(ModelConfig()).eval()
    other.load_state_dict(encoder.state_dict())
    signal = torch.randn(1, 12, 2500)
    assert torch.equal(other.embed(signal), encoder.embed(signal))


def test_compiles_without_a_break_in_the_graph(encoder: Encoder) -> None:
    compiled = torch.compile(encoder, fullgraph=True, backend="aot_eager")
    signal = torch.randn(2, 12, 2500)
    torch.testing.assert_close(compiled(signal), encoder(signal))
