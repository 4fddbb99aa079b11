"""An encoder with a linear head on its embedding, and which parts of it are trained (arXiv 2509.08116, training).

Shapes: S segments, L 12 leads, T 2,500 samples, W width, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from physioclr.config import TokenPool
from physioclr.method.encoder import Encoder, embedding_width

SURE = 10.0  # log-odds

Mode = Literal["probe", "finetune", "all", "scratch"]


@dataclass(frozen=True)
class Group:
    """Parameters that are trained with `scale` times the learning rate."""

    name: str
    scale: float
    parameters: tuple[nn.Parameter, ...]


class Classifier(nn.Module):
    """Pooled tokens to a logit for each class.

    `positive_weight` float [C] is how much a positive outcome counts in the loss; such a weight multiplies the odds
    that the logits stand for, and `scores` takes it back [D]. It is stored with the weights.
    """

    positive_weight: Tensor

    def __init__(
        self,
        network: Encoder,
        classes: int,
        dropout: float,
        positive_weight: Tensor | None = None,
        token_pool: TokenPool = "mean",
    ) -> None:
        super().__init__()
        self.encoder = network
        self.token_pool: TokenPool = token_pool
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(embedding_width(network.width, token_pool), classes)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("positive_weight", torch.ones(classes) if positive_weight is None else positive_weight)
        self._frozen: tuple[nn.Module, ...] = ()

    def forward(self, signal_SLT: Tensor) -> Tensor:
        """Logits float32 [S, C] of z-scored segments [S, 12, 2500]."""
        logits_SC: Tensor = self.head(self.dropout(self.encoder.embed(signal_SLT, self.token_pool)))
        return logits_SC.float()

    def loss(self, logits_SC: Tensor, outcomes_SC: Tensor) -> Tensor:
        """Weighted binary cross-entropy, the mean over segments and classes."""
        return functional.binary_cross_entropy_with_logits(logits_SC, outcomes_SC, pos_weight=self.positive_weight)

    def scores(self, logits_SC: Tensor) -> Tensor:
        """Probability of each class, [S, C]."""
        return torch.sigmoid(logits_SC - self.positive_weight.log())

    @torch.no_grad()
    def set_head(self, weight_CW: Tensor, bias_C: Tensor) -> None:
        """Begin with a linear layer whose logits are those of probabilities. A class that it is sure of, as it had one
        outcome only, is given odds of e to the `SURE`, which training can still change."""
        self.head.weight.copy_(weight_CW)
        self.head.bias.copy_(bias_C.clamp(-SURE, SURE) + self.positive_weight.log())

    def trainable(self, mode: Mode, decay: float = 1.0) -> list[Group]:
        """Freeze what `mode` does not train, and give what it does, from the head down.

        `finetune` freezes the convolutions and trains the rest with one learning rate, as the paper does. `all` trains
        everything; each part has `decay` times the learning rate of the one above it. `scratch` trains everything with
        one learning rate. `probe` freezes the encoder.
        """
        self.requires_grad_(True)
        self._frozen = {"probe": (self.encoder,), "finetune": (self.encoder.convolutions,)}.get(mode, ())
        for module in self._frozen:
            module.requires_grad_(False)
        scale = decay if mode == "all" else 1.0
        parts = ((name, tuple(p for p in parameters if p.requires_grad)) for name, parameters in self._parts())
        self.train(self.training)
        return [Group(name, scale**depth, kept) for depth, (name, kept) in enumerate(parts) if kept]

    def _parts(self) -> Iterator[tuple[str, Iterator[nn.Parameter]]]:
        """The network from the head down to the signal."""
        encoder = self.encoder
        yield "head", self.head.parameters()
        for index, layer in reversed(list(enumerate(encoder.layers))):
            yield f"layer {index}", layer.parameters()
        tokens = nn.ModuleList([encoder.input_norm, encoder.position, encoder.to_width, encoder.conv_norm])
        yield "tokens", tokens.parameters()
        yield "convolutions", encoder.convolutions.parameters()

    def train(self, mode: bool = True) -> Classifier:
        """As every module's, but what is not trained stays in eval mode: no dropout, no updated statistics."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self
