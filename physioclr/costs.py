"""What `--dry-run` counts with: rates, and the prices of machines. `configs/costs.yaml` is the table; `--costs FILE`
names another one. None stands for what is not known, and is said to be not known."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from physioclr import configfile
from physioclr.section import AboveZero, NotNegative, Positive, Section

TABLE = Path(__file__).parents[1] / "configs" / "costs.yaml"
Market = Literal["spot", "on_demand"]
Size = Literal["tiny", "small", "base"]


class Machine(Section):
    """A kind of machine and the price of an hour of it."""

    cpus: Positive
    gpus: int = 0
    on_demand: NotNegative
    spot: NotNegative | None = None  # it changes by the hour; an assumption, if any

    def price(self, market: Market) -> float | None:
        """Of an hour."""
        return self.spot if market == "spot" else self.on_demand


class PlanCosts(Section):
    """Which machines of the table a cluster has."""

    head: str
    data: str
    data_machines: Positive  # at once, while recordings are prepared
    training: str
    market: Market  # of the machines for training; the others are on demand


class TrainingRate(Section):
    """Recordings a second of one training worker."""

    cpu: AboveZero | None = None
    gpu: AboveZero | None = None


class RatesCosts(Section):
    """How fast work is done. What is given here is stated; what a run of one's own has measured goes before it."""

    source: str  # where the figures are from
    prepare_local: AboveZero | None = None  # recordings a second of one CPU, from a disk
    prepare_remote: AboveZero | None = None  # the same from object storage
    embed: TrainingRate = TrainingRate()
    pretrain: dict[Size, TrainingRate] = Field(default_factory=dict)
    finetune: dict[Size, TrainingRate] = Field(default_factory=dict)


class CostTable(Section):
    """The whole table."""

    date: datetime.date
    source: str
    currency: str
    machines: dict[str, Machine]
    plan: PlanCosts
    rates: RatesCosts

    @model_validator(mode="after")
    def _known_machines(self) -> CostTable:
        for name in (self.plan.head, self.plan.data, self.plan.training):
            if name not in self.machines:
                raise ValueError(f"plan names {name!r}, which is none of machines: {', '.join(self.machines)}")
        return self


def load_costs(path: str | None = None) -> CostTable:
    """The table at `path`, without it the project's own. Raises `ConfigError` as of any configuration."""
    return configfile.load(CostTable, path or str(TABLE))
