"""W2V+CMSC+RLM (Oh et al. 2022, arXiv 2203.06889): local and global at once, on randomly masked leads.

wav2vec 2.0 (arXiv 2006.11477): spans of tokens are hidden, and at each hidden token the transformer's output must be
closer to the quantised token that was there than to those of other hidden tokens of the segment. CMSC: the means over
the tokens of two adjacent segments, from a second pass in which nothing is hidden, attract each other. As in the
release there is no projection before CMSC. Left out [D]: the release's smaller gradient for the convolutions, for
Adam's steps don't depend on the scale of a gradient.

Shapes: S segments of this rank, N 156 tokens, C convolution channels, W width, Q projected dimensions, K distractors,
B codebooks, E entries.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from physioclr.baselines import augmentations
from physioclr.baselines.cmsc import multi_segment_coding
from physioclr.baselines.config import Wav2VecMethod
from physioclr.baselines.draws import SegmentDraws
from physioclr.baselines.objective import Baseline, mean_over_ranks, over_ranks
from physioclr.baselines.quantiser import Quantised, Quantiser, perplexity
from physioclr.baselines.token_masks import distractors, span_mask
from physioclr.config import ModelConfig
from physioclr.method.batch import SegmentBatch
from physioclr.method.encoder import TOKENS
from physioclr.method.gather import World, gather, reduce_sum, world
from physioclr.method.objective import ObjectiveOutput
from physioclr.method.sizes import resolve


def prediction_rows(
    predicted_SNQ: Tensor, target_SNQ: Tensor, entry_SNB: Tensor, other_SNK: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Loss of each token float32 [S, N], and bool [S, N]: is the own target the closest.

    -log( exp(s / tau) / (exp(s / tau) + sum_K exp(s_k / tau)) ), s the cosine with the own target. A distractor
    that was quantised to the very same entries is none.
    """
    with torch.autocast(predicted_SNQ.device.type, enabled=False):
        predicted = functional.normalize(predicted_SNQ.float(), dim=2)
        cosine_SNN = predicted @ functional.normalize(target_SNQ.float(), dim=2).transpose(1, 2)
    same_SNN = (entry_SNB[:, :, None] == entry_SNB[:, None, :]).all(dim=-1)
    logit_SN = cosine_SNN.diagonal(dim1=1, dim2=2) / temperature
    other_logit_SNK = cosine_SNN.gather(2, other_SNK) / temperature
    other_logit_SNK = other_logit_SNK.masked_fill(same_SNN.gather(2, other_SNK), torch.finfo(torch.float32).min)
    row_SN = functional.softplus(other_logit_SNK.logsumexp(dim=2) - logit_SN)
    return row_SN, logit_SN > other_logit_SNK.amax(dim=2)


class Wav2Vec(Baseline):
    """Encoder, quantiser and the two projections into the space where targets are predicted.

    `terms`: loss; prediction, cmsc, diversity, penalty: its unweighted parts; accuracy: share of hidden tokens whose
    own target is the closest; masked: share of tokens; perplexity: how many entries are in use, of codebooks x
    entries; gumbel: temperature; positives_mean, negatives_mean, alignment: of CMSC.
    """

    batches: Tensor

    def __init__(self, model: ModelConfig, method: Wav2VecMethod) -> None:
        super().__init__(model)
        sizes = resolve(model)
        self.method = method
        self.mask_token = nn.Parameter(torch.rand(sizes.width))  # as released with wav2vec 2.0
        self.quantiser = Quantiser(sizes.conv_channels, method.codebooks, method.entries, sizes.projection)
        self.quantiser_dropout = nn.Dropout(model.dropout)
        self.project_target = nn.Linear(sizes.projection, sizes.projection)
        self.project_context = nn.Linear(sizes.width, sizes.projection)
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))  # seen in training

    def forward(self, batch: SegmentBatch, generator: torch.Generator | None = None) -> ObjectiveOutput:
        here, method = world(), self.method
        draws = SegmentDraws(len(batch), generator, batch.signal_SLT.device)
        signal_SLT = augmentations.mask_leads(batch.signal_SLT, method.mask_leads, draws)
        conv_SNC = self.encoder.convolutions(signal_SLT)
        normed_SNC = self.encoder.conv_norm(conv_SNC)
        tokens_SNW = self.encoder.to_width(normed_SNC)
        mask_SN = span_mask(TOKENS, method.mask_span, method.mask_probability, draws)
        temperature = self.gumbel_temperature()
        quantised = self.quantiser(self.quantiser_dropout(normed_SNC), temperature, draws)

        pooled_SW = self.encoder.pool(self.encoder.contextualise(tokens_SNW))
        pairs = multi_segment_coding(pooled_SW, batch, method.positives, method.cmsc_temperature, here)
        terms = self._prediction(tokens_SNW, mask_SN, quantised, draws, here)
        usage = perplexity(_mean_choice(quantised.likely_SNBE, mask_SN, here))
        terms |= {"cmsc": pairs.loss, "diversity": 1 - usage / (method.codebooks * method.entries)}
        terms["penalty"] = conv_SNC.float().square().mean()
        loss = (
            terms["prediction"]
            + method.diversity_weight * terms["diversity"]
            + method.penalty_weight * terms["penalty"]
            + method.cmsc_weight * pairs.loss
        )
        terms |= {"perplexity": usage, "gumbel": temperature, **pairs.terms}
        return ObjectiveOutput(loss, over_ranks({"loss": loss, **terms}, here))

    def gumbel_temperature(self) -> Tensor:
        """Temperature of this batch, scalar float32; in training the next one is lower, down to the last."""
        method = self.method
        temperature = (method.gumbel_first * method.gumbel_decay ** self.batches.double()).clamp_min(method.gumbel_last)
        if self.training:
            self.batches += 1
        return temperature.float()

    def _prediction(
        self, tokens_SNW: Tensor, mask_SN: Tensor, quantised: Quantised, draws: SegmentDraws, here: World
    ) -> dict[str, Tensor]:
        """The masked prediction, how often it is right, and how much is masked."""
        masked_SNW = torch.where(mask_SN[:, :, None], self.mask_token.to(tokens_SNW.dtype), tokens_SNW)
        predicted_SNQ = self.project_context(self.encoder.contextualise(masked_SNW))
        target_SNQ = self.project_target(quantised.target_SNQ)
        other_SNK = distractors(mask_SN, self.method.distractors, draws)
        row_SN, right_SN = prediction_rows(
            predicted_SNQ, target_SNQ, quantised.entry_SNB, other_SNK, self.method.temperature
        )
        return {
            "prediction": mean_over_ranks(torch.where(mask_SN, row_SN, 0.0), mask_SN, here),
            "accuracy": mean_over_ranks((right_SN & mask_SN).float(), mask_SN, here),
            "masked": mask_SN.float().mean(),
        }


def _mean_choice(likely_SNBE: Tensor, mask_SN: Tensor, here: World) -> Tensor:
    """Mean probability of each entry over the hidden tokens of all ranks, with gradient: [B, E], on each rank the same.

    What is made of it is the same on every rank too, and so is not multiplied by the number of ranks.
    """
    sums_BE = torch.where(mask_SN[:, :, None, None], likely_SNBE, 0.0).sum(dim=(0, 1))
    return gather(sums_BE[None]).sum(dim=0) / reduce_sum(mask_SN.sum())
