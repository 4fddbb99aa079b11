"""How a classifier is made of an encoder: by Ray Train, or as a linear probe of embeddings. Both are exported alike."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from ray.train import CheckpointConfig, Result
from rich.console import Console
from sklearn.pipeline import Pipeline

from physioclr.classifier import export_classifier
from physioclr.config import ModelConfig
from physioclr.downstream import FinetuneConfig
from physioclr.encoder import Encoder
from physioclr.evaluation.class_weights import positive_weights
from physioclr.evaluation.probe import Probe, fit_probe
from physioclr.method.classifier import Classifier
from physioclr.method.encoder import Encoder as Network
from physioclr.method.encoder import parameter_count
from physioclr.pipeline.finetune.labelled import Labelled
from physioclr.pipeline.finetune.worker import FinetuneJob, Judged, finetune_worker
from physioclr.pipeline.training.fit import Samples, fit
from physioclr.pipeline.training.order import Plan
from physioclr.pipeline.training.state import load_checkpoint

Floats = NDArray[np.float64]
SEGMENTS = 2  # of a window


@dataclass(frozen=True)
class Fitted:
    """How it went: a line for people, and facts for the summary."""

    how: str
    facts: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"how": self.how, **self.facts}


def make_plan(config: FinetuneConfig, data: Labelled) -> Plan:
    """The order of all training samples; the batch must not be larger than the training rows."""
    training = config.training
    groups = tuple(data.selection(data.split.train).group_rows().tolist())
    passes = math.ceil(training.epoch_steps * training.batch_size / len(data.split.train))
    return Plan(groups, training.batch_size, training.epochs, training.mix_row_groups, training.seed, passes)


def fit_classifier(
    config: FinetuneConfig, uri: str, data: Labelled, model: ModelConfig, target: str, console: Console
) -> Fitted:
    """Train, or go on training, and export the best epoch's classifier to `target`."""
    plan = make_plan(config, data)
    train, check = data.split.train, data.split.validation
    outcomes = data.y[train]
    weights = positive_weights(outcomes)
    judged = Judged(data.selection(check), data.y[check], data.record(check))
    result = fit(
        f"Fine-tuning ({config.mode}) {model.size} on {len(train):,} windows, {plan.steps_per_epoch:,} steps an epoch",
        finetune_worker,
        lambda threads, news: FinetuneJob(
            config, uri, model, data.task.classes, outcomes, weights, judged, plan, threads, news
        ),
        uri,
        Samples(data.selection(train), plan),
        config.training,
        CheckpointConfig(
            num_to_keep=1,
            checkpoint_score_attribute=config.checkpoint.metric,
            checkpoint_score_order=config.checkpoint.mode,
        ),
        console,
    )
    return _export_best(config, data, model, plan, result, target)


def _export_best(
    config: FinetuneConfig, data: Labelled, model: ModelConfig, plan: Plan, result: Result, target: str
) -> Fitted:
    checkpoint = result.get_best_checkpoint(config.checkpoint.metric, config.checkpoint.mode)
    last = result.checkpoint
    assert checkpoint is not None, "an epoch ends with a checkpoint"
    assert last is not None, "the best may be the latest"
    with tempfile.TemporaryDirectory() as folder:
        checkpoint.to_directory(folder)
        best = load_checkpoint(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        last.to_directory(folder)
        epochs = len(load_checkpoint(Path(folder))["history"]) - config.begins_as_probe
    classifier = Classifier(Network(model), len(data.task.classes), config.dropout, token_pool=config.token_pool)
    classifier.load_state_dict(best["model"])
    export_classifier(
        classifier.encoder,
        model,
        target,
        weight=classifier.head.weight,
        bias=classifier.head.bias - classifier.positive_weight.log(),
        classes=data.task.classes,
        task=data.task.name,
        trained_on=_provenance(config, data),
        token_pool=config.token_pool,
    )
    classifier.trainable(config.mode)
    facts = {
        "epochs": epochs,
        "best_epoch": best["step"] // plan.steps_per_epoch,
        "steps_an_epoch": plan.steps_per_epoch,
        "batch_size": plan.batch_size,
        "parameters": parameter_count(classifier),
    }
    choice = f"number {facts['best_epoch']} of {epochs} epochs was best"
    if not facts["best_epoch"]:
        choice = f"none of {epochs} epochs was better than the probe that it began as"
    how = f"{config.mode}, {facts['parameters']:,} parameters; {choice}"
    return Fitted(how, facts)


def fit_linear_probe(
    config: FinetuneConfig, data: Labelled, embedded: dict[str, NDArray[np.float32]], encoder: Encoder, target: str
) -> tuple[dict[str, Floats], Fitted]:
    """A probe of segments' embeddings [n, 2, d] of each part, exported to `target`; its scores of all but training."""
    x = {name: values.reshape(-1, values.shape[-1]) for name, values in embedded.items()}
    y = {name: np.repeat(data.y[data.part(name)], SEGMENTS, axis=0) for name in embedded}
    probe = fit_probe(x["train"], y["train"], x["validation"], y["validation"])
    weight, bias = affine(probe)
    export_classifier(
        encoder.network,
        encoder.model,
        target,
        weight=torch.from_numpy(weight),
        bias=torch.from_numpy(bias),
        classes=data.task.classes,
        task=data.task.name,
        trained_on=_provenance(config, data),
        token_pool=config.token_pool,
    )
    classes = len(data.task.classes)
    scores = {name: probe.scores(x[name]).reshape(-1, SEGMENTS, classes) for name in x if name != "train"}
    facts = {"c": probe.c, "converged": probe.converged, "parameters": weight.size + bias.size}
    how = f"probe, L2 with C = {probe.c:g}" + ("" if probe.converged else ", not converged")
    return scores, Fitted(how, facts)


def affine(probe: Probe) -> tuple[Floats, Floats]:
    """The probe's standardising and linear layer as one: weight [C, d] and bias [C] on embeddings without gaps."""
    scaler = _scaler(probe.preprocess)
    weight = probe.coefficients / scaler.scale_
    return weight, probe.intercepts - weight @ scaler.mean_


def _scaler(preprocess: Pipeline) -> Any:
    return preprocess.named_steps["standardscaler"]


def _provenance(config: FinetuneConfig, data: Labelled) -> dict[str, Any]:
    """What a user of the classifier should know of its making; no patients."""
    return {
        "run": config.name,
        "mode": config.mode,
        "encoder": None if config.mode == "scratch" else config.encoder,
        "task": data.task.name,
        "training_windows": len(data.split.train),
        "label_fraction": config.label_fraction,
    }
