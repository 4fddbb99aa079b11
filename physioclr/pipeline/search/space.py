"""From the space of a search to what Optuna and Tune draw from, and from what they draw to a trial's configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from ray import tune

from physioclr import configfile
from physioclr.config import PretrainConfig
from physioclr.search import Choices, Parameter, Range, SearchConfig

Values = dict[str, Any]  # by dotted key of the pretraining
BETWEEN = 0.37  # of the way through a range: a place that no whole number is at by accident


def check_space(config: SearchConfig) -> None:
    """Raise `ConfigError`, naming the key, where a value of the space is not one that the pretraining takes."""
    for key, parameter in config.space.items():
        for value in _examples(parameter):
            configfile.changed(config.pretrain, {key: value}, f"space.{key}")


def _examples(parameter: Parameter) -> list[Any]:
    if isinstance(parameter, Choices):
        return list(parameter.choices)
    between = parameter.low + BETWEEN * (parameter.high - parameter.low)
    return [parameter.low, parameter.high, *([] if parameter.whole else [between])]


def distributions(space: Mapping[str, Parameter]) -> dict[str, BaseDistribution]:
    """What Optuna draws from. Of choices it draws the place, so that they may be anything."""
    return {key: _distribution(parameter) for key, parameter in space.items()}


def _distribution(parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, Choices):
        return CategoricalDistribution(list(range(len(parameter.choices))))
    if parameter.whole:
        step = int(parameter.step or 1)
        return IntDistribution(int(parameter.low), int(parameter.high), log=parameter.log, step=step)
    return FloatDistribution(float(parameter.low), float(parameter.high), log=parameter.log, step=parameter.step)


def drawn(space: Mapping[str, Parameter], values: Mapping[str, Any]) -> Values:
    """Values of what Optuna drew."""
    return {key: _value(space[key], value) for key, value in values.items()}


def _value(parameter: Parameter, value: Any) -> Any:
    return parameter.choices[value] if isinstance(parameter, Choices) else value


def as_drawn(space: Mapping[str, Parameter], values: Mapping[str, Any]) -> Values:
    """What Optuna would have drawn to get these values: the opposite of `drawn`."""
    return {
        key: list(each.choices).index(values[key]) if isinstance(each, Choices) else values[key]
        for key, each in space.items()
    }


def sampler(config: SearchConfig, known: int) -> BaseSampler:
    """The sampler that proposes, when so many trials have been proposed before: it does not begin anew."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seed = config.seed + 1000003 * known
    if config.propose == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if config.propose == "grid":
        return optuna.samplers.BruteForceSampler(seed=config.seed)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=min(10, max(2, config.trials // 4)))


def grid_size(space: Mapping[str, Parameter]) -> int:
    """How many trials a grid has."""
    return math.prod(_count(parameter) for parameter in space.values())


def _count(parameter: Parameter) -> int:
    if isinstance(parameter, Choices):
        return len(parameter.choices)
    return int((parameter.high - parameter.low) / (parameter.step or 1) + 1e-9) + 1


def mutations(space: Mapping[str, Parameter]) -> dict[str, Any]:
    """What population based training draws from."""
    return {key: _domain(parameter) for key, parameter in space.items()}


def _domain(parameter: Parameter) -> Any:
    if isinstance(parameter, Choices):
        return list(parameter.choices)
    low, high = parameter.low, parameter.high
    if parameter.whole:
        return tune.randint(int(low), int(high) + 1)
    return tune.loguniform(low, high) if parameter.log else tune.uniform(low, high)


def within(space: Mapping[str, Parameter], values: Mapping[str, Any]) -> Values:
    """Values brought back into the space: population based training multiplies them, and leaves ranges and steps."""
    return {key: _bounded(space[key], value) for key, value in values.items()}


def _bounded(parameter: Parameter, value: Any) -> Any:
    if not isinstance(parameter, Range):
        return value
    bounded = min(max(value, parameter.low), parameter.high)
    if parameter.step is not None:
        place = min(round((bounded - parameter.low) / parameter.step), _count(parameter) - 1)
        bounded = parameter.low + place * parameter.step
    return round(bounded) if parameter.whole else bounded


def trial_config(config: SearchConfig, name: str, values: Mapping[str, Any], folder: str) -> PretrainConfig:
    """The pretraining of the trial `name` with these values; its run's folder is folder/name."""
    plain = PretrainConfig.model_validate(config.pretrain.model_dump())
    return configfile.changed(plain, {**values, "name": name, "output": folder}, f"trial {name}")
