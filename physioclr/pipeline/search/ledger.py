"""The search's own record of its trials, in the search's folder: what Tune keeps is not needed to go on.

SEARCH/trials/TRIAL.json, written anew after each of the trial's epochs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from physioclr import storage
from physioclr.pipeline.search.trial import FAILED, VALUES
from physioclr.search import METRIC, PROPOSAL

KEPT = (  # of each epoch's figures
    "epoch",
    METRIC,
    "loss",
    "positives_mean",
    "feature_positives_mean",
    "pair_agreement",
    "pair_agreement_chance",
    "patient_retrieval",
    "effective_rank",
)


@dataclass
class TrialRecord:
    """A row of the search's table.

    `parameters`: the values behind its latest epoch. `status`: running (or stopped with the search), finished (all its
    epochs), pruned, or failed. `curve`: figures of each epoch. `worker_seconds`: time from its start to its last epoch
    or end, times its workers, over all starts of the search. `changes`: epoch and values at each change of the values,
    in a population.
    """

    trial: str
    parameters: dict[str, Any]
    status: str = "running"
    why: str = ""
    curve: list[dict[str, Any]] = field(default_factory=list)
    worker_seconds: float = 0.0
    starts: int = 0
    checkpoint: str | None = None
    changes: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do, by another start of the search either: that tries again what has failed."""
        return self.status in ("finished", "pruned")

    @property
    def score(self) -> float | None:
        """The validation AUROC of the last epoch."""
        return float(self.curve[-1][METRIC]) if self.curve else None

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return int(self.curve[-1]["epoch"]) if self.curve else 0

    def add(self, result: dict[str, Any]) -> None:
        """Add an epoch; one that was there, as after a restart, is replaced."""
        row = {key: result[key] for key in KEPT if key in result}
        self.curve = [one for one in self.curve if one["epoch"] != row["epoch"]] if not self.changes else self.curve
        self.curve.append(row)
        if not self.changes:
            self.curve.sort(key=lambda one: one["epoch"])


def read_records(folder: str) -> list[TrialRecord]:
    """The records below a search's folder, by name."""
    files = storage.list_files(storage.join(folder, "trials"), ".json")
    return [TrialRecord(**json.loads(storage.read_text(file))) for file in files]


class Ledger(tune.Callback):
    """Keeps the records while Tune runs. `told` is called after every change."""

    def __init__(
        self,
        folder: str,
        records: list[TrialRecord],
        epochs: int,
        workers: int,
        told: Callable[[list[TrialRecord]], None],
    ) -> None:
        self._folder, self._epochs, self._workers = folder, epochs, workers
        self._names: dict[str, str] = {}  # of trials, by Tune's ids
        self._records = {record.trial: record for record in records}
        self._since: dict[str, float] = {}
        self._told = told

    @property
    def records(self) -> list[TrialRecord]:
        """All of them, by name."""
        return sorted(self._records.values(), key=lambda record: record.trial)

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles its callbacks for a restoring of its own. Nothing here is restored from that."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial begins, or begins anew."""
        record = self._record(trial)
        record.status, record.why = "running", ""
        record.starts += 1
        self._since[record.trial] = time.monotonic()
        self._keep(record)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """An epoch is done, or the trial says why it cannot go on."""
        record = self._record(trial)
        if FAILED in result:
            record.why = result[FAILED]
        elif METRIC in result:
            values = result[VALUES]
            if values != record.parameters:
                record.changes.append((record.epoch, values))
                record.parameters = values
            record.checkpoint = result.get("checkpoint")
            record.add(result)
        self._keep(record)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial has ended by itself, or was pruned."""
        record = self._record(trial)
        if record.why:
            record.status = "failed"
        elif record.epoch >= self._epochs:
            record.status, record.why = "finished", f"all {self._epochs} epochs done"
        else:
            record.status = "pruned"
            record.why = (
                f"after epoch {record.epoch} of {self._epochs}, {METRIC} {record.score:.3f} was not among the best"
            )
        self._keep(record)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial has failed, and is not tried again."""
        record = self._record(trial)
        record.status, record.why = "failed", _last_line(str(trial.get_error()))
        self._keep(record)

    def _record(self, trial: Trial) -> TrialRecord:
        given = trial.config[PROPOSAL]
        # Only at first is the name there the trial's own: one of a population takes over another's configuration.
        name = self._names.setdefault(trial.trial_id, given["trial"])
        if name not in self._records:
            self._records[name] = TrialRecord(name, dict(given["values"]))
        return self._records[name]

    def _keep(self, record: TrialRecord) -> None:
        now = time.monotonic()
        record.worker_seconds += (now - self._since.get(record.trial, now)) * self._workers
        if record.status != "running":
            self._since.pop(record.trial, None)
        else:
            self._since[record.trial] = now
        file = storage.join(self._folder, "trials", f"{record.trial}.json")
        storage.write_text(file, json.dumps(asdict(record)))
        self._told(self.records)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "no reason given"
