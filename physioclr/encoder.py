"""An exported encoder: one line loads it, and it does the preprocessing itself.

import physioclr
encoder = physioclr.load_encoder("s3://bucket/runs/mine/encoder")
embeddings = encoder.encode(signals, fs=500, leads=["I", "II", ...])      # [n, width]
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from physioclr import storage
from physioclr.config import ModelConfig, TokenPool
from physioclr.ecg.leads import LEADS, lead_order
from physioclr.ecg.record import FS, SEGMENT_SAMPLES, WINDOW_SAMPLES
from physioclr.ecg.resample import resample, resampling_ratio
from physioclr.errors import EncoderError, RejectedRecording
from physioclr.method.encoder import Encoder as Network
from physioclr.method.sizes import resolve

FORMAT = 1
FLAT = 1e-9  # deviation, in whatever unit, below which a lead has no signal
PREPROCESSING = {
    "fs": FS,
    "leads": list(LEADS),
    "segment_seconds": SEGMENT_SAMPLES // FS,
    "normalisation": "z-score of each lead over each 10 s",
}


class Encoder:
    """A pretrained encoder on a device, ready to embed recordings. Make it with `load_encoder`."""

    def __init__(self, network: Network, model: ModelConfig, trained_on: dict[str, Any], device: torch.device) -> None:
        self.network = network.to(device).eval()
        self.model = model
        self.trained_on = trained_on
        self.width = resolve(model).width
        self.device = device

    @property
    def digest(self) -> str:
        """Changes with the weights."""
        found = hashlib.sha256()
        for name, value in sorted(self.network.state_dict().items()):
            found.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()[:16]

    def encode(
        self,
        signals: ArrayLike,
        fs: float,
        leads: Sequence[str],
        pool: Literal["mean", "segments"] = "mean",
        batch_size: int = 32,
        token_pool: TokenPool = "mean",
    ) -> NDArray[np.float32]:
        """Embeddings of recordings `signals` [n, leads, T] (or one, [leads, T]) sampled at `fs` Hz.

        Leads are found by name in any order; any unit and gain will do, since each lead is z-scored. The signal is
        brought to 500 Hz and cut into consecutive 5 s segments. Returns float32 [n, width], the mean over segments, or
        with `pool="segments"` [n, segments, width]; without the first axis if one recording was given. With
        `token_pool="statistics"` an embedding is the mean, deviation, maximum and minimum over its segment's tokens,
        four times as long.

        Raises `EncoderError` for a missing lead, fewer than 5 s, NaN, a constant lead, or a wrong shape.
        """
        if pool not in ("mean", "segments") or token_pool not in get_args(TokenPool):
            raise EncoderError(
                f"pool {pool!r} must be mean or segments, and token_pool {token_pool!r} mean or statistics."
            )
        try:
            array = np.asarray(signals, dtype=np.float64)
        except ValueError as error:
            raise EncoderError(
                "The recordings are not numbers of one shape; give those of one length and number of leads at a time."
            ) from error
        single = array.ndim == 2
        array = array[None] if single else array
        if not len(array):
            raise EncoderError("There is no recording to encode; give [n, leads, T] with n of at least 1.")
        segments_NSLT = np.stack([self._segments(one, fs, leads, place) for place, one in enumerate(array)])
        flat = torch.from_numpy(segments_NSLT.reshape(-1, *segments_NSLT.shape[2:]))
        with torch.inference_mode():
            parts = [
                self.network.embed(part.to(self.device), token_pool).float().cpu()
                for part in flat.split(2 * batch_size)
            ]
        embeddings_NSW = torch.cat(parts).reshape(*segments_NSLT.shape[:2], -1).numpy()
        result: NDArray[np.float32] = embeddings_NSW if pool == "segments" else embeddings_NSW.mean(axis=1)
        return result[0] if single else result

    @staticmethod
    def _segments(signal: NDArray[np.float64], fs: float, leads: Sequence[str], place: int) -> NDArray[np.float32]:
        """One recording [leads, T] to z-scored segments float32 [S, 12, 2500]."""
        if signal.ndim != 2 or len(signal) != len(leads):
            raise EncoderError(
                f"Recording {place} has shape {list(signal.shape)} for {len(leads)} leads; give [leads, T]."
            )
        try:
            ratio = resampling_ratio(fs)
            ordered = signal[lead_order(leads)]
        except RejectedRecording as rejected:
            raise EncoderError(
                f"Recording {place} cannot be encoded: {rejected.detail}; give all 12 leads and their sampling rate."
            ) from rejected
        if not np.isfinite(ordered).all():
            raise EncoderError(f"Recording {place} has missing or infinite samples; fill or leave out the recording.")
        at_500 = resample(ordered, ratio)
        count = at_500.shape[1] // SEGMENT_SAMPLES
        if not count:
            raise EncoderError(f"Recording {place} lasts {signal.shape[1] / fs:.1f} s; give 5 s or more.")
        windows = [
            at_500[:, start : start + WINDOW_SAMPLES] for start in range(0, count * SEGMENT_SAMPLES, WINDOW_SAMPLES)
        ]
        scored = np.concatenate([_z_score(window, place) for window in windows], axis=1)[:, : count * SEGMENT_SAMPLES]
        parts = scored.reshape(len(LEADS), count, SEGMENT_SAMPLES).transpose(1, 0, 2)
        return np.ascontiguousarray(parts, dtype=np.float32)


def _z_score(window: NDArray[np.float64], place: int) -> NDArray[np.float64]:
    """A window [12, up to 5000] z-scored per lead, as in training."""
    deviation = window.std(axis=1, keepdims=True)
    flat = [name for name, spread in zip(LEADS, deviation[:, 0], strict=True) if spread < FLAT]
    if flat:
        raise EncoderError(f"Recording {place} is constant in lead {flat[0]}; leave out the recording.")
    scored: NDArray[np.float64] = (window - window.mean(axis=1, keepdims=True)) / deviation
    return scored


def export_encoder(network: Network, model: ModelConfig, uri: str, trained_on: dict[str, Any]) -> None:
    """Write `network` below `uri`: `model.safetensors`, and `encoder.json` with its configuration and preprocessing."""
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    storage.write_bytes(storage.join(uri, "model.safetensors"), save_safetensors(weights))
    facts = {
        "format": FORMAT,
        "model": model.model_dump(mode="json"),
        "preprocessing": PREPROCESSING,
        "trained_on": trained_on,
    }
    storage.write_text(storage.join(uri, "encoder.json"), json.dumps(facts, indent=1) + "\n")


def load_encoder(uri: str, device: str | torch.device | None = None) -> Encoder:
    """The encoder exported at `uri` (a run's `encoder/` folder), on a GPU when there is one.

    Raises `StorageError` when nothing is there and `EncoderError` when it is not an encoder of this version.
    """
    facts_uri = storage.join(uri, "encoder.json")
    try:
        facts = json.loads(storage.read_text(facts_uri))
        if facts["format"] != FORMAT or facts["preprocessing"] != PREPROCESSING:
            raise EncoderError(f"{uri} was exported by another version of this software; export it again.")
        model, trained_on = ModelConfig.model_validate(facts["model"]), dict(facts["trained_on"])
        network = Network(model)
        weights = load_safetensors(storage.read_bytes(storage.join(uri, "model.safetensors")))
        if not all(bool(torch.isfinite(value).all()) for value in weights.values()):
            raise EncoderError(f"The encoder at {uri} has weights that are no numbers: it diverged; take another one.")
        network.load_state_dict(weights)
    except (ValueError, KeyError, TypeError, ValidationError, SafetensorError, RuntimeError) as error:
        raise EncoderError(f"{uri} is not an exported encoder (see {facts_uri}); export it again.") from error
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return Encoder(network, model, trained_on, place)
