"""The search: Ray Tune over short pretrainings, a table of its trials, and what follows with the best of them.

A trial is a pretraining run of its own (`trial.py`), its record is a file of its own (`ledger.py`), and
both are found again by the same command: trials that have ended teach the searcher and the scheduler and are not run
again, those that were stopped go on from their checkpoints, and so do those that have failed: there may be room now.
Tune's own files are not needed for that.

SEARCH/summary.json, table.csv, best.yaml, report.html, config.yaml; trials/ records; runs/ of the trials; tune/
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, PopulationBasedTraining, TrialScheduler
from rich.console import Console

from physioclr import configfile, storage
from physioclr.errors import RunError
from physioclr.pipeline import cluster, run
from physioclr.pipeline.finetune.job import finetune
from physioclr.pipeline.prepare.job import prepare
from physioclr.pipeline.pretrain.job import pretrain
from physioclr.pipeline.search.ledger import Ledger, TrialRecord, read_records
from physioclr.pipeline.search.progress import SearchProgress
from physioclr.pipeline.search.proposals import Proposals, population
from physioclr.pipeline.search.result import best_config, finetune_config, write_result
from physioclr.pipeline.search.space import check_space, grid_size, mutations
from physioclr.pipeline.search.trial import run_trial
from physioclr.pipeline.training.placement import room
from physioclr.search import METRIC, PROPOSAL, SearchConfig

MAY_DIFFER = (
    *("trials", "parallel", "retries", "placement_timeout_s", "then", "full", "finetune", "cost"),
    *("pretrain.name", "pretrain.output"),  # each trial has its own
)


def search(config: SearchConfig, console: Console) -> dict[str, Any]:
    """Do the trials that are missing, write the table and what follows; returns the search's summary.

    Raises a `UserError` when the name, the space, the data, the storage or the cluster do not allow it, and `RunError`
    when no trial has ended well.
    """
    check(config)
    with run.alone(config, console, "search"):
        return _go_on(config, console)


def _go_on(config: SearchConfig, console: Console) -> dict[str, Any]:
    """From wherever the search is to its end."""
    cluster.connect()
    at_once, cpus = room(config.pretrain.training, cluster.machines(), config.pretrain.training.most, config.parallel)
    prepare(config.pretrain.dataset, console)
    uri = _claim(config)  # not before: what was refused so far is mended under the same name
    records = read_records(uri)
    wanted = min(config.trials, grid_size(config.space)) if config.propose == "grid" else config.trials
    ended = [record for record in records if record.ended]
    if len(ended) < wanted:
        console.print(
            f"{wanted} trials, {len(ended)} of them ended before, {at_once} at once with {cpus:g} CPUs a worker",
            highlight=False,
        )
        records = _tune(config, uri, records, wanted, at_once, cpus, console)
    if not any(record.score is not None for record in records):
        why = next(record.why for record in records if record.why)
        raise RunError(f"No trial of the search could be done; the first failed so: {why}")
    summary = write_result(config, uri, records) | {"then": {}}
    run.write_summary(uri, summary)  # what follows may take long, or fail
    summary["then"] = _then(config, records, console)
    run.write_summary(uri, summary)
    return summary


def check(config: SearchConfig) -> None:
    """Raise `ConfigError` where the space, or what is to follow the search, is not what a job takes: now, not then; and
    `RunError` when the name is another configuration's. More trials may be asked for later."""
    run.check_same("search", config, (*MAY_DIFFER, *(f"pretrain.{key}" for key in run.MACHINE_KEYS)))
    check_space(config)
    configfile.changed(config.pretrain, config.full, "full")
    for task in config.finetune:
        finetune_config(config, task, "not known yet")


def _claim(config: SearchConfig) -> str:
    """The search's folder, its name taken for this configuration."""
    uri = run.run_uri(config)
    storage.write_text(storage.join(uri, "config.yaml"), configfile.dump(config))
    return uri


def _tune(
    config: SearchConfig,
    uri: str,
    records: list[TrialRecord],
    wanted: int,
    at_once: int,
    cpus: float,
    console: Console,
) -> list[TrialRecord]:
    """Run Tune until `wanted` trials have ended; all records."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # what they would write is in the records
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # with verbose=0, nothing: progress is our own
    epochs = config.pretrain.training.epochs
    os.environ["TUNE_DISABLE_STRICT_METRIC_CHECKING"] = "1"  # a trial may only say why it failed
    ended = [record for record in records if record.ended]
    together = config.pruning.by == "population"
    members = population(config, records) if together else []
    over = [record.trial for record in records if record.status != "running"]
    with SearchProgress(wanted, epochs, over, console) as progress:
        ledger = Ledger(uri, records, epochs, config.pretrain.training.most, progress.show)
        trainable = tune.with_parameters(run_trial, search=config, folder=storage.join(uri, "runs"), cpus=cpus)
        tuner = tune.Tuner(
            tune.with_resources(trainable, _for_drivers()),
            param_space={PROPOSAL: tune.grid_search(members)} if together else {},
            tune_config=tune.TuneConfig(
                search_alg=None if together else Proposals(config, records),
                scheduler=_scheduler(config, ended),
                num_samples=1 if together else wanted - len(ended),
                max_concurrent_trials=at_once,
                reuse_actors=False,
            ),
            run_config=tune.RunConfig(
                name=time.strftime("%Y%m%d-%H%M%S"),
                storage_path=storage.filesystem(storage.join(uri, "tune"))[1],
                storage_filesystem=storage.arrow_filesystem(uri),
                failure_config=tune.FailureConfig(max_failures=config.retries),
                callbacks=[ledger],
                verbose=0,
            ),
        )
        tuner.fit()
    return ledger.records


def _for_drivers() -> dict[str, float] | tune.PlacementGroupFactory:
    """What a trial's driver takes, and where; its workers take the CPUs."""
    needed, selector = {"memory": cluster.DRIVER_BYTES}, cluster.for_drivers()
    return tune.PlacementGroupFactory([needed], bundle_label_selector=[selector]) if selector else needed


def _scheduler(config: SearchConfig, ended: Sequence[TrialRecord]) -> TrialScheduler:
    pruning = config.pruning
    if pruning.by == "none":
        return FIFOScheduler()
    if pruning.by == "population":
        return PopulationBasedTraining(
            time_attr="epoch",
            metric=METRIC,
            mode="max",
            perturbation_interval=pruning.perturb_epochs,
            hyperparam_mutations={PROPOSAL: {"values": mutations(config.space)}},
            quantile_fraction=pruning.quantile,
            resample_probability=pruning.resample,
            log_config=False,
            require_attrs=False,
        )
    asha = ASHAScheduler(
        time_attr="epoch",
        metric=METRIC,
        mode="max",
        # Above the budget: a trial that reaches `max_t` is killed, and would not end by itself.
        max_t=config.pretrain.training.epochs + 1,
        grace_period=pruning.grace_epochs,
        reduction_factor=pruning.reduction,
    )
    for record in ended:
        _remember(asha, record)
    return asha


def _remember(scheduler: TrialScheduler, record: TrialRecord) -> None:
    """Let a scheduler see a trial of an earlier start, as if it had just been trained."""
    if not record.curve:
        return
    trial = SimpleNamespace(trial_id=f"before-{record.trial}")
    scheduler.on_trial_add(None, trial)
    for row in record.curve:
        scheduler.on_trial_result(None, trial, row)
    scheduler.on_trial_complete(None, trial, record.curve[-1])


def _then(config: SearchConfig, records: Sequence[TrialRecord], console: Console) -> dict[str, Any]:
    """Pretrain with the best configuration and fine-tune, as far as is asked for; where the results are."""
    if config.then == "stop":
        return {}
    best = best_config(config, records)
    console.print(f"Pretraining with the best configuration: {best.name}", highlight=False)
    pretrained = pretrain(best, console)
    done = {"pretrained": pretrained["run_uri"]}
    for task in config.finetune if config.then == "finetune" else ():
        console.print(f"Fine-tuning: {task}", highlight=False)
        finetuned = finetune(finetune_config(config, task, pretrained["encoder"]), console)
        done[task] = finetuned["run_uri"]
    return done
