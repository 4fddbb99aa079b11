"""Typed configuration of `jobs/benchmark.py`, a section a benchmark."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from physioclr.baselines.config import MethodConfig, PhysioCLRMethod
from physioclr.config import (
    FeatureConfig,
    ModelConfig,
    ModelSize,
    NoiseKind,
    ObjectiveConfig,
    SourceConfig,
    SourceKind,
)
from physioclr.section import Positive, Section


class ProbeBenchmark(Section):
    """`jobs/benchmark.py probe`: linear probes of an encoder, of an untrained one, and of the 150 features."""

    prepared: str = "work/demo-prepared"
    encoder: str = "work/runs/demo/encoder"
    tasks: tuple[str, ...] = ("challenge-26", "afib")  # `physioclr.evaluation.tasks`
    resamples: Positive = 2000  # of the patients, for the intervals
    seed: int = 0  # of the untrained encoder and the resampling


class IngestBenchmark(Section):
    """`jobs/benchmark.py ingest`: rates of preparing on 1 and 2 workers, and of training from storage and memory."""

    sources: tuple[SourceConfig, ...] = (SourceConfig(),)
    features: FeatureConfig = FeatureConfig()
    scratch: str = "work/benchmark-ingest"  # prepared datasets go here, and go again
    workers: tuple[Positive, ...] = (1, 2)
    model: ModelConfig = ModelConfig(size="small")
    batch_size: Annotated[int, Field(ge=2)] = 16
    steps: Positive = 6  # in each phase
    rounds: Positive = 3  # of both phases, one after the other


class ScalingBenchmark(Section):
    """`jobs/benchmark.py scaling`: rates of preparing and of training over the number of workers, on the cluster that
    is there."""

    sources: tuple[SourceConfig, ...] = (SourceConfig(),)
    features: FeatureConfig = FeatureConfig()
    scratch: str = "work/benchmark-scaling"  # datasets and runs go here, and go again; all machines must see it
    prepare_workers: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1, 2, 4)
    training_workers: Annotated[tuple[Positive, ...], Field(min_length=1)] = (1, 2)
    cpus_per_worker: Annotated[float, Field(gt=0)] | None = None  # of training; null: what the machines have
    model: ModelConfig = ModelConfig(size="tiny")
    batch_size: Annotated[int, Field(ge=2)] = 16  # of all workers together
    steps: Positive = 40  # at least, with each number of workers


class FlopsBenchmark(Section):
    """`jobs/benchmark.py flops`: floating-point operations of a pretraining step, by size of the encoder."""

    sizes: tuple[ModelSize, ...] = ("tiny", "small", "base")
    objective: ObjectiveConfig = ObjectiveConfig()
    method: MethodConfig = PhysioCLRMethod()


class RecordingsBenchmark(Section):
    """What the benchmarks of the features have in common: which recordings."""

    data: str | None = None  # folder or S3 URI of recordings; without it, demo recordings are made
    kind: SourceKind | None = None  # how `data` is laid out; without it, the layout that is found there
    recordings: Positive | None = None  # take the first so many of the index


class NoiseBenchmark(RecordingsBenchmark):
    """`jobs/benchmark.py noise`: what noise does to features and pairs, of each engine."""

    features: FeatureConfig = FeatureConfig()  # `engine` apart
    engines: tuple[Literal["batched", "neurokit"], ...] = ("batched", "neurokit")
    noises: tuple[NoiseKind, ...] = ("wander", "muscle", "mains", "mix")
    decibels: tuple[float, ...] = (24.0, 18.0, 12.0, 6.0, 0.0)  # signal to noise in each lead
    quality: Annotated[float, Field(ge=0, le=1)] = 0.7  # recordings of which both halves have this much, or more
    good: Annotated[int, Field(ge=2)] = 200  # of these, as many, drawn at random
    delta: Annotated[float, Field(ge=-1.0, le=1.0)] = 0.25  # cosine at or above which two halves are a pair
    seed: Annotated[int, Field(ge=0)] = 0  # of the noise and of the choice
    picture: str | None = None  # a PNG is written there


class FeaturesBenchmark(RecordingsBenchmark):
    """`jobs/benchmark.py features`: how fast features are measured, in how much memory, and on two cores."""

    features: FeatureConfig = FeatureConfig()  # `engine` and `method` apart
    methods: tuple[Literal["prominence", "dwt", "cwt", "peak"], ...] = ("dwt", "prominence")  # NeuroKit2's, to compare
    batch: Positive = 32  # recordings that every engine is given in a round
    rounds: Positive = 9  # of all engines in turn; each takes other recordings
    passes: Positive = 10  # of the fast engine over a round's recordings, so that a round lasts
    memory_batches: tuple[Positive, ...] = (1, 32, 256, 2048)  # recordings given at once, each in a process of its own
    workers: Annotated[int, Field(ge=1)] = 2  # Ray actors against one; 1: not measured
    worker_recordings: Positive = 2048  # for each actor in a round: seconds of work
    profile: bool = False  # what part of the time is what


MissingRule = Literal["mean", "median", "centre", "pairwise", "indicator", "absent"]


class PairsBenchmark(RecordingsBenchmark):
    """`jobs/benchmark.py pairs`: lead, missing values, components and delta, by how well pairs share labels.

    `A+B` are the features of both leads side by side, `mean(A+B)` their mean. One thing is changed at a time; the
    others are as in `features` and `delta`.
    """

    features: FeatureConfig = FeatureConfig()  # `engine` apart
    delta: Annotated[float, Field(ge=-1.0, le=1.0)] = 0.25
    leads: tuple[str, ...] = (
        *("I", "II", "V1", "V2", "V5", "V6", "pca"),
        *("II+V5", "pca+II", "pca+V5", "pca+II+V5", "mean(II+V5+V6)", "mean(pca+II+V5)"),
    )
    neurokit_leads: tuple[str, ...] = ("II", "V5", "pca")
    # what stands for a missing value (`physioclr.evaluation.pair_similarity`)
    rules: tuple[MissingRule, ...] = ("mean", "median", "centre", "pairwise", "indicator", "absent")
    components: tuple[Positive | None, ...] = (10, 20, 50, 100, None)  # null: all directions, no reduction
    clips: tuple[Annotated[float, Field(gt=0)], ...] = (3.0, 5.0, 10.0)
    deltas: tuple[float, ...] = (-0.5, -0.25, 0.0, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    folds: Annotated[int, Field(ge=2)] = 3
    seed: Annotated[int, Field(ge=0)] = 0  # of the folds
    scratch: str = "work/benchmark-pairs"  # features are kept here for the next time
    picture: str | None = None  # a PNG is written there


class DelineationBenchmark(Section):
    """`jobs/benchmark.py delineation`: P, QRS and T by `batched` and by the `methods` of NeuroKit2, against
    cardiologists' annotations."""

    data: str = "ludb"  # folder or S3 URI, laid out as LUDB: annotation files .i, .ii, ..., .v6 beside each header
    anonymous: bool | None = None  # S3 without credentials; without it, true for s3://physionet-open only
    methods: tuple[Literal["prominence", "dwt", "peak", "cwt"], ...] = ("prominence", "dwt", "peak", "cwt")
    tolerances_ms: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (150.0, 50.0)
    folds: Annotated[int, Field(ge=2)] = 5  # of the recordings, to show how far the figures of `batched` spread


class AgreementBenchmark(RecordingsBenchmark):
    """`jobs/benchmark.py agreement`: beats and intervals of `batched` beside those of `neurokit`."""

    quality_csv: str | None = None  # a CSV of `record` and `quality`: only recordings called `acceptable` are taken
    leads: tuple[str, ...] = ("pca", "II")  # as `FeatureConfig.lead`
    tolerance_ms: Annotated[float, Field(gt=0)] = 20.0  # two R peaks no farther apart are the same
    # Other detectors of NeuroKit2: how far they agree with the engines and with each other. []: not looked at
    detectors: tuple[Literal["khamis2016", "kalidas2017", "rodrigues2021", "pantompkins1985"], ...] = (
        "khamis2016",
        "kalidas2017",
        "rodrigues2021",
    )
    out: str = "work/benchmark-agreement"  # a report and pictures are written there

    @field_validator("leads")
    @classmethod
    def _known_leads(cls, leads: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(FeatureConfig(lead=lead).lead for lead in leads)


class OperationBenchmark(Section):
    """`jobs/benchmark.py operation`: what a pretraining takes to its first step, to go on after workers were killed,
    and for its checkpoints."""

    config: str | None = None  # YAML file of a pretraining; without it, the demo's
    set: tuple[str, ...] = ()  # KEY=VALUE of that pretraining
    address: str | None = None  # of a cluster's dashboard: submitted there (and nothing is killed); null: run here
    kills: Annotated[int, Field(ge=0)] | None = None  # of training workers, after further checkpoints; null: 2, here
    every_steps: Positive = 10  # as `checkpoint.every_steps`: a checkpoint is begun in half as many
    scratch: str = "work/benchmark-operation"  # the run goes here, and goes again

    @model_validator(mode="after")
    def _kills_are_made_here(self) -> OperationBenchmark:
        if self.address is not None and self.kills:
            raise ValueError("with an address nothing is killed; leave kills out, or set it to 0")
        return self

    @property
    def times(self) -> int:
        """How often a worker is killed."""
        here = 2 if self.kills is None else self.kills
        return 0 if self.address is not None else here
