"""Typed configuration of what is done with an encoder: `jobs/embed.py`, `jobs/finetune.py`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from physioclr.config import ModelConfig, OptimiserConfig, SourceConfig, TokenPool, TrainingConfig
from physioclr.section import Fraction, Positive, Section


class EmbedConfig(Section):
    """`jobs/embed.py`: embeddings of a prepared dataset, or of recordings as they are, with an exported encoder."""

    encoder: str = "work/runs/demo/encoder"
    prepared: str | None = "work/demo-prepared"  # a prepared dataset; or null, and then `sources` are read
    sources: tuple[SourceConfig, ...] = ()
    splits: tuple[Literal["train", "validation", "test"], ...] = ("train", "validation", "test")  # of `prepared`
    uri: str = "work/demo-embeddings"  # where the embeddings go
    token_pool: TokenPool = "mean"  # of a segment's tokens: their mean, or `statistics`, four times as long
    unit_recordings: Positive = 256  # embedded by one task and written as one file; a stopped job goes on there
    workers: Positive | None = None  # processes that embed; without it, one a GPU, or what the CPUs allow
    device: Literal["auto", "cpu", "gpu"] = "auto"

    @model_validator(mode="after")
    def _one_origin(self) -> EmbedConfig:
        if (self.prepared is None) == (not self.sources):
            raise ValueError("give either `prepared` or `sources` (with prepared=null), what is to be embedded")
        return self


class FoldsConfig(Section):
    """Patient-wise, stratified cross-validation over all rows: `fold` is tested, the next one chooses."""

    folds: Annotated[int, Field(ge=3)] = 5
    fold: Annotated[int, Field(ge=0)] = 0
    seed: int = 0

    @model_validator(mode="after")
    def _one_of_them(self) -> FoldsConfig:
        if self.fold >= self.folds:
            raise ValueError(f"fold {self.fold} is not one of {self.folds}, which count from 0")
        return self


class OwnTaskConfig(Section):
    """A task over labels of one's own: these classes, or every label that enough recordings have."""

    column: Literal["labels", "statements"] = "labels"
    classes: tuple[str, ...] = ()
    minimum: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _either(self) -> OwnTaskConfig:
        if bool(self.classes) == (self.minimum > 0):
            raise ValueError("give either `classes`, their names, or `minimum`, how many recordings a class must have")
        return self


class FinetuneOptimiser(OptimiserConfig):
    """As in pretraining, with smaller steps for weights that are good already."""

    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 0.75  # mode `all`: factor from each part to the one below


class FinetuneAugment(Section):
    """What a training window is changed by, anew each time it comes. Validation and test rows are left as they are."""

    crops: bool = False  # its two 5 s segments begin anywhere in its 10 s, not at 0 and 5 s
    mask_leads: Fraction = 0.0  # probability that a lead is zero


class FinetuneTraining(TrainingConfig):
    """As in pretraining, until validation no longer gets better."""

    epochs: Positive = 30
    epoch_steps: Positive = 1  # an epoch goes over the rows as often as it takes to make so many steps
    patience: Positive | None = 8  # epochs without a better validation macro-AUROC, then it stops; None: never


class FinetuneCheckpoint(Section):
    """Checkpoints are written at the end of each epoch, and between if asked. The latest and the best are kept."""

    every_steps: Positive | None = None  # at most so many are lost with a worker: one is begun in half as many

    @property
    def metric(self) -> str:
        """What the best is chosen by."""
        return "judged_by"

    @property
    def mode(self) -> Literal["max"]:
        """Which end of `metric` is best."""
        return "max"


class FinetuneConfig(Section):
    """`jobs/finetune.py`: a labelled prepared dataset and an encoder to predictions, figures and a report."""

    name: str = "demo-finetune"
    output: str = "work/runs"  # the run's folder is output/name
    prepared: str = "work/demo-prepared"
    test: str | None = None  # another prepared dataset, all of it tested on instead of the test split of `prepared`
    encoder: str | None = "work/runs/demo/encoder"  # None: mode scratch only
    mode: Literal["probe", "finetune", "all", "scratch"] = "finetune"
    task: str = "challenge-26"  # a name of `physioclr.evaluation.tasks`, or `own`
    own: OwnTaskConfig | None = None  # of task `own`
    split: FoldsConfig | Literal["fixed"] = "fixed"
    label_fraction: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0  # of the training patients
    subset_seed: int = 0  # which patients those are; the same for every method
    allow_overlap: bool = False  # of the encoder's training recordings with the test rows; stated in the result
    model: ModelConfig = ModelConfig()  # of mode scratch without an encoder
    token_pool: TokenPool = "mean"  # what the linear layer is given of a segment's tokens: their mean, or `statistics`
    dropout: Fraction = 0.1  # before the linear layer
    head: Literal["random", "probe"] = "random"  # what that layer begins as, in modes finetune and all
    augment: FinetuneAugment = FinetuneAugment()
    optimiser: FinetuneOptimiser = FinetuneOptimiser()
    training: FinetuneTraining = FinetuneTraining()
    checkpoint: FinetuneCheckpoint = FinetuneCheckpoint()
    resamples: Annotated[int, Field(ge=0)] = 1000  # of the patients, for the intervals

    @property
    def begins_as_probe(self) -> bool:
        """Whether training begins as a probe of the frozen encoder."""
        return self.head == "probe" and self.mode in ("finetune", "all")

    @field_validator("split", mode="before")
    @classmethod
    def _a_split(cls, value: Any) -> Any:
        if isinstance(value, str) and value != "fixed":
            raise ValueError("must be fixed, or folds such as {folds: 5, fold: 0, seed: 0}")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> FinetuneConfig:
        if self.encoder is None and self.mode != "scratch":
            raise ValueError(f"mode {self.mode} needs an encoder; give its URI, or mode=scratch")
        if self.test is not None and self.split != "fixed":
            raise ValueError("test names another dataset to test on, so nothing is left to split; leave split=fixed")
        if (self.task == "own") != (self.own is not None):
            raise ValueError("task=own and the section `own` need each other; give both or neither")
        return self
