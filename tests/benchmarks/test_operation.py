"""What a run's own record says of operating it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from rich.console import Console

from physioclr.benchmarks.config import OperationBenchmark
from physioclr.benchmarks.operation import figures_of, operation_benchmark
from physioclr.errors import RunError


def test_figures_come_from_the_rows() -> None:
    steps = [(1, 110.0), (2, 111.0), (3, 141.5), (4, 142.0)]  # those after step 2 were done again
    rows = [{"kind": "begun", "step": 0, "time": 108.0}, {"kind": "begun", "step": 2, "time": 140.0}]
    rows += [{"kind": "step", "step": step, "time": when} for step, when in steps]
    rows += [{"kind": "epoch", "step": 4, "step_seconds": 4.0, "checkpoint_seconds": 0.1}]
    assert figures_of(rows, started=100.0, kills=[115.0]) == {
        "seconds_to_first_step": 10.0,
        "seconds_from_kill_to_next_step": [26.5],
        "checkpoint_share_of_step_time": 0.025,
    }


@pytest.mark.slow
def test_a_worker_is_killed_and_the_run_goes_on(tmp_path: Path, console: Console) -> None:
    small = [f"model.{word}" for word in ("width=32", "depth=1", "heads=2", "feedforward=64", "conv_channels=16")]
    small += ["model.projection=16", "training.epochs=4", "training.batch_size=8", "monitor.probe=none"]
    small += [f"dataset.uri={tmp_path}/prepared", f"dataset.sources.0.uri={tmp_path}/recordings"]
    scratch = str(tmp_path / "scratch")
    figures = operation_benchmark(OperationBenchmark(set=tuple(small), kills=1, scratch=scratch), console)
    assert 1 < figures["seconds_to_first_step"] < 300
    assert len(figures["seconds_from_kill_to_next_step"]) == 1
    assert figures["checkpoint_share_of_step_time"] > 0
    assert not Path(scratch).exists()


def test_no_cluster_and_no_kills_elsewhere(console: Console) -> None:
    with pytest.raises(ValidationError, match="leave kills out"):
        OperationBenchmark(address="http://127.0.0.1:1", kills=1)
    assert OperationBenchmark.model_validate(OperationBenchmark(address="x").model_dump()).times == 0
    assert OperationBenchmark().times == 2
    with pytest.raises(RunError, match=r"No cluster answers at http://127\.0\.0\.1:1; give"):
        operation_benchmark(OperationBenchmark(address="http://127.0.0.1:1"), console)


def test_what_the_job_says_is_passed_on(tmp_path: Path, console: Console) -> None:
    wrong = OperationBenchmark(set=("training.device=gpu",), scratch=str(tmp_path / "scratch"))
    with pytest.raises(RunError, match="on GPUs, but the cluster has 0"):
        operation_benchmark(wrong, console)
