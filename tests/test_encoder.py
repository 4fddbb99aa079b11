"""What an exported encoder refuses, and that what it embeds is what training saw."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from physioclr.config import ModelConfig
from physioclr.ecg.leads import LEADS
from physioclr.encoder import Encoder, export_encoder, load_encoder
from physioclr.errors import EncoderError, StorageError
from physioclr.method.encoder import Encoder as Network
from physioclr.method.views import decode, halves

TINY = ModelConfig(size="tiny", width=16, depth=1, heads=2, feedforward=32, conv_channels=8, position_groups=4)


@pytest.fixture
def encoder(tmp_path: Path) -> Encoder:
    torch.manual_seed(0)
    export_encoder(Network(TINY), TINY, str(tmp_path), trained_on={"run": "test"})
    return load_encoder(str(tmp_path))


def recording(seconds: float = 10, fs: float = 500) -> np.ndarray:
    time = np.arange(round(seconds * fs)) / fs
    return np.sin(2 * np.pi * np.arange(1, 13)[:, None] * time)


def test_it_embeds_what_training_embeds(encoder: Encoder) -> None:
    stored = np.round(recording() * 1000).astype(np.int16)
    with torch.inference_mode():
        expected = encoder.network.embed(halves(decode(torch.from_numpy(stored[None]))).to(encoder.device))
    found = encoder.encode(stored, fs=500, leads=LEADS, pool="segments")
    np.testing.assert_allclose(found, expected.cpu(), rtol=1e-4, atol=1e-5)


def test_other_sampling_rates_and_lengths(encoder: Encoder) -> None:
    at_500 = encoder.encode(recording(), fs=500, leads=LEADS)
    at_250 = encoder.encode(recording(fs=250), fs=250, leads=LEADS)
    cosine = at_500 @ at_250 / np.linalg.norm(at_500) / np.linalg.norm(at_250)
    assert cosine > 0.99
    assert encoder.encode(recording(27), fs=500, leads=LEADS, pool="segments").shape == (5, 16)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda signal: (signal[:11], LEADS[:11]), "V6"),
        (lambda signal: (signal[:, :2000], LEADS), "4.0 s"),
        (lambda signal: (np.where(signal > 0.99, np.nan, signal), LEADS), "missing"),
        (lambda signal: (signal * (np.arange(12)[:, None] != 6), LEADS), "constant in lead V1"),
        (lambda signal: (signal, LEADS[:3]), "3 leads"),
    ],
)
def test_it_refuses_what_it_cannot_encode(encoder: Encoder, change, message: str) -> None:  # type: ignore[no-untyped-def]
    signal, leads = change(recording())
    with pytest.raises(EncoderError, match=message):
        encoder.encode(signal, fs=500, leads=leads)


def test_recordings_of_two_lengths_and_none_are_refused(encoder: Encoder) -> None:
    leads = list(LEADS)
    with pytest.raises(EncoderError, match="those of one length"):
        encoder.encode([np.zeros((12, 5000)), np.zeros((12, 2500))], 500, leads)  # type: ignore[arg-type]
    with pytest.raises(EncoderError, match="no recording to encode"):
        encoder.encode(np.zeros((0, 12, 5000)), 500, leads)
    for other in ({"pool": "max"}, {"token_pool": "max"}):
        with pytest.raises(EncoderError, match=r"'max' .*mean"):
            encoder.encode(np.zeros((12, 5000)), 500, leads, **other)  # type: ignore[arg-type]


def test_other_weights_are_another_digest(encoder: Encoder) -> None:
    before = encoder.digest
    assert encoder.digest == before
    with torch.no_grad():
        encoder.network.input_norm.bias[0] += 1e-6
    assert encoder.digest != before


def test_an_encoder_that_diverged_is_refused(encoder: Encoder, tmp_path: Path) -> None:
    network = copy.deepcopy(encoder.network)
    with torch.no_grad():
        next(network.parameters())[0] = torch.nan
    export_encoder(network, encoder.model, str(tmp_path), trained_on={})
    with pytest.raises(EncoderError, match="weights that are no numbers: it diverged"):
        load_encoder(str(tmp_path))


def test_what_is_not_an_encoder_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        load_encoder(str(tmp_path / "nothing"))
    export_encoder(Network(TINY), TINY, str(tmp_path), trained_on={})
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04nonsense")
    with pytest.raises(EncoderError, match="not an exported encoder"):
        load_encoder(str(tmp_path))
