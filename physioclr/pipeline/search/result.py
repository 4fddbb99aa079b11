"""What a search leaves: a table of its trials, the best configuration as a YAML file, a report, a summary."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import optuna

from physioclr import configfile, storage
from physioclr.config import PretrainConfig
from physioclr.downstream import FinetuneConfig
from physioclr.pipeline import run
from physioclr.pipeline.search.ledger import TrialRecord
from physioclr.pipeline.search.space import as_drawn, distributions, trial_config
from physioclr.report.search import SearchTrial, render_search
from physioclr.search import METRIC, Range, SearchConfig

STATUSES = ("finished", "pruned", "failed", "running")


def write_result(config: SearchConfig, uri: str, records: Sequence[TrialRecord]) -> dict[str, Any]:
    """Write table, best configuration and report into the search's folder; returns the summary, not yet written."""
    best = best_record(records)
    weights = importance(config, records)
    storage.write_text(storage.join(uri, "table.csv"), table(config, records))
    storage.write_text(storage.join(uri, "best.yaml"), configfile.dump(best_config(config, records)))
    page = render_search(
        config.name,
        config.model_dump(mode="json"),
        METRIC,
        {key: isinstance(each, Range) and each.log for key, each in config.space.items()},
        [_drawn(record) for record in records],
        best.trial,
        weights,
    )
    storage.write_text(storage.join(uri, "report.html"), page)
    spent = {status: round(sum(one.worker_seconds for one in records if one.status == status)) for status in STATUSES}
    return {
        "search": config.name,
        "uri": uri,
        "trials": dict(Counter(record.status for record in records)),
        "best": {"trial": best.trial, METRIC: best.score, "epochs": best.epoch, "values": best.parameters},
        "importance": weights,
        "worker_seconds": {status: seconds for status, seconds in spent.items() if seconds},
        "best_configuration": storage.join(uri, "best.yaml"),
        "table": storage.join(uri, "table.csv"),
        "report": storage.join(uri, "report.html"),
    }


def headline(summary: dict[str, Any]) -> dict[str, Any]:
    """The part of a search's summary that fits a glance."""
    best = summary["best"]
    values = ", ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in best["values"].items()
    )
    facts = {
        "search": summary["uri"],
        "trials": ", ".join(f"{count} {status}" for status, count in summary["trials"].items()),
        "best": f"{best[METRIC]:.3f} validation AUROC of the probe, trial {best['trial']}: {values}",
        "worker-seconds": ", ".join(f"{seconds:,} {status}" for status, seconds in summary["worker_seconds"].items()),
    }
    facts |= {f"then: {name}": where for name, where in summary["then"].items()}
    return facts | {key: summary[key] for key in ("best_configuration", "table", "report")}


def _drawn(one: TrialRecord) -> SearchTrial:
    score = math.nan if one.score is None else one.score
    return SearchTrial(one.trial, one.status, one.parameters, one.curve, score, one.worker_seconds, one.why)


def best_record(records: Sequence[TrialRecord]) -> TrialRecord:
    """The trial with the best last epoch, of those that ran furthest: short ones have not shown what they end at."""
    scored = [record for record in records if record.score is not None]
    furthest = max(record.epoch for record in scored)
    return max((record for record in scored if record.epoch == furthest), key=lambda record: record.score or 0.0)


def best_config(config: SearchConfig, records: Sequence[TrialRecord]) -> PretrainConfig:
    """The best trial's configuration, with the full budget where `full` names one, as `jobs/pretrain.py` takes it.

    Its name has the trial and the values: more trials may find another best, whose run is another one.
    """
    best = best_record(records)
    values = {**best.parameters, **config.full}
    return trial_config(config, f"best-{best.trial}-{_digest(values)}", values, run.run_uri(config))


def finetune_config(config: SearchConfig, task: str, encoder: str) -> FinetuneConfig:
    """The fine-tuning that follows, on one of the downstream tasks; of another encoder it is another run."""
    values = {**config.finetune[task], "output": run.run_uri(config), "encoder": encoder}
    named = {**values, "name": f"finetune-{task}-{_digest(values)}"}
    return configfile.validate(FinetuneConfig, named, f"finetune.{task}")


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:6]


def importance(config: SearchConfig, records: Sequence[TrialRecord]) -> dict[str, float]:
    """Share of the variance of the score that each key explains (fANOVA, Hutter et al. 2014); {} for too few trials."""
    scored = [record for record in records if record.score is not None]
    values = {json.dumps(record.parameters, sort_keys=True) for record in scored}
    if len(scored) < 4 or len({record.score for record in scored}) < 2 or len(values) < 2:
        return {}
    study = optuna.create_study(direction="maximize")
    for record in scored:
        study.add_trial(
            optuna.trial.create_trial(
                params=as_drawn(config.space, record.parameters),
                distributions=distributions(config.space),
                value=record.score,
            )
        )
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=config.seed)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {key: round(float(value), 4) for key, value in found.items()}


def table(config: SearchConfig, records: Sequence[TrialRecord]) -> str:
    """A row a trial, as CSV: values, score, curve, cost and why it ended."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    keys = list(config.space)
    writer.writerow(("trial", "status", METRIC, "epochs", "worker_seconds", "starts", *keys, "curve", "why"))
    for one in records:
        values = [
            one.parameters[key]
            if isinstance(one.parameters[key], int | float | str)
            else json.dumps(one.parameters[key])
            for key in keys
        ]
        curve = " ".join(f"{row['epoch']}:{row[METRIC]:.4f}" for row in one.curve)
        score = "" if one.score is None else f"{one.score:.6f}"
        writer.writerow(
            (one.trial, one.status, score, one.epoch, round(one.worker_seconds, 1), one.starts, *values, curve, one.why)
        )
    return out.getvalue()
