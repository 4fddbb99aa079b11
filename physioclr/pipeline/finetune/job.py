"""The fine-tuning job: labels and an encoder to a classifier, its predictions, figures and report.

URI/encoder/             the classifier: encoder, `head.safetensors`, `classes.json`
    probe/               the same of the probe that training began as, if `head` is probe
    predictions.parquet  a row a 5 s segment of the validation and test rows
    report.html
    summary.json         written last: the run is complete
    checkpoints/, metrics.jsonl, tensorboard/   of all modes but `probe`
    inputs.json          digests of the datasets and the encoder that it was begun with
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rich.console import Console

from physioclr import storage
from physioclr.config import ModelConfig
from physioclr.downstream import FinetuneConfig
from physioclr.encoder import Encoder, load_encoder
from physioclr.errors import ConfigError
from physioclr.evaluation.overlap import refuse_overlap
from physioclr.pipeline import cluster, run
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.embed.scoring import embeddings_of, scores_of
from physioclr.pipeline.finetune.fit import Fitted, fit_classifier, fit_linear_probe
from physioclr.pipeline.finetune.labelled import Labelled, read_labelled
from physioclr.pipeline.finetune.report import class_name, write_report
from physioclr.pipeline.finetune.result import figures_of, write_predictions
from physioclr.pipeline.finetune.trained_on import SCHEMA, identities_of, overlap_of, read_trained_on, write_trained_on
from physioclr.pipeline.finetune.worker import beginning
from physioclr.pipeline.selection import Rows
from physioclr.pipeline.training.placement import hints, place_workers

NOT_CHECKED = "not checked: the encoder does not say which recordings it was trained on (no trained_on.parquet)"
NO_WEIGHTS = "none possible: no pretrained weights are used"


@dataclass(frozen=True)
class Seen:
    """What of the test rows was found elsewhere: `stated` in the result. `learned`: who the rows are that are learned
    or chosen from, if asked.

    `overlap` is with pretraining. `overlap_with_training` is None where all rows are of one dataset, split by patient.
    """

    overlap: dict[str, Any] | str
    overlap_with_training: dict[str, Any] | None
    learned: pa.Table | None

    @property
    def stated(self) -> dict[str, Any]:
        """For the summary."""
        return {"overlap": self.overlap, "overlap_with_training": self.overlap_with_training}


def finetune(config: FinetuneConfig, console: Console) -> dict[str, Any]:
    """Run (or go on with, or just report) the run that `config` names; returns its summary.

    Raises a `UserError` when the name, the data, the encoder, the task or the cluster do not allow it.
    """
    run.check_claim(config)
    finished = run.summary_of(run.run_uri(config))
    if finished is not None:
        console.print(f"The run {config.name!r} is complete; nothing to do.", highlight=False)
        return finished
    with run.alone(config, console):
        return _go_on(config, console)


def _go_on(config: FinetuneConfig, console: Console) -> dict[str, Any]:
    """From wherever the run is to its end."""
    data = read_labelled(config, PreparedDataset.open(config.prepared))
    encoder, model = encoder_and_model(config)
    fitting = with_batches_that_fit(config, len(data.split.train), console)
    cluster.connect()
    machines = cluster.machines()
    gpu = place_workers(config.training, machines).gpu
    _say(config, data, console)
    seen = check_overlap(config, data, console)
    uri = run.claim(config)
    run.check_inputs(config, _inputs(config, data, encoder))
    for hint in hints(config.training, machines, (config.output, config.prepared)):
        console.print(hint, highlight=False)
    started = time.time()
    scores, fitted = _fit(fitting, uri, data, encoder, model, gpu, console)
    _say_what_it_saw(config, uri, data, seen, console)
    return _finish(config, uri, data, scores, fitted, seen, time.time() - started, console)


def _inputs(config: FinetuneConfig, data: Labelled, encoder: Encoder | None) -> dict[str, str]:
    """What the result depends on beside the configuration, by its URI."""
    datasets = {dataset.uri: dataset.digest for dataset in data.datasets}
    return datasets if encoder is None else {**datasets, str(config.encoder): encoder.digest}


def headline(summary: dict[str, Any]) -> dict[str, Any]:
    """The part of a run's summary that fits a glance; summary.json has the rest."""
    test = summary["test"]["recordings"]
    task = (
        f"{summary['task']}, {test['counted']} of {len(test['positives'])} classes have both outcomes in the test part"
    )
    facts = {"run": summary["run_uri"], "task": task}
    for name, count in summary["data"].items():
        facts[name] = f"{count['recordings']:,} recordings of {count['patients']:,} patients"
    facts["trained"] = summary["trained"]["how"]
    for metric, name in (("auroc", "macro-AUROC"), ("auprc", "macro-AUPRC")):
        facts[f"{name} of test recordings"] = _interval(test["macro"][metric])
    facts["macro-AUROC of test segments"] = _interval(summary["test"]["segments"]["macro"]["auroc"])
    if "challenge_score" in test["overall"]:
        facts["Challenge score"] = _interval(test["overall"]["challenge_score"])
    for name, key in (("pretraining", "overlap"), ("training", "overlap_with_training")):
        overlap = summary.get(key)
        if isinstance(overlap, dict):
            overlap = f"{overlap['found']} of {overlap['test_rows']} test windows"
        facts |= {f"overlap with {name}": overlap} if overlap else {}
    return facts | {key: summary[key] for key in ("predictions", "classifier", "report")}


def _interval(figure: dict[str, Any]) -> str:
    if figure["estimate"] is None:
        return "not defined: no class has both outcomes"
    ends = f" ({figure['low']:.3f} to {figure['high']:.3f})" if figure["low"] is not None else ""
    return f"{figure['estimate']:.3f}{ends}"


def encoder_and_model(config: FinetuneConfig) -> tuple[Encoder | None, ModelConfig]:
    """The encoder on the CPU, or None in mode `scratch`, and the network's sizes: its own where one is named."""
    if config.encoder is None:
        return None, config.model
    encoder = load_encoder(config.encoder, device="cpu")
    return (None if config.mode == "scratch" else encoder), encoder.model


def with_batches_that_fit(config: FinetuneConfig, rows: int, console: Console) -> FinetuneConfig:
    """The configuration with a batch that the training rows fill: the largest part of the one asked for.

    Workers have no say in it, as a run may go on with another number of them. `ConfigError` when they cannot share it.
    """
    training = config.training
    whole, parts = training.batch_size, training.accumulate
    if config.mode == "probe" or rows >= whole:
        return config
    batch_size = next((size for size in range(rows, 0, -1) if whole % size == 0 and size % parts == 0), rows)
    if batch_size < 2 or batch_size % training.shares:
        raise ConfigError(
            f"{rows} training rows are fewer than training.batch_size {whole}, and a batch of {batch_size} cannot be "
            f"shared by training.workers {training.workers} in training.accumulate {parts} micro-batches; lower these, "
            "or raise label_fraction."
        )
    console.print(f"Batches of {batch_size} instead of {whole}: there are {rows} training rows.")
    return config.model_copy(update={"training": training.model_copy(update={"batch_size": batch_size})})


def check_overlap(config: FinetuneConfig, data: Labelled, console: Console) -> Seen:
    """Whether the encoder knows test rows already and, where they are of another dataset, whether training does, which
    includes the validation rows that it chooses by.

    Raises `UserError` if so, unless that is allowed.
    """
    pretrained = _pretrained_on(config)
    learned = _learned_from(data, console) if len(data.datasets) > 1 else None
    known = {"Pretraining": pretrained, "Training": learned}
    known = {who: table for who, table in known.items() if table is not None and table.num_rows}
    found: dict[str, dict[str, Any]] = {}
    if known:
        test = identities_of(data.selection(data.split.test), console)
        found = {who: _overlap(who, table, test, config, console) for who, table in known.items()}
    if pretrained is None:
        console.print(f"Overlap with pretraining: {NOT_CHECKED}.", highlight=False)
    overlap = NOT_CHECKED if pretrained is None else found.get("Pretraining", NO_WEIGHTS)
    return Seen(overlap, found.get("Training"), learned)


def _learned_from(data: Labelled, console: Console) -> pa.Table:
    rows = np.sort(np.concatenate([data.split.train, data.split.validation]))
    return identities_of(data.selection(rows), console)


def _pretrained_on(config: FinetuneConfig) -> pa.Table | None:
    """Who was seen by the weights that training begins with: nobody by random ones. None where that is not known."""
    if config.mode == "scratch" or config.encoder is None:
        return SCHEMA.empty_table()
    return read_trained_on(config.encoder)


def _overlap(who: str, known: pa.Table, test: pa.Table, config: FinetuneConfig, console: Console) -> dict[str, Any]:
    """What `who`, Pretraining or Training, has seen of the test rows."""
    overlap = overlap_of(known, test)
    refuse_overlap(overlap, config.allow_overlap, who)
    if len(overlap.rows):
        console.print(
            f"{who} has seen {len(overlap.rows)} of the {overlap.test_rows} test rows or their patients; "
            "allow_overlap is set, and the result says so.",
            highlight=False,
        )
    if not overlap.patients_checked:
        console.print(
            f"Overlap with {who.lower()}: patients have pseudonyms of other keys there, and are not compared."
        )
    return overlap.as_dict()


def _say_what_it_saw(config: FinetuneConfig, uri: str, data: Labelled, seen: Seen, console: Console) -> None:
    """Leave beside the classifier who it was trained and chosen on, where its encoder says who that was."""
    pretrained = _pretrained_on(config)
    if pretrained is not None:
        mine = _learned_from(data, console) if seen.learned is None else seen.learned
        write_trained_on(pa.concat_tables([pretrained, mine]), storage.join(uri, "encoder"))


def _say(config: FinetuneConfig, data: Labelled, console: Console) -> None:
    counts = data.counts()
    sizes = ", ".join(f"{count['windows']:,} {name}" for name, count in counts.items())
    console.print(f"Task {data.task.name}: 10 s windows for {sizes}", highlight=False)
    never = data.never_seen()
    if never:
        console.print(
            f"{len(never)} of {len(data.task.classes)} classes have not both outcomes in training, so nothing is "
            f"learned of them: {', '.join(map(class_name, never))}",
            highlight=False,
        )


def _fit(
    config: FinetuneConfig,
    uri: str,
    data: Labelled,
    encoder: Encoder | None,
    model: ModelConfig,
    gpu: bool,
    console: Console,
) -> tuple[dict[str, NDArray[np.float64]], Fitted]:
    """Scores [n, 2, C] of the validation and test rows, from the classifier exported below `uri`."""
    target = storage.join(uri, "encoder")
    if config.mode == "probe":
        assert encoder is not None, "the configuration sees to it"
        embedded = _embedded(config, data, ("train", "validation", "test"), gpu, console)
        return fit_linear_probe(config, data, embedded, encoder, target)
    if config.begins_as_probe:
        assert encoder is not None, "the configuration sees to it"
        _fit_the_beginning(config, uri, data, encoder, gpu, console)
    fitted = fit_classifier(config, uri, data, model, target, console)
    rows, places = _together(data, ("validation", "test"))
    whole = scores_of(data.selection(rows), target, gpu, console)
    return {name: whole[place].astype(np.float64) for name, place in places.items()}, fitted


def _together(data: Labelled, parts: Sequence[str]) -> tuple[Rows, dict[str, Rows]]:
    """The rows of several parts, ascending, and the places of each part's among them."""
    rows = np.sort(np.concatenate([data.part(name) for name in parts]))
    return rows, {name: np.searchsorted(rows, data.part(name)) for name in parts}


def _embedded(
    config: FinetuneConfig, data: Labelled, parts: Sequence[str], gpu: bool, console: Console
) -> dict[str, NDArray[np.float32]]:
    """Embeddings [n, 2, d] of the rows of each part."""
    rows, places = _together(data, parts)
    whole = embeddings_of(data.selection(rows), str(config.encoder), config.token_pool, gpu, console)
    return {name: whole[place] for name, place in places.items()}


def _fit_the_beginning(
    config: FinetuneConfig, uri: str, data: Labelled, encoder: Encoder, gpu: bool, console: Console
) -> None:
    """Leave the probe that training begins as in its place, unless it is there already."""
    if not storage.exists(storage.join(beginning(uri), "classes.json")):  # what is written last
        embedded = _embedded(config, data, ("train", "validation"), gpu, console)
        fit_linear_probe(config, data, embedded, encoder, beginning(uri))


def _finish(
    config: FinetuneConfig,
    uri: str,
    data: Labelled,
    scores: dict[str, NDArray[np.float64]],
    fitted: Fitted,
    seen: Seen,
    seconds: float,
    console: Console,
) -> dict[str, Any]:
    """Predictions, figures, report and last the summary: a summary means that all is there."""
    write_predictions(data, scores, storage.join(uri, "predictions.parquet"))
    summary: dict[str, Any] = {
        "run": config.name,
        "run_uri": uri,
        "mode": config.mode,
        "task": data.task.name,
        "classes": list(data.task.classes),
        "not_in_training": list(data.never_seen()),
        "dataset": data.datasets[0].uri,
        "tested_on": data.datasets[-1].uri,
        "encoder": None if config.mode == "scratch" else config.encoder,
        "label_fraction": config.label_fraction,
        "data": data.counts(),
        **seen.stated,
        "trained": fitted.as_dict(),
        "seconds": round(seconds, 1),  # of the last start of this run, if it was stopped in between
        **figures_of(config, data, scores),
        "predictions": storage.join(uri, "predictions.parquet"),
        "classifier": storage.join(uri, "encoder"),
        "report": storage.join(uri, "report.html"),
    }
    console.print("Drawing the report", highlight=False)
    write_report(config, uri, data, scores["test"], summary, headline(summary))
    run.write_summary(uri, summary)
    return summary
