"""Typed configuration of `jobs/search.py`: which keys of a pretraining are varied, and what then is done."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from physioclr.comparison import CostConfig
from physioclr.config import PretrainConfig, TrainingConfig
from physioclr.section import AboveZero, Fraction, Positive, Section

# What is maximised: the probe's macro-AUROC on the validation split (`pipeline/pretrain/monitor.py`).
METRIC = "probe_auroc"
PROPOSAL = "proposal"  # key of Tune's configuration of a trial: its name, its values, and where it goes on
# Of a trial, or the same for all: the data are prepared once, and all are judged by the same measure.
NOT_SEARCHED = ("name", "output", "start", "dataset", "monitor", "checkpoint", "training.epochs", "training.workers")
IN_FLIGHT = ("objective", "optimiser")  # sections whose keys may change while a trial is trained


class Range(Section):
    """A number from `low` to `high`, both included; whole if both are written so."""

    low: int | float
    high: int | float
    log: bool = False  # evenly over the logarithm
    step: AboveZero | None = None  # only low, low + step, ...

    @model_validator(mode="after")
    def _in_order(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a logarithmic range must begin above 0 and have no step")
        if self.whole and self.step is not None and self.step != int(self.step):
            raise ValueError(f"a range of whole numbers cannot have step {self.step}")
        return self

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are meant."""
        return isinstance(self.low, int) and isinstance(self.high, int)


class Choices(Section):
    """One of these values."""

    choices: Annotated[tuple[Any, ...], Field(min_length=1)]


def _kind(value: Any) -> str:
    """Which of the two is meant, so that what is wrong with it is said of that one alone."""
    choices = isinstance(value, Choices) or (isinstance(value, dict) and "choices" in value)
    return "choices" if choices else "range"


Parameter = Annotated[
    Annotated[Range, Tag("range")] | Annotated[Choices, Tag("choices")],
    Discriminator(_kind),
]


class PruningConfig(Section):
    """Which trials end early.

    `asha`: at epochs grace, grace x reduction, ..., all but the best 1 / reduction of those that came so far end.
    `population`: none ends; every `perturb_epochs` a trial in the worst `quantile` goes on from one of the best, with
    changed parameters (population based training). `none`: all are trained to the end.
    """

    by: Literal["asha", "population", "none"] = "asha"
    grace_epochs: Positive = 1
    reduction: Annotated[float, Field(gt=1.0)] = 3.0
    perturb_epochs: Positive = 2
    quantile: Annotated[float, Field(gt=0.0, le=0.5)] = 0.25
    resample: Fraction = 0.25  # share of the changes that draw anew instead of moving a little


class SearchTraining(TrainingConfig):
    """As in pretraining, on one worker: several trials go side by side."""

    epochs: Positive = 3
    workers: Positive = 1


class SearchPretrain(PretrainConfig):
    """What all trials share."""

    training: SearchTraining = SearchTraining()


_DEMO_SPACE: dict[str, Parameter] = {
    "objective.delta": Range(low=-0.5, high=0.75),
    "optimiser.learning_rate": Range(low=3e-4, high=3e-3, log=True),
}


class SearchConfig(Section):
    """`jobs/search.py`: short pretrainings on one prepared dataset, to the configuration that probes best."""

    name: str = "demo"
    output: str = "work/searches"  # the search's folder is output/name
    pretrain: SearchPretrain = SearchPretrain()
    space: Annotated[dict[str, Parameter], Field(min_length=1)] = _DEMO_SPACE
    trials: Positive = 4
    propose: Literal["tpe", "random", "grid"] = "tpe"  # Optuna's samplers
    pruning: PruningConfig = PruningConfig()
    seed: Annotated[int, Field(ge=0)] = 0  # of the proposals
    parallel: Positive | None = None  # trials at once; without it, what the cluster's GPUs or CPUs allow
    retries: Annotated[int, Field(ge=0)] = 2  # of a trial whose driver or machine is lost, each from its checkpoint
    placement_timeout_s: AboveZero = 900.0  # a trial that has no workers by then ends
    then: Literal["stop", "pretrain", "finetune"] = "stop"  # with the best configuration
    full: dict[str, Any] = Field(default_factory=dict)  # dotted keys of the pretraining that follows: its full budget
    finetune: dict[str, dict[str, Any]] = Field(default_factory=dict)  # downstream tasks by a name of one's own
    cost: CostConfig = CostConfig()  # for --dry-run

    @field_validator("space")
    @classmethod
    def _searchable(cls, space: dict[str, Parameter]) -> dict[str, Parameter]:
        for key in space:
            for fixed in NOT_SEARCHED:
                if key == fixed or key.startswith(f"{fixed}."):
                    raise ValueError(f"{key} is the same for all trials; take it out of the space")
        return space

    @model_validator(mode="after")
    def _fits_together(self) -> SearchConfig:
        if self.pretrain.monitor.probe == "none":
            raise ValueError("pretrain.monitor.probe is none, but the probe is what is maximised; name a task, or auto")
        if self.pruning.by == "population":
            fixed = [key for key in self.space if key.split(".")[0] not in IN_FLIGHT]
            if fixed:
                raise ValueError(
                    f"{', '.join(fixed)} cannot change while a trial is trained, as pruning.by=population does; "
                    "search it with asha or none"
                )
        grace, epochs = self.pruning.grace_epochs, self.pretrain.training.epochs
        if self.pruning.by == "asha" and grace > epochs:
            raise ValueError(
                f"pruning.grace_epochs {grace} is above pretrain.training.epochs {epochs}, so nothing could be pruned; "
                "lower it, or prune by none"
            )
        if self.propose == "grid":
            endless = [key for key, each in self.space.items() if isinstance(each, Range) and not _countable(each)]
            if endless:
                raise ValueError(f"{', '.join(endless)} has no grid; give a step, or choices")
        if self.then == "finetune" and not self.finetune:
            raise ValueError("then=finetune needs the section `finetune`: name a downstream task there")
        for task, values in self.finetune.items():
            own = [key for key in ("name", "output", "encoder") if key in values]
            if own:
                raise ValueError(f"finetune.{task} must not have {', '.join(own)}: the search sets them")
        return self


def _countable(one: Range) -> bool:
    return one.step is not None or (one.whole and not one.log)
