"""Product quantiser with Gumbel choice (wav2vec 2.0, Baevski et al. 2020, arXiv 2006.11477, quantization module).

A token's target is one entry of each of B codebooks, side by side. In training the entry is drawn by Gumbel noise at a
temperature and the gradient is that of the soft choice; otherwise it is the most likely one.

Shapes: S segments, N tokens, W width of the input, B codebooks, E entries of each, Q width of the output.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from physioclr.baselines.draws import SegmentDraws
from physioclr.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Quantised:
    """`target_SNQ`: float32, with gradient. `entry_SNB`: int64, the entries. `likely_SNBE`: softmax, no noise."""

    target_SNQ: Tensor
    entry_SNB: Tensor
    likely_SNBE: Tensor


class Quantiser(nn.Module):
    """Tokens [S, N, width] to targets [S, N, output]; ConfigError where codebooks don't divide `output`."""

    def __init__(self, width: int, codebooks: int, entries: int, output: int) -> None:
        super().__init__()
        if output % codebooks:
            raise ConfigError(
                f"model.projection {output} cannot be shared by method.codebooks {codebooks}; make it a multiple"
            )
        self.codebooks, self.entries = codebooks, entries
        self.choose = nn.Linear(width, codebooks * entries)
        self.book = nn.Parameter(torch.rand(codebooks, entries, output // codebooks))
        nn.init.normal_(self.choose.weight)  # both as released with wav2vec 2.0
        nn.init.zeros_(self.choose.bias)

    def forward(self, tokens_SNW: Tensor, temperature: float | Tensor, draws: SegmentDraws) -> Quantised:
        """temperature: of the Gumbel choice, above 0; not used in eval mode, and nothing is drawn then."""
        logits_SNBE = self.choose(tokens_SNW).float().unflatten(2, (self.codebooks, self.entries))
        if self.training:
            soft_SNBE = ((logits_SNBE + gumbel(draws, logits_SNBE.shape[1:])) / temperature).softmax(dim=-1)
        else:
            soft_SNBE = logits_SNBE.softmax(dim=-1)
        entry_SNB = soft_SNBE.argmax(dim=-1)
        hard_SNBE = functional.one_hot(entry_SNB, self.entries).float()
        # The value of the hard choice, the gradient of the soft one.
        chosen_SNBE = hard_SNBE + soft_SNBE - soft_SNBE.detach()
        with torch.autocast(chosen_SNBE.device.type, enabled=False):
            target_SNQ = torch.einsum("snbe,bec->snbc", chosen_SNBE, self.book).flatten(2)
        return Quantised(target_SNQ, entry_SNB, logits_SNBE.softmax(dim=-1))


def gumbel(draws: SegmentDraws, shape: torch.Size) -> Tensor:
    """Standard Gumbel noise, float32 [S, *shape]."""
    tiny = torch.finfo(torch.float32).tiny
    exponential = -torch.log(draws.uniform(*shape).clamp_min(tiny))
    return -torch.log(exponential.clamp_min(tiny))


def perplexity(mean_BE: Tensor) -> Tensor:
    """How many entries are used, summed over the codebooks, from the mean probability of each: scalar up to B x E."""
    return torch.exp(-(mean_BE * torch.log(mean_BE + 1e-7)).sum(dim=-1)).sum()
