"""One trial: a pretraining run of its own, whose epochs are reported to Tune.

The run is found again by its name, so a trial that is begun anew goes on from its latest checkpoint and first reports
what it has done. In a population it also begins at checkpoints of others.
"""

from __future__ import annotations

import io
import json
import queue
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from ray import tune
from rich.console import Console

from physioclr import storage
from physioclr.config import PretrainConfig, TrainingConfig
from physioclr.errors import RunError
from physioclr.pipeline import cluster, run
from physioclr.pipeline.cli import user_message
from physioclr.pipeline.pretrain.job import pretrain
from physioclr.pipeline.search.space import Values, trial_config, within
from physioclr.pipeline.training.board import BEGUN
from physioclr.pipeline.training.fit import CHECKPOINTS, no_room
from physioclr.pipeline.training.metrics_log import Row, read_metrics
from physioclr.search import METRIC, PROPOSAL, SearchConfig

POINTER = "checkpoint.json"
POLL_SECONDS = 0.5
FAILED = "failed"  # key of a result that says why a trial cannot be done
VALUES = "values"  # key of every other result: what its epoch was trained with


def run_trial(given: dict[str, Any], *, search: SearchConfig, folder: str, cpus: float) -> None:
    """What Tune calls. What is wrong with the configuration or the data is reported, and not tried again."""
    cluster.quiet()
    try:
        _train(given[PROPOSAL], search, folder, cpus)
    except Exception as error:
        message = user_message(error)
        if message is None:
            raise
        tune.report({FAILED: message})


def _train(proposal: dict[str, Any], search: SearchConfig, folder: str, cpus: float) -> None:
    whole = search.pruning.by == "population"
    name, values, begin = proposal["trial"], proposal["values"], None
    if whole:
        values = within(search.space, values)
        pointed = _pointed() or {"checkpoint": proposal["checkpoint"], VALUES: values}
        begin = pointed["checkpoint"]
        if begin and (last := _row_at(begin))["epoch"] >= search.pretrain.training.epochs:
            _tell(last, pointed[VALUES], begin)  # a copy of one that is done has nothing left to train, with any values
            return
        # each piece of a member's way is a run: its name says whose and from where
        name = f"{tune.get_context().get_trial_id()}-{_step_of(begin):08d}"
    config = trial_config(search, name, values, folder)
    changes: dict[str, Any] = {"start": begin}
    machines = {"cpus_per_worker": cpus, "placement_timeout_s": search.placement_timeout_s}
    changes["training"] = config.training.model_copy(update=machines)
    if whole:  # others begin at them
        changes["checkpoint"] = config.checkpoint.model_copy(update={"keep": config.training.epochs})
    config = config.model_copy(update=changes)
    rows: queue.Queue[Row] = queue.Queue()
    work = _Work(config, rows)
    work.start()
    reported, begun = 0, False
    while work.is_alive() or not rows.empty():
        try:
            row = rows.get(timeout=POLL_SECONDS)
        except queue.Empty:
            if not begun:
                _refuse_to_wait(work, config.training)
            continue
        begun = begun or row["kind"] == BEGUN
        if row["kind"] != BEGUN and row["epoch"] > reported:
            reported = row["epoch"]
            _report(config, row, values, whole)
    if work.error is not None:
        raise work.error


class _Work(threading.Thread):
    """The pretraining, beside the thread that reports: Tune stops a trial while it reports."""

    def __init__(self, config: PretrainConfig, rows: queue.Queue[Row]) -> None:
        super().__init__(daemon=True)
        self._config, self._rows = config, rows
        self.error: Exception | None = None
        self.since = time.monotonic()

    def run(self) -> None:
        said = io.StringIO()
        try:
            pretrain(self._config, Console(file=said, width=120), self._rows.put)
        except Exception as error:
            self.error = error
        finally:
            storage.write_text(storage.join(run.run_uri(self._config), "log.txt"), said.getvalue())


def _refuse_to_wait(work: _Work, training: TrainingConfig) -> None:
    """Raise `RunError` when an elastic trial's workers have not started after so long. Ray Train waits for these
    without end and without a placement group; the others it refuses itself."""
    limit, cpus = training.placement_timeout_s, training.cpus_per_worker
    if training.fewest < training.most and limit and cpus and time.monotonic() - work.since > limit:
        raise no_room(training, cpus)


def _report(config: PretrainConfig, row: Row, values: Values, whole: bool) -> None:
    score = row.get(METRIC)
    if score is None:
        raise RunError(
            f"Epoch {row['epoch']} has no {METRIC}: the loss is {row.get('loss')}; if that is a number, the monitored "
            "recordings lack the labels of pretrain.monitor.probe."
        )
    checkpoint = storage.join(run.run_uri(config), CHECKPOINTS, f"step-{row['step']:08d}") if whole else None
    _tell(row, values, checkpoint)


def _tell(row: Row, values: Values, checkpoint: str | None) -> None:
    """Report an epoch's figures, in a population with the checkpoint that others may begin at."""
    figures = {key: value for key, value in row.items() if isinstance(value, int | float)} | {VALUES: values}
    if checkpoint is None:
        tune.report(figures)
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / POINTER).write_text(json.dumps({"checkpoint": checkpoint, VALUES: values}))
        tune.report({**figures, "checkpoint": checkpoint}, checkpoint=tune.Checkpoint.from_directory(folder))


def _row_at(checkpoint: str) -> Row:
    """The figures of the epoch that ended with a checkpoint, from the log of the run that wrote it."""
    folder, step = checkpoint.rsplit(f"/{CHECKPOINTS}/", 1)[0], _step_of(checkpoint)
    return next(row for row in read_metrics(folder) if row["kind"] == "epoch" and row["step"] == step)


def _pointed() -> dict[str, Any] | None:
    """The checkpoint that Tune says to go on from, and the values behind it."""
    checkpoint = tune.get_checkpoint()
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        pointed: dict[str, Any] = json.loads((Path(folder) / POINTER).read_text())
        return pointed


def _step_of(checkpoint: str | None) -> int:
    return int(checkpoint.rsplit("-", 1)[1]) if checkpoint else 0
