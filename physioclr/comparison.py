"""Typed configuration of `jobs/compare.py`: methods x tasks x label fractions x seeds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from physioclr.config import MonitorConfig, NoiseConfig, NoiseKind, PrepareConfig, PretrainConfig, TrainingConfig
from physioclr.downstream import FinetuneConfig, FinetuneTraining
from physioclr.section import AboveZero, NotNegative, Positive, Section

# How a method answers a task. Of an encoder: `probe`, `finetune` (transformer trained), `all` (everything trained), and
# each of these together with logistic regression on the 150 features (`+features`: the mean of both log-odds), or with
# that and gradient boosting, weighed as is best on validation (`+weighed`); what is trained also with the encoder's
# probe beside it (`+probe+weighed`). Without one: the encoder trained from nothing (`scratch`), the features with
# logistic regression (`logistic`) or gradient boosting (`boosting`), and `minirocket`.
Answer = Literal[
    "probe",
    "probe+features",
    "probe+weighed",
    "finetune",
    "finetune+features",
    "finetune+weighed",
    "finetune+probe+weighed",
    "all",
    "all+features",
    "all+weighed",
    "all+probe+weighed",
    "scratch",
    "logistic",
    "boosting",
    "minirocket",
]
PARTS: dict[Answer, tuple[Answer, ...]] = {  # those whose log-odds are averaged
    "probe+features": ("probe", "logistic"),
    "probe+weighed": ("probe", "logistic", "boosting"),
    "finetune+features": ("finetune", "logistic"),
    "finetune+weighed": ("finetune", "logistic", "boosting"),
    "finetune+probe+weighed": ("finetune", "probe", "logistic", "boosting"),
    "all+features": ("all", "logistic"),
    "all+weighed": ("all", "logistic", "boosting"),
    "all+probe+weighed": ("all", "probe", "logistic", "boosting"),
}
WEIGHED: tuple[Answer, ...] = tuple(answer for answer in PARTS if answer.endswith("weighed"))
OF_AN_ENCODER: tuple[Answer, ...] = ("probe", "finetune", "all", *PARTS)
TRAINED: tuple[Answer, ...] = ("finetune", "all", "scratch")  # by Ray Train; the others are fitted
SET_BY_CELLS = ("mode", "task", "own", "test", "split", "label_fraction", "subset_seed")  # of `finetune`
SET_OF_METHODS = (*SET_BY_CELLS, "name", "output", "prepared", "encoder", "model")  # of a method's own `finetune`
BESIDE = ("encoders", "answers", "noise")  # folders in `output` that all comparisons there share


class ComparedMethod(Section):
    """One method: how its encoder is pretrained, if it has one, and how it answers."""

    answers: Annotated[tuple[Answer, ...], Field(min_length=1)] = ("probe",)
    untrained: bool = False  # the encoder is left as it was drawn
    pretrain: dict[str, Any] = Field(default_factory=dict)  # what differs from the comparison's `pretrain`
    finetune: dict[str, Any] = Field(default_factory=dict)  # what differs from the comparison's `finetune`


class TargetConfig(Section):
    """Where methods are judged: the test split of a prepared dataset, or all of another one, as of another hospital.

    Both are prepared first if they are not there.
    """

    dataset: PrepareConfig = PrepareConfig()  # labels to learn from
    test: PrepareConfig | None = None  # without it, the test split of `dataset`
    tasks: Annotated[tuple[str, ...], Field(min_length=1)] = ("afib",)  # of `physioclr.evaluation.tasks`


class NoiseLevels(Section):
    """Noise on the test recordings: each kind at each ratio of signal to noise in dB, the same for every answer."""

    kinds: Annotated[tuple[NoiseKind, ...], Field(min_length=1)] = ("wander", "muscle", "mains", "mix")
    db: Annotated[tuple[float, ...], Field(min_length=1)] = (24.0, 18.0, 12.0, 6.0, 0.0)
    seed: Annotated[int, Field(ge=0)] = 0  # with the recording's name it decides the noise

    @property
    def levels(self) -> tuple[NoiseConfig, ...]:
        """All of them, kind by kind."""
        return tuple(NoiseConfig(kind=kind, db=db, seed=self.seed) for kind in self.kinds for db in self.db)


class CostConfig(Section):
    """What `--dry-run` counts with where nothing has been measured yet. null: not known."""

    recordings: Positive | None = None  # training recordings, while the dataset is not prepared
    target_recordings: Positive | None = None  # the same of a target
    pretrain_rate: AboveZero | None = None  # recordings a second of one worker; runs that are there are measured
    finetune_rate: AboveZero | None = None  # the same of fine-tuning
    worker_hour: NotNegative | None = None  # price of one worker's machine for an hour
    currency: str = "USD"


class CompareTraining(TrainingConfig):
    """As in pretraining, smaller: many runs go side by side."""

    epochs: Positive = 4
    workers: Positive = 1


class CompareMonitor(MonitorConfig):
    """As in pretraining, on fewer recordings."""

    train_recordings: Positive = 200
    validation_recordings: Positive = 100


class ComparePretrain(PretrainConfig):
    """What all methods with an encoder share. `name` and `output` are the comparison's."""

    training: CompareTraining = CompareTraining()
    monitor: CompareMonitor = CompareMonitor()


class CompareFinetuneTraining(FinetuneTraining):
    """As in fine-tuning, smaller."""

    epochs: Positive = 6
    patience: Positive | None = 3
    workers: Positive = 1


class CompareFinetune(FinetuneConfig):
    """What all trained answers share. What is asked of which rows is each cell's own."""

    training: CompareFinetuneTraining = CompareFinetuneTraining()
    resamples: Annotated[int, Field(ge=0)] = 0  # the comparison has its own


_DEMO_METHODS = {
    "physioclr": ComparedMethod(answers=("probe", "finetune")),
    "untrained": ComparedMethod(untrained=True),
    "scratch": ComparedMethod(answers=("scratch",)),
    "features": ComparedMethod(answers=("logistic",)),
}
_DEMO_TARGETS = {"demo": TargetConfig()}


class CompareConfig(Section):
    """`jobs/compare.py`: every method on every task, label fraction and seed, one table of them all.

    `pretrain` and `finetune` are what all methods share: data, sizes, budget. Encoders and answers lie beside the
    comparison's own folder, named by their configuration, so that another comparison finds what it has in common.
    """

    name: str = "demo"
    output: str = "work/comparisons"  # the comparison's folder is output/name
    pretrain: ComparePretrain = ComparePretrain()
    finetune: CompareFinetune = CompareFinetune()
    methods: Annotated[dict[str, ComparedMethod], Field(min_length=1)] = _DEMO_METHODS
    targets: Annotated[dict[str, TargetConfig], Field(min_length=1)] = _DEMO_TARGETS
    fractions: Annotated[tuple[Annotated[float, Field(gt=0.0, le=1.0)], ...], Field(min_length=1)] = (0.3, 1.0)
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = (0, 1)
    reference: str = "physioclr/probe"  # METHOD/ANSWER that the others are compared with
    noise: NoiseLevels | None = None  # every answer is scored under noise too; it is fitted once, without
    resamples: Positive = 1000  # of the test patients, for the intervals
    parallel: Positive | None = None  # cells at once; without it, what the cluster's GPUs or CPUs allow
    cost: CostConfig = CostConfig()

    @field_validator("name")
    @classmethod
    def _a_folder_of_its_own(cls, name: str) -> str:
        if name in BESIDE:
            raise ValueError(f"{name} is a folder that all comparisons of this output share; give another name")
        return name

    @field_validator("methods", "targets")
    @classmethod
    def _plain_names(cls, named: dict[str, Any]) -> dict[str, Any]:
        for name in named:
            if not name or "/" in name:
                raise ValueError(f"the name {name!r} must not be empty or have a slash")
        return named

    @model_validator(mode="after")
    def _fits_together(self) -> CompareConfig:
        rows = [f"{name}/{answer}" for name, method in self.methods.items() for answer in method.answers]
        if self.reference not in rows:
            raise ValueError(f"reference {self.reference!r} is none of {', '.join(rows)}")
        blank = FinetuneConfig()
        for key in SET_BY_CELLS:
            if getattr(self.finetune, key) != getattr(blank, key):
                raise ValueError(f"finetune.{key} is set by each cell; leave it out")
        for name, method in self.methods.items():
            for key in SET_OF_METHODS:
                if key in method.finetune:
                    raise ValueError(f"methods.{name}.finetune.{key} is set by each cell; leave it out")
        return self
