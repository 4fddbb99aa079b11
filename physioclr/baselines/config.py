"""How each pretraining method is configured: `method: {name: simclr, temperature: 0.1}` in a pretraining's YAML.

The values are those of the method's own paper or, marked [family], of the released configurations for the encoder that
PhysioCLR's comes from (Oh et al. 2022, arXiv 2203.06889; github.com/Jwoo5/fairseq-signals). [D] is a decision of ours.
The model, the optimiser and the data are the pretraining's: a comparison keeps them equal.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from physioclr.section import AboveZero, Fraction, NotNegative, Positive, Section

TOKENS = 156  # of a segment; `physioclr.method.encoder` counts them, and a test holds both equal


class PhysioCLRMethod(Section):
    """PhysioCLR (arXiv 2509.08116). Its values, and with them its ablations, are the section `objective`."""

    name: Literal["physioclr"] = "physioclr"


class SimCLRMethod(Section):
    """SimCLR (Chen et al. 2020, arXiv 2002.05709) with the noises and masks that recordings suffer from.

    A noise's amplitude is drawn up to the value here, in standard deviations of the lead. The family draws up to 0.5
    of a signal that was not normalised; [D] the same number is taken of a z-scored one. 0: without this noise.
    """

    name: Literal["simclr"] = "simclr"
    temperature: AboveZero = 0.1  # [family]
    powerline: NotNegative = 0.5  # [family] 50 or 60 Hz
    muscle: NotNegative = 0.5  # [family] white noise, each lead its own
    wander: NotNegative = 0.5  # [family] of each of three waves of 0.01 to 0.2 Hz
    mask_leads: Fraction = 0.5  # [family] probability that a lead is zero


class CMSCMethod(Section):
    """Contrastive multi-segment coding of CLOCS (Kiyasseh et al. 2021, arXiv 2005.13249): adjacent segments attract."""

    name: Literal["cmsc"] = "cmsc"
    temperature: AboveZero = 0.1  # CLOCS
    positives: Literal["patient", "record"] = "patient"  # CLOCS; record: the other half only


class ThreeKGMethod(Section):
    """3KG (Gopal et al. 2021, arXiv 2106.04452): the heart's vector turned and stretched, then time masked."""

    name: Literal["3kg"] = "3kg"
    temperature: AboveZero = 0.1  # [family]
    angle: Annotated[float, Field(ge=0.0, le=180.0)] = 45.0  # 3KG; degrees about each axis, either way
    scale: Annotated[float, Field(ge=1.0)] = 1.5  # 3KG; each axis is stretched by 1 to this
    mask_time: Fraction = 0.5  # 3KG; share of each lead that is zero, one window somewhere
    positives: Literal["patient", "segment"] = "patient"  # [family]; segment: the two views of one segment only
    # What no dipole explains of the leads; 3KG drops it. [D] `kept` leaves it where it was: with z-scored leads it also
    # holds what the true amplitudes would have explained. It did no better (docs/benchmarks.md, Comparison).
    residual: Literal["kept", "dropped"] = "dropped"  # 3KG


class MaskedMethod(Section):
    """Masked reconstruction (He et al. 2021, arXiv 2111.06377), by mask tokens as in SimMIM (arXiv 2111.09886)."""

    name: Literal["masked"] = "masked"
    ratio: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5  # [D] share of patches; MTECG (arXiv 2309.07136): 5 to 75 %
    patch_tokens: Annotated[int, Field(ge=1, le=TOKENS // 2)] = 6  # [D] tokens of 32 ms masked together: 192 ms

    @model_validator(mode="after")
    def _masks_some(self) -> MaskedMethod:
        patches = -(-TOKENS // self.patch_tokens)
        if not 0 < round(self.ratio * patches) < patches:
            raise ValueError(f"a ratio of {self.ratio} of {patches} patches masks all or none; change either")
        return self


class Wav2VecMethod(Section):
    """W2V+CMSC+RLM (Oh et al. 2022): wav2vec 2.0 (arXiv 2006.11477), CMSC and random lead masking at once."""

    name: Literal["w2v-cmsc-rlm"] = "w2v-cmsc-rlm"
    temperature: AboveZero = 0.1  # wav2vec 2.0; of the masked prediction
    mask_probability: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.65  # wav2vec 2.0; of tokens, overlaps counted twice
    mask_span: Annotated[int, Field(ge=1, le=TOKENS // 2)] = 10  # wav2vec 2.0; tokens masked in a row
    distractors: Positive = 100  # wav2vec 2.0; other masked tokens of the same segment
    codebooks: Positive = 2  # wav2vec 2.0; each token is one entry of each
    entries: Annotated[int, Field(ge=2)] = 320  # wav2vec 2.0; of each codebook
    gumbel_first: AboveZero = 2.0  # wav2vec 2.0; temperature of the choice of entries
    gumbel_last: AboveZero = 0.5  # wav2vec 2.0
    gumbel_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 0.999995  # wav2vec 2.0; factor for each training batch
    diversity_weight: NotNegative = 0.1  # wav2vec 2.0
    penalty_weight: NotNegative = 10.0  # wav2vec 2.0 as released; mean square of the convolutions' output
    cmsc_weight: NotNegative = 1.0  # Oh et al.; 0: without CMSC
    cmsc_temperature: AboveZero = 0.1  # CLOCS
    positives: Literal["patient", "record"] = "patient"  # CLOCS
    mask_leads: Fraction = 0.5  # Oh et al.; probability that a lead is zero. 0: without


Baseline = SimCLRMethod | CMSCMethod | ThreeKGMethod | MaskedMethod | Wav2VecMethod
MethodConfig = Annotated[PhysioCLRMethod | Baseline, Field(discriminator="name")]
