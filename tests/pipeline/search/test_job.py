"""A search whose trials have all ended, without Ray: what is left of it when something goes wrong afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from physioclr.errors import RunError, UserError
from physioclr.pipeline.run import summary_of
from physioclr.pipeline.search import job
from physioclr.pipeline.search.ledger import TrialRecord
from physioclr.search import METRIC, SearchConfig


@pytest.fixture
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job.cluster, "connect", lambda: None)
    monkeypatch.setattr(job.cluster, "machines", list)
    monkeypatch.setattr(job, "room", lambda *given: (1, 1.0))


def test_a_name_is_taken_when_trials_begin(no_cluster: None, tmp_path: Path, console: Console) -> None:
    """Whoever is refused, here for recordings that are not there, mends that under the same name."""

    def of(seed: int) -> SearchConfig:
        dataset = {"uri": str(tmp_path / "prepared"), "sources": [{"kind": "wfdb", "uri": str(tmp_path / "absent")}]}
        return SearchConfig.model_validate({"output": str(tmp_path), "pretrain": {"dataset": dataset}, "seed": seed})

    with pytest.raises(UserError, match="absent"):
        job.search(of(seed=1), console)
    job.check(of(seed=2))
    job._claim(of(seed=2))
    with pytest.raises(RunError, match="another configuration"):
        job.check(of(seed=1))


def test_what_was_found_is_there_when_what_follows_fails(
    no_cluster: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, console: Console
) -> None:
    """The pretraining with the best values takes days, and the summary of an earlier start may be another one's."""
    values = {"objective.delta": 0.5, "optimiser.learning_rate": 1e-3}
    done = [TrialRecord("00003", values, "finished", "all epochs done", [{"epoch": 3, METRIC: 0.8}])]

    def no_room(*given: Any) -> dict[str, Any]:
        raise RunError("no room")

    monkeypatch.setattr(job, "prepare", lambda *given: None)
    monkeypatch.setattr(job, "read_records", lambda uri: done)
    monkeypatch.setattr(job, "pretrain", no_room)
    config = SearchConfig.model_validate({"output": str(tmp_path), "trials": 1, "then": "pretrain"})
    with pytest.raises(RunError, match="no room"):
        job.search(config, console)
    summary = summary_of(str(tmp_path / "demo"))
    assert summary is not None
    assert (summary["best"]["trial"], summary["then"]) == ("00003", {})
