"""The main job: a prepared dataset (made first if it is not there), Ray Train over it, and an exported encoder."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray.data import Dataset
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, Result, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from rich.console import Console

from physioclr import storage
from physioclr.config import PretrainConfig
from physioclr.encoder import export_encoder
from physioclr.errors import DatasetError
from physioclr.method.objective import PhysioCLR
from physioclr.method.sizes import resolve
from physioclr.pipeline import board, cluster, run
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.feed import in_plan_order, training_stream
from physioclr.pipeline.metrics_log import read_metrics
from physioclr.pipeline.order import Plan
from physioclr.pipeline.prepare import prepare
from physioclr.pipeline.pretrain_report import write_report
from physioclr.pipeline.state import load_checkpoint
from physioclr.pipeline.trainer import Job, train_worker

CHECKPOINTS = "checkpoints"


def pretrain(config: PretrainConfig, console: Console) -> dict[str, Any]:
    """Run (or go on with, or just report) the run `config` names; returns its summary.

    Raises a `UserError` when the name, the data, the storage or the cluster do not allow it.
    """
    resolve(config.model)
    run.check_claim(config)
    finished = run.summary_of(run.run_uri(config))
    if finished is not None:
        console.print(f"The run {config.name!r} is complete; nothing to do.", highlight=False)
        return finished
    uri = run.claim(config)
    cluster.connect()
    available = cluster.resources()
    workers = cluster.place_workers(config.training, available)
    for hint in cluster.hints(config.training, available, (config.output, config.dataset.uri)):
        console.print(hint, highlight=False)
    dataset = prepare(config.dataset, console)
    plan = make_plan(config, dataset)
    started = time.time()
    result = _fit(config, uri, dataset, plan, workers, console)
    seconds = time.time() - started
    return _finish(config, uri, dataset, result, seconds, console)


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
        "loss of the last epoch": f"{last['loss']:.3f}: contrastive {last['contrastive']:.3f}, reconstruction "
        f"{last['reconstruction_global']:.3f}, at the peaks {last['reconstruction_peak']:.3f}",
        "positives and negatives of an anchor": f"{last['positives_mean']:.1f} and {last['negatives_mean']:.1f}",
        "feature pairs that share a label": against("pair_agreement", "pair_agreement_chance", "by chance"),
        "linear probe on validation, AUROC": against("probe_auroc", "probe_auroc_random", "untrained encoder"),
        "nearest is of the same patient": against("patient_retrieval", "patient_retrieval_chance", "by chance"),
        "encoder": summary["encoder"],
        "report": summary["report"],
    }


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


def _fit(
    config: PretrainConfig, uri: str, dataset: PreparedDataset, plan: Plan, workers: cluster.Workers, console: Console
) -> Result:
    training = config.training
    grain = training.batch_size // (training.accumulate * training.workers)
    news = board.start()
    job = Job(config, uri, dataset, plan, threads=max(int(workers.cpus), 1), board=news)
    resources = {"CPU": workers.cpus} | ({"GPU": 1.0} if workers.gpu else {})
    trainer = TorchTrainer(
        train_worker,
        train_loop_config={"job": job},
        datasets={"train": rest_of_plan(uri, dataset, plan, grain)},
        dataset_config=in_plan_order(),
        scaling_config=ScalingConfig(num_workers=workers.count, use_gpu=workers.gpu, resources_per_worker=resources),
        run_config=RunConfig(
            name=CHECKPOINTS,
            storage_path=storage.filesystem(uri)[1],
            storage_filesystem=storage.arrow_filesystem(uri),
            failure_config=FailureConfig(max_failures=training.max_failures),
            checkpoint_config=CheckpointConfig(
                num_to_keep=config.checkpoint.keep,
                checkpoint_score_attribute=config.checkpoint.metric,
                checkpoint_score_order=config.checkpoint.mode,
            ),
        ),
    )
    where = "GPU" if workers.gpu else f"{workers.cpus:g} CPUs"
    console.print(
        f"Pretraining {config.model.size} on {plan.samples // plan.epochs:,} of {dataset.rows('train'):,} training "
        f"recordings an epoch: {workers.count} workers with {where} each",
        highlight=False,
    )
    cluster.say_if_busy(workers.count * workers.cpus + 1, console)
    with board.shown(news, plan.samples, console):
        return trainer.fit()


def rest_of_plan(uri: str, dataset: PreparedDataset, plan: Plan, grain: int) -> Callable[[], Dataset]:
    """What Ray Train calls at every start of its workers: the samples after the latest checkpoint, streamed."""

    def stream() -> Dataset:
        cluster.quiet()
        return training_stream(dataset, plan, latest_samples_seen(uri), grain)

    return stream


def latest_samples_seen(uri: str) -> int:
    """Samples seen by the checkpoint that Ray Train will restore; 0 before the first one."""
    folder = storage.join(uri, CHECKPOINTS)
    if not storage.exists(storage.join(folder, "checkpoint_manager_snapshot.json")):
        return 0
    result = Result.from_path(storage.filesystem(folder)[1], storage_filesystem=storage.arrow_filesystem(folder))
    return int(result.metrics["samples_seen"]) if result.metrics else 0


def _finish(
    config: PretrainConfig, uri: str, dataset: PreparedDataset, result: Result, seconds: float, console: Console
) -> dict[str, Any]:
    """Export the encoder, draw the report and write the summary, in this order: a summary means that all is there."""
    checkpoint = _chosen(config, result)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint.to_directory(folder)
        state = load_checkpoint(Path(folder))
    objective = PhysioCLR(config.model, config.objective)
    objective.load_state_dict(state["model"])
    export_encoder(
        objective.encoder, config.model, storage.join(uri, "encoder"), trained_on=_provenance(config, dataset)
    )
    epochs = [row for row in read_metrics(uri) if row["kind"] == "epoch"]
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
        "seconds": round(seconds, 1),  # of the last start of this run, if it was stopped in between
        "last_epoch": {key: value for key, value in epochs[-1].items() if key not in ("kind", "step", "samples")},
    }
    console.print("Drawing the report", highlight=False)
    write_report(config, uri, dataset, objective, headline(summary))
    storage.write_text(storage.join(uri, "summary.json"), json.dumps(summary, indent=1) + "\n")
    return summary


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
        "objective": config.objective.model_dump(mode="json"),
    }
