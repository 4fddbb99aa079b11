"""Small pretraining runs on the bed, and what must be true of one whatever it went through."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.cluster.nodes import Job, RayCluster

# An encoder whose step takes hundredths of a second, without dropout being the only thing that is random in it.
MODEL = ("width=32", "depth=1", "heads=2", "feedforward=64", "conv_channels=16", "projection=16")
COMMON = (
    *(f"model.{word}" for word in MODEL),
    *("monitor.probe=none", "monitor.train_recordings=8", "monitor.validation_recordings=8"),
    *("training.device=cpu", "training.log_every_steps=1", "training.cpus_per_worker=1"),
)
ON_LAKE = ("dataset.uri=s3://lake/prepared", "dataset.sources=[]", "output=s3://lake/runs")
TRAINING_ROWS = 78  # of the dataset in the lake
Row = dict[str, Any]


def pretrain(cluster: RayCluster, name: str, *words: str) -> Job:
    """A pretraining on the dataset in the lake, sent from outside."""
    return cluster.submit("jobs/pretrain.py", f"name={name}", *ON_LAKE, *COMMON, *words)


def rows(run: Path, kind: str) -> list[Row]:
    """Rows of a kind in the log of the run's folder, as far as they are saved."""
    file = run / "metrics.jsonl"
    text = file.read_text() if file.exists() else ""
    whole = [line for line in text.splitlines(keepends=True) if line.endswith("}\n")]  # it may be being written
    return [row for row in map(json.loads, whole) if row["kind"] == kind]


def starts(run: Path) -> list[Row]:
    """Each start of the run's workers: how many, at which step, after what, and samples lost."""
    return rows(run, "begun")


def workers_now(run: Path) -> int:
    """Workers of the last start that has brought a checkpoint; 0 before the first."""
    return int(starts(run)[-1]["workers"]) if starts(run) else 0


def saved_step(run: Path) -> int:
    """The step of the latest checkpoint that Ray Train has taken note of; 0 before the first."""
    return max(saved_steps(run), default=0)


def saved_steps(run: Path) -> list[int]:
    """The step of each checkpoint that Ray Train has taken note of: what a run goes on from is one of them."""
    noted = run / "checkpoints/checkpoint_manager_snapshot.json"
    return [int(step) for step in re.findall(r"step-(\d{8})", noted.read_text())] if noted.exists() else []


def check_whole(run: Path, batch: int, epochs: int) -> dict[str, Any]:
    """Every step of every epoch was done once, with a batch's samples, and ended in a summary, which is returned.

    That a step's samples are those of the plan, the workers check themselves at each micro-batch.
    """
    steps = TRAINING_ROWS // batch * epochs
    done = rows(run, "step")
    assert [row["step"] for row in done] == list(range(1, steps + 1))
    assert [row["samples"] for row in done] == [batch * step for step in range(1, steps + 1)]
    assert [row["epoch"] for row in rows(run, "epoch")] == list(range(1, epochs + 1))
    summary: dict[str, Any] = json.loads((run / "summary.json").read_text())
    assert summary["samples_seen"] == batch * steps
    assert not (run / "owner.json").exists()
    return summary
