"""One trial, without Ray: what it tells Tune."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from physioclr.pipeline.search import trial
from physioclr.search import METRIC, SearchConfig


def test_a_copy_of_a_trial_that_is_done_has_the_values_that_its_score_is_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a population one may be replaced after the last epoch: nothing is trained with the values drawn for it."""
    space = {"optimiser.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}
    search = SearchConfig.model_validate({"space": space, "pruning": {"by": "population"}})
    donor, drawn = {"optimiser.learning_rate": 1e-3}, {"optimiser.learning_rate": 5e-3}
    told: list[dict[str, Any]] = []
    tune = SimpleNamespace(
        report=lambda figures, checkpoint: told.append(figures),
        Checkpoint=SimpleNamespace(from_directory=lambda folder: folder),
    )
    monkeypatch.setattr(trial, "tune", tune)
    monkeypatch.setattr(trial, "_pointed", lambda: {"checkpoint": "/runs/a/checkpoints/step-00000009", "values": donor})
    monkeypatch.setattr(trial, "_row_at", lambda checkpoint: {"kind": "epoch", "epoch": 3, METRIC: 0.8})
    trial._train({"trial": "00001", "values": drawn, "checkpoint": None}, search, "/runs", 1.0)
    (figures,) = told
    assert (figures[METRIC], figures[trial.VALUES]) == (0.8, donor)
