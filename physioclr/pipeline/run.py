"""The folder of a run: its name belongs to one configuration, so that the same name goes on with the same run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import yaml
from pydantic import BaseModel
from rich.console import Console

from physioclr import configfile, storage
from physioclr.config import PretrainConfig
from physioclr.downstream import FinetuneConfig
from physioclr.errors import RunError
from physioclr.pipeline.lease import held

# About machines, not about the result (beyond rounding): a run may go on with other ones.
MACHINE_KEYS = (
    "training.workers",
    "training.device",
    "training.cpus_per_worker",
    "training.max_failures",
    "training.placement_timeout_s",
    "training.log_every_steps",
    "dataset.workers",
    "dataset.unit_recordings",
)
PATH_KEYS = (
    "uri",
    "output",
    "labels_csv",
    "encoder",
    "prepared",
    "test",
    "scratch",
    "start",
    "data",
    "picture",
    "quality_csv",
    "out",
)
Config = TypeVar("Config", bound=BaseModel)
RunConfiguration = PretrainConfig | FinetuneConfig


class Named(Protocol):
    """A configuration of something that has a folder of its own."""

    @property
    def name(self) -> str: ...

    @property
    def output(self) -> str: ...

    def model_dump(self, *, mode: str = ...) -> dict[str, Any]: ...


def base_folder() -> Path:
    """Where relative paths count from: the current folder, or for a submitted job, whose folder is a temporary copy of
    the working directory, the home folder of the machine that it runs on."""
    return Path.home() if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ else Path.cwd()


def with_absolute_uris(config: Config) -> Config:
    """The configuration with every relative local path made absolute, as all processes of a cluster must see it."""
    return type(config).model_validate(_absolute(config.model_dump()))


def _absolute(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _absolute(inner, name) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_absolute(inner, key) for inner in value]
    return storage.absolute(value, base_folder()) if key in PATH_KEYS and isinstance(value, str) else value


def run_uri(config: Named) -> str:
    """The run's folder."""
    return storage.join(config.output, config.name)


def alone(config: Named, console: Console, what: str = "run") -> AbstractContextManager[None]:
    """Work on the run that `config` names, which no other process does meanwhile (`lease.py`)."""
    return held(run_uri(config), f"The {what} {config.name!r} in {config.output}", console)


def claim(config: RunConfiguration) -> str:
    """Take the run's name for `config` and return its folder; the same configuration may take it again.

    Raises `RunError`, naming the keys that differ, when the name belongs to another configuration.
    """
    check_claim(config)
    storage.write_text(storage.join(run_uri(config), "config.yaml"), configfile.dump(config))
    return run_uri(config)


def check_claim(config: RunConfiguration) -> None:
    """Raise `RunError` when the run's name belongs to another configuration."""
    check_same("run", config, MACHINE_KEYS)


def check_inputs(config: Named, digests: Mapping[str, str]) -> None:
    """Note what the run reads, URI to digest, when it begins, and later raise `RunError` where that has changed."""
    file = storage.join(run_uri(config), "inputs.json")
    if not storage.exists(file):
        storage.write_text(file, json.dumps(digests, indent=1) + "\n")
        return
    before = json.loads(storage.read_text(file))
    changed = [uri for uri, digest in digests.items() if before.get(uri, digest) != digest]
    if changed:
        raise RunError(
            f"{' and '.join(changed)} has been made anew since the run {config.name!r} in {config.output} began; give "
            "this one another name, or delete that run."
        )


def check_same(what: str, config: Named, ignore: Sequence[str]) -> None:
    """Raise `RunError` when the folder output/name was begun with a configuration that differs in other keys."""
    file = storage.join(run_uri(config), "config.yaml")
    if not storage.exists(file):
        return
    try:
        before = yaml.safe_load(storage.read_text(file))
    except yaml.YAMLError as error:
        raise RunError(
            f"{file} is not the configuration of a run; give another name, or delete that {what}."
        ) from error
    assert isinstance(config, BaseModel), "every configuration is one"
    before = configfile.completed(type(config), before)
    keys = configfile.differing_keys(before, config.model_dump(mode="json"), ignore=ignore)
    if keys:
        raise RunError(
            f"The {what} {config.name!r} in {config.output} has another configuration ({', '.join(keys)} differ); "
            f"give this one another name, or delete that {what}."
        )


def summary_of(uri: str) -> dict[str, Any] | None:
    """The summary of a finished run, None while it has not finished."""
    file = storage.join(uri, "summary.json")
    return json.loads(storage.read_text(file)) if storage.exists(file) else None


def write_summary(uri: str, summary: dict[str, Any]) -> None:
    """Say that the run has finished."""
    storage.write_text(storage.join(uri, "summary.json"), json.dumps(summary, indent=1) + "\n")
