"""Which configuration comes next: first the trials that were stopped or have failed, then what Optuna proposes from all
that ended."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
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


def _free_name(taken: set[str]) -> str:
    """The first that is not `taken`, and now is. Trials need not start, and so leave a record, in their order."""
    name = next(name for number in count() if (name := f"{number:05d}") not in taken)
    taken.add(name)
    return name


def population(config: SearchConfig, records: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    """The members of a population that have not ended: those that were begun, and new ones drawn at random."""
    begun = [_begun(record) for record in records if not record.ended]
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=config.seed + len(records)))
    space = distributions(config.space)
    taken = {record.trial for record in records}
    new = [
        _new(_free_name(taken), drawn(config.space, study.ask(space).params))
        for _ in range(len(records), config.trials)
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
        self._begun = [record for record in records if not record.ended]
        self._optuna = OptunaSearch(
            distributions(config.space),
            metric=METRIC,
            mode="max",
            sampler=sampler(config, len(records)),
            points_to_evaluate=[as_drawn(config.space, record.parameters) for record in self._begun],
        )
        self._taken = {record.trial for record in records}
        for record in records:
            if record.ended:
                values = as_drawn(config.space, record.parameters)
                self._optuna.add_evaluated_point(values, record.score, error=record.score is None)

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next trial's name and values, and the checkpoint it goes on from, if it is one of a population."""
        proposed = self._optuna.suggest(trial_id)  # first those that were begun, in their order
        if not isinstance(proposed, dict):
            return proposed
        if self._begun:
            return {PROPOSAL: _begun(self._begun.pop(0))}
        return {PROPOSAL: _new(_free_name(self._taken), drawn(self._space, proposed))}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Learn how a trial ended."""
        self._optuna.on_trial_complete(trial_id, result, error or METRIC not in (result or {}))

    def save(self, checkpoint_path: str) -> None:
        """Nothing is kept here."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing is kept here."""
