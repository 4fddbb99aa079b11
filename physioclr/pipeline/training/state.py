"""The whole state of a training run between two optimiser steps, and its checkpoint on disk."""

from __future__ import annotations

import math
import pickle
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from physioclr import storage
from physioclr.config import OptimiserConfig
from physioclr.errors import RunError

FILE = "state.pt"
FORMAT = 1
OWN_SETTINGS = ("initial_lr", "betas", "weight_decay")  # of the optimiser: the configuration's, not the checkpoint's


@dataclass
class TrainState:
    """Model, optimiser, schedule and how far they are.

    Random numbers need no state of their own: every step seeds its generators from (seed, step, rank), so `step` is
    the state. `sums` are the epoch's loss terms so far, `counts` the steps in which each was a number. `history` is
    what each finished epoch is judged by, for a run that may stop early.
    """

    model: nn.Module
    optimiser: Optimizer
    schedule: LambdaLR
    seed: int
    step: int = 0
    samples_seen: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    history: list[float] = field(default_factory=list)

    def save(self, folder: Path, config: dict[str, Any]) -> None:
        """Write `folder/state.pt`."""
        torch.save(
            {
                "format": FORMAT,
                "model": self.model.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "schedule": self.schedule.state_dict(),
                "random": {"seed": self.seed, "step": self.step, "torch": torch.get_rng_state()},
                "step": self.step,
                "samples_seen": self.samples_seen,
                "sums": self.sums,
                "counts": self.counts,
                "history": self.history,
                "config": config,
            },
            folder / FILE,
        )

    def load(self, folder: Path) -> None:
        """Go on from `folder/state.pt`."""
        saved = load_checkpoint(folder)
        self.model.load_state_dict(saved["model"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.schedule.load_state_dict(saved["schedule"])
        torch.set_rng_state(saved["random"]["torch"])
        self.step, self.samples_seen = saved["step"], saved["samples_seen"]
        self.sums, self.counts = dict(saved["sums"]), dict(saved["counts"])
        self.history = list(saved.get("history", ()))  # checkpoints of pretraining had none at first

    def begin_at(self, uri: str) -> None:
        """Go on from the checkpoint of another run, in the folder `uri`, with this run's own optimiser settings."""
        own = [{name: group[name] for name in OWN_SETTINGS} for group in self.optimiser.param_groups]
        with downloaded(uri) as folder:
            self.load(folder)
        for group, settings in zip(self.optimiser.param_groups, own, strict=True):
            group.update(settings)
        self.schedule.base_lrs = [settings["initial_lr"] for settings in own]
        for group, factor in zip(self.optimiser.param_groups, self.schedule.lr_lambdas, strict=True):
            group["lr"] = group["initial_lr"] * factor(self.step)

    def add(self, terms: Mapping[str, float]) -> None:
        """Add a step's terms to the epoch's; one that is not defined in this step (NaN) is left out."""
        for name, value in terms.items():
            if math.isfinite(value):
                self.sums[name] = self.sums.get(name, 0.0) + value
                self.counts[name] = self.counts.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        """Mean of each term over the epoch so far."""
        return {name: value / self.counts[name] for name, value in self.sums.items()}


@contextmanager
def downloaded(uri: str) -> Iterator[Path]:
    """A local folder with the checkpoint in the folder `uri`."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / FILE).write_bytes(storage.read_bytes(storage.join(uri, FILE)))
        yield Path(folder)


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """A checkpoint's content on the CPU, read without executing anything.

    Raises `RunError` if another version wrote it, or if it is no checkpoint, such as a file that would execute code.
    """
    try:
        content: dict[str, Any] = torch.load(folder / FILE, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, TypeError, KeyError, AttributeError):
        raise RunError(  # torch's own text would tell how to execute it
            f"The checkpoint's file {FILE} is damaged or holds more than weights and numbers, and nothing of it was "
            "used; take another checkpoint."
        ) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise RunError(
            "The run's checkpoint was written by another version of this software; give the run another name, or go "
            "on with that version."
        )
    return content


def make_optimiser(
    parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]], config: OptimiserConfig, total_steps: int
) -> tuple[Optimizer, LambdaLR]:
    """The optimiser and its schedule over `total_steps`: a linear warm-up, then constant or a half cosine to 0.

    `parameters` may be groups with a learning rate `lr` of their own; the schedule multiplies each group's.
    """
    kind = {"adam": Adam, "adamw": AdamW}[config.name]
    optimiser = kind(parameters, lr=config.learning_rate, betas=config.betas, weight_decay=config.weight_decay)
    after = max(total_steps - config.warmup_steps, 1)

    def factor(step: int) -> float:
        if step < config.warmup_steps:
            return (step + 1) / config.warmup_steps
        if config.schedule == "constant":
            return 1.0
        progress = torch.tensor(min((step - config.warmup_steps) / after, 1.0), dtype=torch.float64)
        return float(0.5 * (1 + torch.cos(torch.pi * progress)))

    return optimiser, LambdaLR(optimiser, factor)
