"""Which configuration comes next: first the trials that were stopped, then what Optuna proposes from all that ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optuna
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from physioclr.pipeline.search.ledger import TrialRecord
from physioclr.pipeline.search.space import as_drawn, distributions, drawn, sampler
from physioclr.search import METRIC, PROPOSAL, SearchConfig


def _begun(record: TrialRecord) -> dict[str, Any]:
    return {"trial": record.trial, "values": record.parameters, "checkpoint": record.checkpoint}


def _new(name: str, values: dict[str, Any]) -> dict[str, Any]:
    return {"trial": name, "values": values, "checkpoint": None}


def population(config: SearchConfig, records: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """The members of a population that have not ended: those that were stopped, and new ones drawn at random."""
    begun = [_begun(record) for record in records if not record.ended]
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=config.seed + len(records)))
    space = distributions(config.space)
    new = [
        _new(f"{number:05d}", drawn(config.space, study.ask(space).params))
        for number in range(len(records), config.trials)
    ]
    return begun + new


class Proposals(Searcher):
    """Optuna's proposals, each with a trial's name.

    Tune keeps a searcher by pickling it. This one keeps nothing of its own: what it has learned is in the trials'
    records, so that a search goes on from these alone, on another cluster too.
    """

    def __init__(self, config: SearchConfig, records: Sequence[TrialRecord]) -> None:
        super().__init__(metric=METRIC, mode="max")
        self._space = config.space
        self._optuna = OptunaSearch(
            distributions(config.space), metric=METRIC, mode="max", sampler=sampler(config, len(records))
        )
        self._stopped = [record for record in records if not record.ended]
        self._again: dict[str, TrialRecord] = {}
        self._next = len(records)
        for record in records:
            if record.ended:
                self._learn(record.parameters, record.score)

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next trial's name and values, and the checkpoint it goes on from, if it is one of a population."""
        if self._stopped:
            record = self._again[trial_id] = self._stopped.pop(0)
            return {PROPOSAL: _begun(record)}
        proposed = self._optuna.suggest(trial_id)
        if not isinstance(proposed, dict):
            return proposed
        self._next += 1
        return {PROPOSAL: _new(f"{self._next - 1:05d}", drawn(self._space, proposed))}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Learn how a trial ended."""
        record = self._again.pop(trial_id, None)
        if record is None:
            self._optuna.on_trial_complete(trial_id, result, error or METRIC not in (result or {}))
        else:
            self._learn(record.parameters, (result or {}).get(METRIC))

    def _learn(self, parameters: dict[str, Any], score: float | None) -> None:
        values = as_drawn(self._space, parameters)
        self._optuna.add_evaluated_point(values, score, error=score is None)

    def save(self, checkpoint_path: str) -> None:
        """Nothing is kept here."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing is kept here."""
