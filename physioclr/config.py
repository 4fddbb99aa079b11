"""Typed configuration of every job. `physioclr.configfile` reads it from YAML and the command line.

The defaults are the embedded demo: small enough for a laptop without a GPU and without data. Values marked [paper]
in docs/method.md are PhysioCLR's (arXiv 2509.08116) and are set by `configs/pretrain_paper.yaml`.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from physioclr.baselines.config import MethodConfig, PhysioCLRMethod
from physioclr.ecg.leads import LEADS
from physioclr.features.columns import STATISTIC_COLUMNS
from physioclr.section import AboveZero, Fraction, Positive, Section

SourceKind = Literal["ptb-xl", "mimic-iv-ecg", "challenge-2021", "wfdb", "demo"]


class SourceConfig(Section):
    """Where recordings come from.

    `kind` names the layout: `ptb-xl`, `mimic-iv-ecg`, `challenge-2021`, `wfdb` (any folder) or `demo` (made here).
    """

    kind: SourceKind = "demo"
    uri: str = "work/demo-recordings"
    name: str | None = None  # what the recordings' `dataset` column says; without it, the kind
    labels_csv: str | None = None  # wfdb: a CSV of record, patient_id, labels, age, sex (docs/getting-started.md)
    anonymous: bool | None = None  # S3 without credentials; without it, true for s3://physionet-open only
    # Patient ids become a hash with the key in PHYSIOCLR_PATIENT_KEY; without it, true for wfdb with labels_csv only:
    # ids of published databases are pseudonyms, and those of one's own archive may not be.
    pseudonymise: bool | None = None
    limit: Positive | None = None  # take the first so many recordings of the index
    patients: Positive = 90  # demo: how many patients to make
    recordings_per_patient: Positive = 3  # demo: how many recordings of each
    seed: Annotated[int, Field(ge=0)] = 0  # demo: seed of the generator

    @property
    def dataset(self) -> str:
        """Name that the recordings of this source carry."""
        return self.name or self.kind

    @property
    def pseudonymised(self) -> bool:
        """Whether patient ids are replaced (`physioclr.sources.pseudonyms`)."""
        own = self.kind == "wfdb" and self.labels_csv is not None
        return own if self.pseudonymise is None else self.pseudonymise


class SplitConfig(Section):
    """Shares of the patients that go to validation and test; the rest is the training split."""

    validation: Fraction = 0.15
    test: Fraction = 0.15
    seed: int = 0

    @model_validator(mode="after")
    def _leaves_training(self) -> SplitConfig:
        if self.validation + self.test >= 1.0:
            raise ValueError("validation + test must be below 1, or nothing is left to train on")
        return self


NoiseKind = Literal["wander", "muscle", "mains", "mix"]  # of `physioclr.evaluation.noise`


class NoiseConfig(Section):
    """Noise added to a recording: each lead has its own, scaled to the same ratio (`physioclr.evaluation.noise`)."""

    kind: NoiseKind = "mix"
    db: float = 12.0  # signal to noise
    seed: Annotated[int, Field(ge=0)] = 0  # with the recording's name it decides the noise


class FeatureConfig(Section):
    """How the 150 physiological features of a 5 s segment are measured (arXiv 2509.08116: physiological features)."""

    engine: Literal["batched", "neurokit"] = "batched"  # `neurokit` is the slow reference
    method: Literal["prominence", "dwt", "cwt", "peak"] = "prominence"  # of `neurokit`: its delineation method
    lead: str = (
        "pca"  # a lead's name, or `pca`: the first principal component of the 12 (docs/features.md, "Which lead")
    )
    # A missing value becomes the training mean; `absent` also tells the PCA which measures no beat of the segment has.
    missing: Literal["absent", "mean"] = "absent"
    components: Positive = 50  # PCA dimensions
    clip: Annotated[float, Field(gt=0)] = 5.0  # standardised features are cut at this many standard deviations
    # An experiment: features, status and quality are measured on a noisy copy. Signal, R peaks and waves stay.
    noise: NoiseConfig | None = None

    @property
    def marked(self) -> tuple[int, ...]:
        """Features whose absence is a column of its own."""
        return STATISTIC_COLUMNS if self.missing == "absent" else ()

    @field_validator("lead")
    @classmethod
    def _known_lead(cls, lead: str) -> str:
        if lead not in (*LEADS, "pca"):
            raise ValueError(f"must be one of {', '.join(LEADS)} or pca")
        return lead


class PrepareConfig(Section):
    """`jobs/prepare.py`: recordings to a prepared dataset."""

    uri: str = "work/demo-prepared"
    sources: tuple[SourceConfig, ...] = (SourceConfig(),)
    split: SplitConfig = SplitConfig()
    features: FeatureConfig = FeatureConfig()
    order_seed: int = 0  # patients are laid out in the order of a hash with this seed
    unit_recordings: Positive = 32  # recordings that one task reads, and the grain at which a stopped job goes on
    shard_recordings: Positive = 1024  # recordings in one Parquet file, about 128 MB
    row_group_rows: Positive = 32  # rows in one Parquet row group: the grain of shuffling in training
    workers: Positive | None = None  # feature extraction actors; without it, what the cluster's CPUs allow


ModelSize = Literal["tiny", "small", "base"]
TokenPool = Literal["mean", "statistics"]  # of a segment's tokens to its embedding: method/encoder.py


class ModelConfig(Section):
    """Encoder, decoder and projection. `size` sets every `None` below (`physioclr.method.sizes`)."""

    size: ModelSize = "tiny"
    conv_channels: Positive | None = None
    width: Positive | None = None
    depth: Positive | None = None
    heads: Positive | None = None
    feedforward: Positive | None = None
    position_kernel: Positive | None = None
    position_groups: Positive | None = None
    projection: Positive | None = None
    dropout: Fraction = 0.1


class ObjectiveConfig(Section):
    """PhysioCLR's pairs, views and losses (arXiv 2509.08116: pairs, loss, heartbeat shuffling)."""

    delta: Annotated[float, Field(ge=-1.0, le=1.0)] = 0.25  # cosine at or above which features make a positive
    # How their cosine makes a positive: `delta` (the paper's), or `quantile`, `nearest`, `soft` (method/alikeness.py).
    choose: Literal["delta", "quantile", "nearest", "soft"] = "delta"
    quantile: Fraction = 0.8  # of `quantile`: share of the batch's pairs that are not alike
    nearest: Positive = 8  # of `nearest`: feature positives of an anchor
    softness: AboveZero = 0.1  # of `soft`: width of the step around delta
    confidence: bool = False  # the quality of both segments' features weighs their pair
    similarity: Literal["pca", "learned"] = "pca"  # what the cosine is of; `learned`: method/metric.py
    metric_weight: AboveZero = 1.0  # of `learned`: of its own loss
    metric_width: Positive = 32  # of `learned`: dimensions that the features are brought to
    temperature: Annotated[float, Field(gt=0)] = 0.1
    form: Literal["released", "supcon"] = "supcon"
    contrastive_weight: Annotated[float, Field(ge=0)] = 1.0  # 1 in the paper; 0: reconstruction only
    global_weight: Annotated[float, Field(ge=0)] = 0.2  # alpha
    peak_weight: Annotated[float, Field(ge=0)] = 0.1  # beta
    patient_positives: Literal["none", "record", "patient"] = "record"
    feature_positives: bool = True
    feature_negatives: bool = True  # off: every segment that is no positive is a negative, whatever its features
    shuffle_positives: bool = True  # the heartbeat-shuffled view is made and is a positive

    @model_validator(mode="after")
    def _fits_together(self) -> ObjectiveConfig:
        if self.choose == "soft" and not self.feature_negatives:
            raise ValueError(
                "choose=soft weighs each pair as a positive and as a negative by its features; "
                "feature_negatives=false takes the latter away: set it to true, or choose=delta"
            )
        return self


class OptimiserConfig(Section):
    """Adam, gradient clipping and a learning rate schedule.

    `adamw` decays weights directly; `adam` adds the decay to the gradients, and where these are small, as the
    reconstruction's are, it outweighs them and the decoder never learns (docs/benchmarks.md).
    """

    name: Literal["adam", "adamw"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    betas: tuple[Fraction, Fraction] = (0.9, 0.98)
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    clip_norm: Annotated[float, Field(gt=0)] | None = 1.0  # null: gradients are not clipped
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup_steps: Annotated[int, Field(ge=0)] = 10


def _count_or_range(value: Any) -> Any:
    """A count, or the fewest and the most; in one sentence what it is not."""
    ends = value if isinstance(value, list | tuple) else (value, value)
    whole = len(ends) == 2 and all(isinstance(end, int) and not isinstance(end, bool) for end in ends)
    if not whole or not 1 <= ends[0] <= ends[1]:
        raise ValueError("must be a whole number of 1 or more, or two of them, [fewest, most]")
    return value if isinstance(value, int) else tuple(ends)


class TrainingConfig(Section):
    """How long, on how many workers, and in which precision."""

    epochs: Positive = 10
    batch_size: Annotated[int, Field(ge=2)] = 32  # recordings in one optimiser step over all workers
    accumulate: Positive = 1  # a step is this many micro-batches; pairs are made inside each
    # [fewest, most]: the run goes on with fewer when machines are lost, and with more when some join.
    workers: Annotated[int | tuple[int, int], BeforeValidator(_count_or_range)] = 2
    device: Literal["auto", "cpu", "gpu"] = "auto"
    cpus_per_worker: Annotated[float, Field(gt=0)] | None = None  # without it, half of what the cluster can spare
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool = False
    mix_row_groups: Positive = 64  # row groups mixed with each other: more is better mixed and takes more memory
    seed: Annotated[int, Field(ge=0)] = 0
    log_every_steps: Positive = 10
    max_failures: Annotated[int, Field(ge=-1)] = 3  # restarts of the worker group; -1 is without end
    # Workers, of a fixed number, that found no room for so long end the run with a sentence; without it, it waits.
    placement_timeout_s: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _batches_divide(self) -> TrainingConfig:
        if self.batch_size % self.shares:
            one = f"{self.most} workers"
            who = one if self.fewest == self.most else f"every number of workers from {self.fewest} to {self.most}"
            raise ValueError(
                f"batch_size {self.batch_size} cannot be shared by {who} in {self.accumulate} "
                f"micro-batches; make it a multiple of {self.shares}"
            )
        return self

    @property
    def fewest(self) -> int:
        """Workers without which the run waits."""
        return self.workers if isinstance(self.workers, int) else self.workers[0]

    @property
    def most(self) -> int:
        """Workers that it starts with, where there is room for them."""
        return self.workers if isinstance(self.workers, int) else self.workers[1]

    @property
    def shares(self) -> int:
        """What a batch must be a multiple of, to be the same whatever the number of workers is."""
        return self.accumulate * math.lcm(*range(self.fewest, self.most + 1))


class CheckpointConfig(Section):
    """What is kept while training. Checkpoints are written at the end of each epoch, and between if asked."""

    every_steps: Positive | None = None  # at most so many are lost with a worker: one is begun in half as many
    keep: Positive = 2
    metric: str = "loss"  # of the epoch rows in metrics.jsonl; decides which checkpoints are kept beside the latest
    mode: Literal["min", "max"] = "min"
    export: Literal["last", "best"] = "last"  # whose encoder is exported


class MonitorConfig(Section):
    """What is measured each epoch: a fixed part of the training and validation splits, and a linear probe on labels."""

    train_recordings: Positive = 1000
    validation_recordings: Positive = 1000
    probe: str = "auto"  # name of a label set of `physioclr.evaluation.tasks`, or `auto`, or `none`


class AblationConfig(Section):
    """An experiment: what is taken from features before they make pairs (docs/method.md). Drawn by the run's seed."""

    drop: Fraction = 0.0  # share of the 150 columns that are left out, and the PCA fitted without them
    random: bool = False  # each recording's features are a random vector instead


class PretrainConfig(Section):
    """`jobs/pretrain.py`: a prepared dataset (made first if it is not there) to an encoder."""

    name: str = "demo"
    output: str = "work/runs"  # the run's folder is output/name
    start: str | None = None  # a checkpoint of another run, with the same model and data, to begin at
    dataset: PrepareConfig = PrepareConfig()
    model: ModelConfig = ModelConfig()
    method: MethodConfig = PhysioCLRMethod()
    objective: ObjectiveConfig = ObjectiveConfig()  # of method physioclr
    ablation: AblationConfig | None = None  # of what the features say, in an experiment
    optimiser: OptimiserConfig = OptimiserConfig()
    training: TrainingConfig = TrainingConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    monitor: MonitorConfig = MonitorConfig()
