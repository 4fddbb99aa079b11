"""The main job: a prepared dataset (made first if it is not there), Ray Train over it, and an exported encoder."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from ray.train import Checkpoint, CheckpointConfig, Result
from rich.console import Console

from physioclr import configfile, storage
from physioclr.baselines.registry import open_objective
from physioclr.config import PretrainConfig
from physioclr.encoder import export_encoder
from physioclr.errors import DatasetError, RunError
from physioclr.method.sizes import resolve
from physioclr.pipeline import cluster, run
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.finetune.trained_on import identities_of, write_trained_on
from physioclr.pipeline.prepare.job import prepare
from physioclr.pipeline.pretrain.pairing import Pairing, pairing_of
from physioclr.pipeline.pretrain.worker import Job, train_worker
from physioclr.pipeline.selection import Selection
from physioclr.pipeline.training.board import Listener
from physioclr.pipeline.training.fit import Samples, Start, fit
from physioclr.pipeline.training.interruptions import interruptions, told
from physioclr.pipeline.training.metrics_log import Row, read_metrics
from physioclr.pipeline.training.order import Plan
from physioclr.pipeline.training.placement import hints, place_workers
from physioclr.pipeline.training.state import downloaded, load_checkpoint


def pretrain(config: PretrainConfig, console: Console, listener: Listener | None = None) -> dict[str, Any]:
    """Run (or go on with, or just report) the run `config` names; returns its summary.

    `listener` is told the metrics row of each epoch, those of earlier starts first, and when the workers begin.

    Raises a `UserError` when the name, the data, the storage or the cluster do not allow it.
    """
    resolve(config.model)
    run.check_claim(config)
    if listener is not None:
        for row in epochs_of(run.run_uri(config)):
            listener(row)
    if run.summary_of(run.run_uri(config)) is not None:
        return _complete(config, console)
    with run.alone(config, console):
        if run.summary_of(run.run_uri(config)) is not None:  # by another process, which was waited for
            return _complete(config, console)
        return _go_on(config, console, listener)


def _complete(config: PretrainConfig, console: Console) -> dict[str, Any]:
    console.print(f"The run {config.name!r} is complete; nothing to do.", highlight=False)
    return run.summary_of(run.run_uri(config)) or {}


def _go_on(config: PretrainConfig, console: Console, listener: Listener | None) -> dict[str, Any]:
    """From wherever the run is to its end."""
    cluster.connect()
    machines = cluster.machines()
    place_workers(config.training, machines)  # refused now rather than after preparing
    for hint in hints(config.training, machines, (config.output, config.dataset.uri)):
        console.print(hint, highlight=False)
    dataset = prepare(config.dataset, console)
    plan = make_plan(config, dataset)
    start = _start(config, plan)
    pairing = pairing_of(config, dataset)
    uri = run.claim(config)  # not before: what was refused so far is mended under the same name
    started = time.time()
    result = _fit(config, uri, dataset, pairing, plan, start, console, listener)
    seconds = time.time() - started
    return _finish(config, uri, dataset, pairing, result, seconds, console)


def headline(summary: dict[str, Any]) -> dict[str, Any]:
    """The part of a run's summary that fits a glance; summary.json has the rest."""
    last = summary["last_epoch"]

    def against(key: str, other: str, word: str) -> str:
        if last.get(key) is None:
            return "not measured: no labels, or too few recordings"
        return f"{last[key]:.3f}" + (f" ({word} {last[other]:.3f})" if last.get(other) is not None else "")

    return {
        "run": summary["run_uri"],
        "recordings": f"{summary['found']:,} found = {summary['kept']:,} kept + {summary['rejected']:,} rejected",
        "trained on": f"{summary['training_recordings']:,} recordings, {summary['epochs']} epochs, "
        f"{summary['steps']:,} steps in {summary['seconds']:,.0f} s",
        **told(summary),
        **_losses(last),
        "feature pairs that share a label": against("pair_agreement", "pair_agreement_chance", "by chance"),
        "linear probe on validation, AUROC": against("probe_auroc", "probe_auroc_random", "untrained encoder"),
        "nearest is of the same patient": against("patient_retrieval", "patient_retrieval_chance", "by chance"),
        "encoder": summary["encoder"],
        "report": summary["report"],
    }


def _losses(last: dict[str, Any]) -> dict[str, str]:
    """The loss and, of methods that have them, its parts and its pairs."""
    parts = {
        "contrastive": "contrastive",
        "reconstruction_global": "reconstruction",
        "reconstruction_peak": "at the peaks",
        "prediction": "masked prediction",
    }
    there = ", ".join(f"{name} {last[key]:.3f}" for key, name in parts.items() if last.get(key) is not None)
    facts = {"loss of the last epoch": f"{last['loss']:.3f}" + (f": {there}" if there else "")}
    if "positives_mean" in last:
        pairs = f"{last['positives_mean']:.1f} and {last['negatives_mean']:.1f}"
        facts["positives and negatives of an anchor"] = pairs
    return facts


def make_plan(config: PretrainConfig, dataset: PreparedDataset) -> Plan:
    """The order of all samples. Raises `DatasetError` when the training split does not fill one batch."""
    training = config.training
    if dataset.rows("train") < training.batch_size:
        raise DatasetError(
            f"The training split of {dataset.uri} has {dataset.rows('train')} recordings, fewer than one batch "
            f"(training.batch_size={training.batch_size}); lower it, or prepare more recordings."
        )
    groups = tuple(dataset.group_rows("train").tolist())
    return Plan(groups, training.batch_size, training.epochs, training.mix_row_groups, training.seed)


def epochs_of(uri: str) -> list[Row]:
    """Metrics rows of the epochs that the run in the folder `uri` has finished and saved."""
    return [row for row in read_metrics(uri) if row["kind"] == "epoch"]


def _start(config: PretrainConfig, plan: Plan) -> Start | None:
    if config.start is None:
        return None
    with downloaded(config.start) as folder:
        checkpoint = load_checkpoint(folder)
    samples = int(checkpoint["samples_seen"])
    before = configfile.completed(PretrainConfig, checkpoint["config"])
    now = config.model_dump(mode="json")
    keys = configfile.differing_keys({"dataset": before["dataset"]}, {"dataset": now["dataset"]}, run.MACHINE_KEYS)
    if keys:  # who it was trained on would not be said, and then be tested on
        raise RunError(
            f"The checkpoint in {config.start} is of a run with other data ({', '.join(keys)} differ); begin at one "
            "of the same."
        )
    if samples >= plan.samples:
        raise RunError(
            f"The checkpoint in {config.start} has seen {samples:,} samples, and this run would end at "
            f"{plan.samples:,}; raise training.epochs."
        )
    return Start(config.start, samples)


def _fit(
    config: PretrainConfig,
    uri: str,
    dataset: PreparedDataset,
    pairing: Pairing,
    plan: Plan,
    start: Start | None,
    console: Console,
    listener: Listener | None,
) -> Result:
    checkpoint = config.checkpoint
    return fit(
        f"Pretraining {config.model.size} on {plan.samples // plan.epochs:,} of {dataset.rows('train'):,} training "
        "recordings an epoch",
        train_worker,
        lambda threads, news: Job(config, uri, dataset, pairing, plan, threads, news, start),
        uri,
        Samples(Selection.of(dataset, ("train",)), plan),
        config.training,
        CheckpointConfig(
            num_to_keep=checkpoint.keep,
            checkpoint_score_attribute=checkpoint.metric,
            checkpoint_score_order=checkpoint.mode,
        ),
        console,
        start,
        listener,
    )


def _finish(
    config: PretrainConfig,
    uri: str,
    dataset: PreparedDataset,
    pairing: Pairing,
    result: Result,
    seconds: float,
    console: Console,
) -> dict[str, Any]:
    """Export the encoder, draw the report and write the summary, in this order: a summary means that all is there."""
    checkpoint = _chosen(config, result)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint.to_directory(folder)
        state = load_checkpoint(Path(folder))
    objective = open_objective(config.model, config.objective, config.method)
    objective.load_state_dict(state["model"])
    export_encoder(
        objective.encoder, config.model, storage.join(uri, "encoder"), trained_on=_provenance(config, dataset)
    )
    _say_what_it_saw(uri, dataset, console)
    epochs = epochs_of(uri)
    summary = {
        "run": config.name,
        "run_uri": uri,
        "encoder": storage.join(uri, "encoder"),
        "report": storage.join(uri, "report.html"),
        "dataset": dataset.uri,
        "found": dataset.manifest.found,
        "kept": dataset.manifest.kept,
        "rejected": dataset.manifest.rejected,
        "training_recordings": dataset.rows("train"),
        "epochs": config.training.epochs,
        "steps": state["step"],
        "samples_seen": state["samples_seen"],
        **interruptions(read_metrics(uri), config.training.batch_size),
        "seconds": round(seconds, 1),  # of the last start of this run, if it was stopped in between
        "last_epoch": {key: value for key, value in epochs[-1].items() if key not in ("kind", "step", "samples")},
    }
    from physioclr.pipeline.pretrain.report import write_report  # matplotlib: no worker needs it

    console.print("Drawing the report", highlight=False)
    write_report(config, uri, dataset, pairing, objective, headline(summary))
    run.write_summary(uri, summary)
    return summary


def _say_what_it_saw(uri: str, dataset: PreparedDataset, console: Console) -> None:
    """Leave beside the encoder who its training recordings are, so that no test on them goes unnoticed."""
    encoder = storage.join(uri, "encoder")
    write_trained_on(identities_of(Selection.of(dataset, ("train",)), console), encoder)


def _chosen(config: PretrainConfig, result: Result) -> Checkpoint:
    if config.checkpoint.export == "best":
        best = result.get_best_checkpoint(config.checkpoint.metric, config.checkpoint.mode)
        if best is not None:
            return best
    assert result.checkpoint is not None, "an epoch ends with a checkpoint"
    return result.checkpoint


def _provenance(config: PretrainConfig, dataset: PreparedDataset) -> dict[str, Any]:
    """What a user of the encoder should know of its making; no patients."""
    made_with = dataset.manifest.config
    return {
        "run": config.name,
        "sources": [source["name"] or source["kind"] for source in made_with["sources"]],
        "training_recordings": dataset.rows("train"),
        "split": made_with["split"],
        "method": config.method.model_dump(mode="json"),
        **({"objective": config.objective.model_dump(mode="json")} if config.method.name == "physioclr" else {}),
        **({"ablation": config.ablation.model_dump(mode="json")} if config.ablation is not None else {}),
    }
