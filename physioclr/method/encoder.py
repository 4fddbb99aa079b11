"""The encoder (arXiv 2509.08116, network): convolutions to 156 tokens of 32 ms, then a transformer.

Shapes: S segments, L 12 leads, T 2,500 samples, C convolution channels, N 156 tokens, W width, H heads, E = W / H.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from physioclr.config import ModelConfig, TokenPool
from physioclr.ecg.record import SEGMENT_SAMPLES
from physioclr.errors import EncoderError
from physioclr.method.batch import LEAD_COUNT
from physioclr.method.sizes import Sizes, resolve

CONV_LAYERS = 4
SAMPLES_PER_TOKEN = 2**CONV_LAYERS  # kernel 2 and stride 2 in each layer, so tokens don't overlap
TOKENS = SEGMENT_SAMPLES // SAMPLES_PER_TOKEN  # 156: the last 4 samples of a segment fill no token


class Convolutions(nn.Module):
    """4 layers of kernel 2 and stride 2 without bias, with GELU; [S, 12, 2500] -> tokens [S, 156, C].

    The group norm after the first layer has one channel a group, as in the family of encoders this one is of.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inputs = (LEAD_COUNT,) + (channels,) * (CONV_LAYERS - 1)
        self.layers = nn.ModuleList(nn.Conv1d(width, channels, kernel_size=2, stride=2, bias=False) for width in inputs)
        self.norm = nn.GroupNorm(channels, channels)

    def forward(self, signal_SLT: Tensor) -> Tensor:
        hidden_SCT = functional.gelu(self.norm(self.layers[0](signal_SLT)))
        for layer in self.layers[1:]:
            hidden_SCT = functional.gelu(layer(hidden_SCT))
        return hidden_SCT.transpose(1, 2)


class Position(nn.Module):
    """What a token's neighbours say of where it stands: a weight-normed grouped convolution, same length, GELU."""

    def __init__(self, sizes: Sizes, dropout: float) -> None:
        super().__init__()
        convolution = nn.Conv1d(
            sizes.width,
            sizes.width,
            sizes.position_kernel,
            padding=sizes.position_kernel // 2,
            groups=sizes.position_groups,
        )
        nn.init.normal_(convolution.weight, std=math.sqrt(4 * (1 - dropout) / (sizes.position_kernel * sizes.width)))
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
        self.convolution = weight_norm(convolution, dim=2)

    def forward(self, tokens_SNW: Tensor) -> Tensor:
        position_SWN: Tensor = self.convolution(tokens_SNW.transpose(1, 2))
        # An even kernel padded on both sides gives one token too many.
        return functional.gelu(position_SWN[..., : tokens_SNW.shape[1]]).transpose(1, 2)


class Layer(nn.Module):
    """One transformer layer, post-norm: attention and feed-forward, each added and then normalised.

    [D] Dropout is on what is added, and not on the attention weights: those would then be written out in full, which
    takes about half of the time of a training step on a CPU.
    """

    def __init__(self, sizes: Sizes, dropout: float) -> None:
        super().__init__()
        self.heads = sizes.heads
        self.dropout = dropout
        self.query_key_value = nn.Linear(sizes.width, 3 * sizes.width)
        self.attended = nn.Linear(sizes.width, sizes.width)
        self.attention_norm = nn.LayerNorm(sizes.width)
        self.expand = nn.Linear(sizes.width, sizes.feedforward)
        self.contract = nn.Linear(sizes.feedforward, sizes.width)
        self.feedforward_norm = nn.LayerNorm(sizes.width)

    def _attention(self, tokens_SNW: Tensor) -> Tensor:
        segments, tokens, width = tokens_SNW.shape
        packed = self.query_key_value(tokens_SNW).view(segments, tokens, 3, self.heads, width // self.heads)
        query_SHNE, key_SHNE, value_SHNE = packed.permute(2, 0, 3, 1, 4).unbind(0)
        mixed_SHNE = functional.scaled_dot_product_attention(query_SHNE, key_SHNE, value_SHNE)
        attended: Tensor = self.attended(mixed_SHNE.transpose(1, 2).reshape(segments, tokens, width))
        return attended

    def _drop(self, hidden_SNW: Tensor) -> Tensor:
        return functional.dropout(hidden_SNW, self.dropout, self.training)

    def forward(self, tokens_SNW: Tensor) -> Tensor:
        tokens_SNW = self.attention_norm(tokens_SNW + self._drop(self._attention(tokens_SNW)))
        changed_SNW = self.contract(functional.gelu(self.expand(tokens_SNW)))
        normed_SNW: Tensor = self.feedforward_norm(tokens_SNW + self._drop(changed_SNW))
        return normed_SNW


class Encoder(nn.Module):
    """Segments to tokens and embeddings. `width` is the length of an embedding."""

    def __init__(self, model: ModelConfig) -> None:
        super().__init__()
        sizes = resolve(model)
        self.width = sizes.width
        self.convolutions = Convolutions(sizes.conv_channels)
        self.conv_norm = nn.LayerNorm(sizes.conv_channels)
        self.to_width = nn.Linear(sizes.conv_channels, sizes.width)
        self.position = Position(sizes, model.dropout)
        self.input_norm = nn.LayerNorm(sizes.width)
        self.input_dropout = nn.Dropout(model.dropout)
        self.layers = nn.ModuleList(Layer(sizes, model.dropout) for _ in range(sizes.depth))
        self.apply(_initialise)

    def forward(self, signal_SLT: Tensor) -> Tensor:
        """Tokens [S, 156, width] of z-scored segments [S, 12, 2500]; EncoderError on any other shape."""
        if signal_SLT.ndim != 3 or tuple(signal_SLT.shape[1:]) != (LEAD_COUNT, SEGMENT_SAMPLES):
            raise EncoderError(
                f"the encoder was given signals of shape {list(signal_SLT.shape)}; give [segments, {LEAD_COUNT}, "
                f"{SEGMENT_SAMPLES}], 12 leads of 5 s at 500 Hz"
            )
        return self.contextualise(self.local(signal_SLT))

    def local(self, signal_SLT: Tensor) -> Tensor:
        """Tokens [S, 156, width] before they know of each other, for methods that mask some of them."""
        tokens_SNW: Tensor = self.to_width(self.conv_norm(self.convolutions(signal_SLT)))
        return tokens_SNW

    def contextualise(self, tokens_SNW: Tensor) -> Tensor:
        """Position and transformer, from tokens of `local` with or without changes: [S, 156, width]."""
        tokens_SNW = self.input_dropout(self.input_norm(tokens_SNW + self.position(tokens_SNW)))
        for layer in self.layers:
            tokens_SNW = layer(tokens_SNW)
        return tokens_SNW

    def embed(self, signal_SLT: Tensor, how: TokenPool = "mean") -> Tensor:
        """Embedding float32 [S, `embedding_width`] of each segment."""
        return self.pool(self(signal_SLT), how)

    @staticmethod
    def pool(tokens_SNW: Tensor, how: TokenPool = "mean") -> Tensor:
        """Mean over all tokens [D], float32 [S, width]. No token stands for the segment by itself.

        `statistics` [D]: mean, population deviation, maximum and minimum over the tokens, float32 [S, 4 width]. The
        mean says how much of something there is in five seconds, the others that it was there once.
        """
        tokens_SNW = tokens_SNW.float()
        mean_SW = tokens_SNW.mean(dim=1)
        if how == "mean":
            return mean_SW
        # The bound keeps the root's slope finite where all tokens are equal.
        deviation_SW = tokens_SNW.var(dim=1, correction=0).clamp_min(1e-12).sqrt()
        return torch.cat([mean_SW, deviation_SW, tokens_SNW.amax(dim=1), tokens_SNW.amin(dim=1)], dim=1)


def embedding_width(width: int, how: TokenPool) -> int:
    """Length of an embedding that `Encoder.pool` makes of tokens of `width`."""
    return width if how == "mean" else 4 * width


def _initialise(module: nn.Module) -> None:
    """Small normal weights for linear layers, He's for the convolutions on the signal (the position has its own)."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, Convolutions):
        for layer in module.layers:
            nn.init.kaiming_normal_(layer.weight)  # type: ignore[arg-type]


def parameter_count(module: nn.Module) -> int:
    """Trainable numbers in a module."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
