"""What every method keeps to, PhysioCLR among them: it can be trained, resumed, compiled and exported alike."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from physioclr.baselines.cmsc import CMSC
from physioclr.baselines.config import MethodConfig
from physioclr.baselines.masked import MaskedReconstruction
from physioclr.baselines.registry import Objective, open_objective
from physioclr.baselines.two_views import SimCLR, ThreeKG
from physioclr.baselines.wav2vec import Wav2Vec
from physioclr.config import ModelConfig, ObjectiveConfig
from physioclr.encoder import export_encoder, load_encoder
from physioclr.errors import ConfigError
from physioclr.method.batch import SegmentBatch
from physioclr.method.encoder import Encoder
from physioclr.method.objective import ObjectiveOutput, PhysioCLR

CLASSES: dict[str, type[torch.nn.Module]] = {
    "physioclr": PhysioCLR,
    "simclr": SimCLR,
    "cmsc": CMSC,
    "3kg": ThreeKG,
    "masked": MaskedReconstruction,
    "w2v-cmsc-rlm": Wav2Vec,
}
SIZES: dict[str, Any] = {
    "conv_channels": 8,
    "width": 16,
    "depth": 1,
    "heads": 2,
    "feedforward": 16,
    "position_kernel": 8,
    "position_groups": 2,
    "projection": 8,
}
each = pytest.mark.parametrize("name", CLASSES)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def method(**keys: Any) -> Any:
    return TypeAdapter(MethodConfig).validate_python(keys)


def make(name: str, dropout: float = 0.0, **keys: Any) -> Objective:
    torch.manual_seed(0)
    return open_objective(ModelConfig(dropout=dropout, **SIZES), ObjectiveConfig(), method(name=name, **keys))


def make_batch() -> SegmentBatch:
    """Slow waves, each record with its own, so that there is something to tell."""
    generator = torch.Generator().manual_seed(0)
    count = 8
    phase = torch.rand(count // 2, 12, 1, generator=generator).repeat_interleave(2, dim=0)
    time = torch.arange(2500) / 2500
    r_peaks = torch.arange(100, 2400, 450).expand(count, -1).clone()
    return SegmentBatch(
        signal_SLT=torch.sin(40 * (time + phase)) * 1.4 + 0.1 * torch.randn(count, 12, 2500, generator=generator),
        r_peaks_SR=r_peaks,
        intervals_SI2=torch.stack((r_peaks - 20, r_peaks + 40), dim=-1),
        features_SK=torch.randn(count, 5, generator=generator),
        has_features_S=torch.ones(count, dtype=torch.bool),
        record_S=torch.arange(count) // 2,
        patient_S=torch.arange(count) // 2,
    )


def run(model: torch.nn.Module, seed: int = 5) -> ObjectiveOutput:
    output: ObjectiveOutput = model(make_batch(), torch.Generator().manual_seed(seed))
    return output


@each
def test_the_name_opens_the_method(name: str) -> None:
    model = make(name)
    assert type(model) is CLASSES[name]
    assert isinstance(model.encoder, Encoder)


@each
def test_every_parameter_gets_a_gradient_and_terms_are_finite(name: str) -> None:
    """DDP waits for every one of them."""
    model = make(name)
    output = run(model)
    output.loss.backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert torch.isfinite(parameter.grad).all(), parameter_name
        assert parameter.grad.any(), parameter_name
    assert output.loss.item() == pytest.approx(output.terms["loss"].item())
    for term, value in output.terms.items():
        assert value.shape == (), term
        assert not value.requires_grad, term
        assert math.isfinite(value), term


@each
def test_the_same_seed_gives_the_same_bits_and_another_does_not(name: str) -> None:
    def once(seed: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
        model = make(name, dropout=0.1)
        torch.manual_seed(1)
        loss = run(model, seed).loss
        loss.backward()
        return loss, [p.grad for p in model.parameters() if p.grad is not None]

    first, second = once(5), once(5)
    assert torch.equal(first[0], second[0])
    assert all(torch.equal(a, b) for a, b in zip(first[1], second[1], strict=True))
    if name != "cmsc":  # it draws nothing
        assert not torch.equal(first[0], once(6)[0])


@each
def test_training_steps_lower_the_loss_and_move_the_encoder(name: str) -> None:
    model = make(name)
    before = {key: value.clone() for key, value in model.encoder.state_dict().items()}
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for step in range(25):
        optimiser.zero_grad()
        output = run(model, seed=step % 3)
        output.loss.backward()
        optimiser.step()
        losses.append(output.loss.item())
    assert all(map(math.isfinite, losses))
    assert sum(losses[-5:]) < 0.97 * sum(losses[:5])
    assert all(not torch.equal(before[key], value) for key, value in model.encoder.state_dict().items())


@each
def test_bfloat16_stays_close_and_keeps_the_loss_in_float32(name: str) -> None:
    model = make(name).eval()  # the quantiser then chooses the likeliest entry and not a drawn one
    exact = run(model).loss
    with torch.autocast("cpu", torch.bfloat16):
        output = run(model)
    output.loss.backward()
    assert output.loss.dtype == torch.float32
    assert output.loss.item() == pytest.approx(exact.item(), rel=0.1)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("name", ["simclr", "w2v-cmsc-rlm"])  # these two draw in every way there is
def test_compiled_in_place_it_gives_the_same_loss(name: str) -> None:
    model = make(name)
    expected = run(model).loss.item()
    compiled = make(name)
    compiled.compile(backend="eager")
    assert run(compiled).loss.item() == pytest.approx(expected, rel=1e-5)


@each
def test_the_encoder_is_exported_and_loaded_like_any_other(name: str, tmp_path: Path) -> None:
    model = make(name)
    export_encoder(model.encoder, ModelConfig(**SIZES), str(tmp_path), trained_on={})
    loaded = load_encoder(str(tmp_path), device="cpu")
    signal = make_batch().signal_SLT
    assert torch.equal(loaded.network.embed(signal), model.encoder.eval().embed(signal))


def test_equal_seeds_give_every_method_the_same_untrained_encoder() -> None:
    """So that a comparison begins at the same place."""
    first = make("physioclr").encoder.state_dict()
    for name in CLASSES:
        assert all(torch.equal(first[key], value) for key, value in make(name).encoder.state_dict().items()), name


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"name": "simclr", "angle": 3}, "angle"),
        ({"name": "byol"}, "physioclr"),
        ({"name": "masked", "ratio": 0.01}, "masks all or none"),
        ({"name": "masked", "ratio": 1.0}, "ratio"),
        ({"name": "3kg", "scale": 0.5}, "scale"),
        ({"name": "physioclr", "temperature": 0.1}, "temperature"),
    ],
)
def test_what_a_method_does_not_know_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        method(**keys)


def test_codebooks_that_do_not_fit_the_projection_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"method\.codebooks 3"):
        make("w2v-cmsc-rlm", codebooks=3)
