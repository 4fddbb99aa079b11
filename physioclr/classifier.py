"""An exported classifier: an encoder with its linear head, loaded in one line.

import physioclr
classifier = physioclr.load_classifier("s3://bucket/runs/mine/encoder")
scores = classifier.predict(signals, fs=500, leads=["I", "II", ...])      # [n, classes], between 0 and 1

Beside the encoder's own files, `head.safetensors` holds weight [C, d] and bias [C] on embeddings of length d,
`classes.json` the classes' names and how tokens are pooled to such an embedding.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor
from torch.nn import functional

from physioclr import storage
from physioclr.config import ModelConfig, TokenPool
from physioclr.encoder import Encoder, export_encoder, load_encoder
from physioclr.errors import EncoderError
from physioclr.method.encoder import Encoder as Network
from physioclr.method.encoder import embedding_width

FORMAT = 1


@dataclass(frozen=True)
class Classifier:
    """A fine-tuned or probed encoder, ready to score recordings. Make it with `load_classifier`."""

    encoder: Encoder
    weight: Tensor  # float32 [C, d]
    bias: Tensor  # float32 [C]
    classes: tuple[str, ...]
    task: str
    token_pool: TokenPool

    def predict(self, signals: ArrayLike, fs: float, leads: Sequence[str], batch_size: int = 32) -> NDArray[np.float32]:
        """Probability of each class: float32 [n, C] for `signals` [n, leads, T], or [C] for one [leads, T].

        The mean over the 5 s segments. Raises `EncoderError` as `Encoder.encode` does.
        """
        embeddings = self.encoder.encode(signals, fs, leads, "segments", batch_size, self.token_pool)
        scores: NDArray[np.float32] = self.scores(torch.from_numpy(embeddings).to(self.encoder.device)).cpu().numpy()
        return np.asarray(scores.mean(axis=-2))

    def scores(self, embedding: Tensor) -> Tensor:
        """Probabilities [..., C] of segments with embeddings [..., d]."""
        return torch.sigmoid(functional.linear(embedding.float(), self.weight, self.bias))


def export_classifier(
    network: Network,
    model: ModelConfig,
    uri: str,
    *,
    weight: Tensor,
    bias: Tensor,
    classes: Sequence[str],
    task: str,
    trained_on: dict[str, Any],
    token_pool: TokenPool,
) -> None:
    """Write encoder and head below `uri`. `weight` [C, d] and `bias` [C] give the logits of probabilities, from the
    `token_pool` of a segment's tokens, of length d."""
    export_encoder(network, model, uri, trained_on)
    head = {"weight": weight.detach().cpu().float().contiguous(), "bias": bias.detach().cpu().float().contiguous()}
    storage.write_bytes(storage.join(uri, "head.safetensors"), save_safetensors(head))
    facts = {"format": FORMAT, "task": task, "classes": list(classes), "token_pool": token_pool}
    storage.write_text(storage.join(uri, "classes.json"), json.dumps(facts, indent=1) + "\n")


def load_classifier(uri: str, device: str | torch.device | None = None) -> Classifier:
    """The classifier exported at `uri` (the `encoder/` folder of a fine-tuning run), on a GPU when there is one.

    Raises `StorageError` when nothing is there and `EncoderError` when it is an encoder without a head or of another
    version.
    """
    encoder = load_encoder(uri, device)
    names_uri = storage.join(uri, "classes.json")
    if not storage.exists(names_uri):
        raise EncoderError(f"{uri} is an encoder without a head; run jobs/finetune.py, and give its run's encoder/.")
    try:
        facts = json.loads(storage.read_text(names_uri))
        if facts["format"] != FORMAT:
            raise EncoderError(f"{uri} was exported by another version of this software; export it again.")
        head = load_safetensors(storage.read_bytes(storage.join(uri, "head.safetensors")))
        weight, bias, classes, task = head["weight"], head["bias"], tuple(facts["classes"]), str(facts["task"])
        pool: TokenPool = facts.get("token_pool", "mean")  # the only one before it was stored
        if pool not in get_args(TokenPool):
            raise ValueError("tokens are pooled in a way that is not known here")
        if weight.shape != (len(classes), embedding_width(encoder.width, pool)) or bias.shape != (len(classes),):
            raise ValueError("the head does not fit its encoder and classes")
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise EncoderError(f"{uri} is not an exported classifier (see {names_uri}); export it again.") from error
    return Classifier(encoder, weight.to(encoder.device), bias.to(encoder.device), classes, task, pool)
