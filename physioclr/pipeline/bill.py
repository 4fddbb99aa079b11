"""From samples, a rate and a machine to hours and money: what `--dry-run` says of every job."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from physioclr.comparison import CostConfig
from physioclr.config import ModelConfig, PrepareConfig, TrainingConfig
from physioclr.costs import CostTable, Market, TrainingRate


@dataclass(frozen=True)
class Work:
    """Part of a job: so many samples, each worker doing `rate` a second (None: not known; `source` says of whom)."""

    what: str
    samples: int
    rate: float | None
    source: str
    workers: int
    machine: str
    per_machine: int  # workers on one machine
    market: Market = "on_demand"

    @property
    def machines(self) -> int:
        """How many machines the workers fill."""
        return math.ceil(self.workers / self.per_machine)


@dataclass(frozen=True)
class Bill:
    """What a piece of work takes; `money` without the head, None where the price is not known."""

    worker_hours: float
    hours: float
    money: float | None


def bill(work: Work, table: CostTable) -> Bill | None:
    """Hours and money of `work`, None where its rate is not known."""
    if work.rate is None:
        return None
    worker_hours = work.samples / work.rate / 3600
    hours = worker_hours / work.workers
    price = table.machines[work.machine].price(work.market)
    return Bill(worker_hours, hours, None if price is None else hours * work.machines * price)


def preparing(config: PrepareConfig, recordings: int, table: CostTable) -> Work:
    """Extraction of all `recordings` on CPUs."""
    machine = table.machines[table.plan.data]
    remote = any("://" in source.uri for source in config.sources)
    rate = table.rates.prepare_remote if remote else table.rates.prepare_local
    workers = config.workers or table.plan.data_machines * machine.cpus
    return Work("preparing", recordings, rate, table.rates.source, workers, table.plan.data, machine.cpus)


def training(
    what: str,
    samples: int,
    model: ModelConfig,
    config: TrainingConfig,
    rates: dict[Any, TrainingRate],
    table: CostTable,
    rate: float | None = None,
) -> Work:
    """Training of a model of that size on as many workers as there may be, a GPU each unless the configuration says
    CPUs; `rate`, where it is known, goes before the table's."""
    of_size = rates.get(model.size, TrainingRate())
    work = on_workers(what, samples, of_size, config.device, config.most, table)
    return work if rate is None else replace(work, rate=rate)


def on_workers(what: str, samples: int, rate: TrainingRate, device: str, workers: int, table: CostTable) -> Work:
    """Work of processes with a GPU each, or with a machine of CPUs each where `device` is cpu."""
    plan, source = table.plan, table.rates.source
    gpus = table.machines[plan.training].gpus
    if device == "cpu" or not gpus:
        return Work(what, samples, rate.cpu, source, workers, plan.data, 1)
    return Work(what, samples, rate.gpu, source, workers, plan.training, gpus, plan.market)


def facts_of(works: Sequence[Work], table: CostTable) -> dict[str, Any]:
    """Machines, hours and money of a job's parts, one after the other, as lines for people."""
    if not any(work.samples for work in works):
        return {}
    bills = [bill(work, table) for work in works]
    return {
        "machines": "; ".join([f"head: {table.plan.head}", *map(_machines, works)]),
        "hours": {work.what: _hours(work, one) for work, one in zip(works, bills, strict=True)},
        "money": _money(works, bills, table),
        "prices": f"of {table.date}, {table.source}",
    }


def _worker(work: Work, table: CostTable) -> str:
    """The machine of a worker, and its part of the price."""
    price, market = table.machines[work.machine].price(work.market), "on spot" if work.market == "spot" else "on demand"
    hour = "no price" if price is None else f"{price / work.per_machine:,.2f} {table.currency} an hour of a worker"
    return f"{work.machine} {market}, {hour}"


def _machines(work: Work) -> str:
    market = "on spot" if work.market == "spot" else "on demand"
    return f"{work.what}: {work.machines:,} x {work.machine} {market}"


def _hours(work: Work, one: Bill | None) -> str:
    if one is None:
        return f"not known: there is no rate for {work.machine}; train an epoch and give its rate with --costs FILE"
    assert work.rate is not None, "or there were no bill"
    hours = f"{one.hours:,.2f}" if one.hours >= 0.01 else "less than 0.01"
    return f"{hours}, at {work.rate:,.4g} a second of each worker (stated: {work.source})"


def _money(works: Sequence[Work], bills: Sequence[Bill | None], table: CostTable) -> str:
    """The sum of what is known, the head's hours included, and what an hour of the rest costs."""
    known = [one for one in bills if one is not None]
    head = table.machines[table.plan.head].on_demand
    total = sum(head * one.hours + (one.money or 0.0) for one in known)
    said = [f"{total:,.2f} {table.currency}"] if known else []
    for work, one in zip(works, bills, strict=True):
        price = table.machines[work.machine].price(work.market)
        if price is None:
            said.append(f"{work.what} has no price")
        elif one is None:
            said.append(f"{work.what} is not known, {head + price * work.machines:,.2f} {table.currency} an hour")
    return "; ".join(said)


def in_worker_hours(works: Sequence[Work], cost: CostConfig, table: CostTable) -> dict[str, str]:
    """Of many runs side by side: hours of one worker, and their price, which `cost` may state."""
    facts, hours, money, priced = {}, 0.0, 0.0, True
    for work in works:
        facts["a worker's machine"] = _worker(work, table)
        facts[work.what] = f"{work.samples:,} recordings in all epochs"
        alone = bill(replace(work, workers=1), table)
        if alone is None:
            facts[work.what] += "; how long is not known: give cost.pretrain_rate and cost.finetune_rate"
            continue
        facts[work.what] += f", {alone.hours:,.1f} worker-hours at {work.rate:,.0f} a second"
        hours += alone.hours
        priced = priced and (cost.worker_hour is not None or alone.money is not None)
        stated = None if cost.worker_hour is None else alone.hours * cost.worker_hour
        money += (alone.money or 0.0) / work.per_machine if stated is None else stated
    if hours and priced:
        own = cost.worker_hour is not None
        whose = "" if own else f"; prices of {table.date}, {table.source}"
        facts["cost"] = f"{money:,.0f} {cost.currency if own else table.currency} for {hours:,.1f} worker-hours{whose}"
    return facts
