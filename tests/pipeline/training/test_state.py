"""The state between two steps: saved whole, read without executing anything; the learning rate over the steps."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from physioclr.config import OptimiserConfig
from physioclr.errors import RunError
from physioclr.pipeline.training.state import FILE, TrainState, load_checkpoint, make_optimiser


def state(steps: int = 20, **options: object) -> TrainState:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimiser, schedule = make_optimiser(model.parameters(), OptimiserConfig.model_validate(options), steps)
    return TrainState(model, optimiser, schedule, seed=7)


def take_step(one: TrainState) -> None:
    one.model(torch.ones(4, 3)).square().sum().backward()
    one.optimiser.step()
    one.optimiser.zero_grad()
    one.schedule.step()
    one.step += 1


def test_a_loaded_state_goes_on_as_the_saved_one(tmp_path: Path) -> None:
    first = state()
    for _ in range(3):
        take_step(first)
    first.add({"loss": 1.0})
    first.save(tmp_path, {"name": "x"})
    second = state()
    second.load(tmp_path)
    assert (second.step, second.sums) == (3, {"loss": 1.0})
    for _ in range(3):
        take_step(first)
        take_step(second)
    assert all(torch.equal(a, b) for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True))
    assert first.schedule.get_last_lr() == second.schedule.get_last_lr()
    assert load_checkpoint(tmp_path)["config"] == {"name": "x"}


def test_a_checkpoint_that_would_execute_code_is_refused(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("executed",)

    torch.save({"model": Harm()}, tmp_path / FILE)
    with pytest.raises(RunError, match="holds more than weights"):
        load_checkpoint(tmp_path)


def test_a_checkpoint_of_another_version_is_refused_with_a_sentence(tmp_path: Path) -> None:
    torch.save({"format": 0, "step": 3}, tmp_path / FILE)
    with pytest.raises(RunError, match="another version"):
        load_checkpoint(tmp_path)


def rates(steps: int, **options: object) -> list[float]:
    one = state(steps, learning_rate=1.0, **options)
    found = []
    for _ in range(steps):
        found.append(one.schedule.get_last_lr()[0])
        take_step(one)
    return found


def test_the_learning_rate_warms_up_and_then_stays_or_falls_to_nothing() -> None:
    constant = rates(10, warmup_steps=4, schedule="constant")
    assert constant == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1])
    cosine = rates(14, warmup_steps=4, schedule="cosine")
    assert cosine[4:] == pytest.approx([0.5 * (1 + math.cos(math.pi * step / 10)) for step in range(10)])
    assert rates(3, warmup_steps=0, schedule="constant") == [1, 1, 1]


def test_terms_that_are_not_defined_in_a_step_are_left_out_of_the_mean() -> None:
    one = state()
    one.add({"loss": 1.0, "alignment": math.nan})
    one.add({"loss": 3.0, "alignment": 0.5})
    assert one.means() == {"loss": 2.0, "alignment": 0.5}
