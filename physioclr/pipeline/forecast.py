"""What a job would do, said without doing it: for `--dry-run`."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from physioclr import storage
from physioclr.baselines.registry import open_objective
from physioclr.comparison import CompareConfig
from physioclr.config import PrepareConfig, PretrainConfig
from physioclr.costs import CostTable, load_costs
from physioclr.downstream import EmbedConfig, FinetuneConfig
from physioclr.encoder import load_encoder
from physioclr.method.classifier import Classifier
from physioclr.method.encoder import Encoder, parameter_count
from physioclr.pipeline import run
from physioclr.pipeline.bill import facts_of, in_worker_hours, on_workers, preparing, training
from physioclr.pipeline.compare.cells import AnswerCell, EncoderCell, cells
from physioclr.pipeline.compare.noise import is_done
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.finetune.fit import make_plan as finetune_plan
from physioclr.pipeline.finetune.job import encoder_and_model, with_batches_that_fit
from physioclr.pipeline.finetune.labelled import read_labelled
from physioclr.pipeline.finetune.report import class_name
from physioclr.pipeline.prepare.layout import split_of
from physioclr.pipeline.pretrain.job import make_plan
from physioclr.pipeline.search.job import check
from physioclr.pipeline.search.ledger import read_records
from physioclr.search import Choices, Parameter, SearchConfig
from physioclr.sources.registry import open_source

BYTES_PER_RECORDING = 12 * 5000 * 2


def of_prepare(config: PrepareConfig, costs: CostTable | None = None) -> dict[str, Any]:
    """Recordings by source and split, about how large the dataset will be, and what it takes."""
    facts, recordings = _prepared(config)
    table = costs or load_costs()
    return facts | facts_of([preparing(config, recordings, table)], table)


def _prepared(config: PrepareConfig) -> tuple[dict[str, Any], int]:
    """What there is to prepare, and how many recordings: 0 of a complete dataset."""
    facts: dict[str, Any] = {"dataset": config.uri}
    if storage.exists(storage.join(config.uri, "manifest.json")):
        return facts | {"state": "complete, nothing to do"}, 0
    going_on = storage.exists(storage.join(config.uri, "work", "plan", "index.json"))
    facts["state"] = "begun before, would go on" if going_on else "not begun"
    patients: set[str] = set()
    total = 0
    for source in config.sources:
        refs = open_source(source).list()[: source.limit]
        facts[f"recordings of {source.dataset}"] = len(refs)
        patients |= {ref.patient_id for ref in refs}
        total += len(refs)
    splits = [split_of(patient, config.split) for patient in patients]
    facts["patients"] = {split: splits.count(split) for split in ("train", "validation", "test")}
    facts["size before compression"] = f"{total * BYTES_PER_RECORDING / 1e9:.2f} GB for one 10 s window a recording"
    return facts, total


def of_embed(config: EmbedConfig, costs: CostTable | None = None) -> dict[str, Any]:
    """Recordings, or windows of a prepared dataset, by where they come from, the size of their embeddings, and what
    they take."""
    facts: dict[str, Any] = {"embeddings": config.uri, "encoder": config.encoder}
    width = load_encoder(config.encoder, device="cpu").width
    if config.prepared is not None:
        dataset = PreparedDataset.open(config.prepared)
        windows = {split: dataset.rows(split) for split in config.splits}
        facts["10 s windows"] = windows
        total = sum(windows.values())
    else:
        listed = {source.dataset: len(open_source(source).list()[: source.limit]) for source in config.sources}
        facts["recordings"] = listed
        total = sum(listed.values())
    facts |= {"width": width, "size": f"{total * 2 * width * 4 / 1e6:.1f} MB for one 10 s window a recording"}
    table = costs or load_costs()
    work = on_workers("embedding", total, table.rates.embed, config.device, config.workers or 1, table)
    return facts | facts_of([work], table)


def of_pretrain(config: PretrainConfig, costs: CostTable | None = None) -> dict[str, Any]:
    """The run's state, its parameters, its steps, and what it takes. Steps are about right before it is prepared."""
    uri = run.run_uri(config)
    run.check_claim(config)
    facts: dict[str, Any] = {"run": uri, "finished": run.summary_of(uri) is not None}
    facts["parameters"] = parameter_count(open_objective(config.model, config.objective, config.method))
    fewest, most = config.training.fewest, config.training.most
    facts["workers"] = most if fewest == most else f"{fewest} to {most}"
    facts["batch"] = f"{config.training.batch_size} recordings over all workers"
    table, works = costs or load_costs(), []
    if storage.exists(storage.join(config.dataset.uri, "manifest.json")) or not config.dataset.sources:
        dataset = PreparedDataset.open(config.dataset.uri)
        plan = make_plan(config, dataset)
        facts["dataset"] = f"{dataset.uri}: {dataset.rows('train'):,} training recordings"
        steps, about = plan.steps_per_epoch, ""
    else:
        before, found = _prepared(config.dataset)
        facts |= {f"prepare: {key}": value for key, value in before.items()}
        works.append(preparing(config.dataset, found, table))
        share = 1 - config.dataset.split.validation - config.dataset.split.test
        steps, about = int(found * share) // config.training.batch_size, "about "
    epochs = config.training.epochs
    facts["steps"] = f"{about}{steps:,} an epoch, {steps * epochs:,} in all"
    if facts["finished"]:
        return facts
    samples = steps * epochs * config.training.batch_size
    works.append(training("pretraining", samples, config.model, config.training, table.rates.pretrain, table))
    return facts | facts_of(works, table)


def of_finetune(config: FinetuneConfig, costs: CostTable | None = None) -> dict[str, Any]:
    """The run's state, its rows and classes and, unless it is a probe, its steps and what they take at most. Signals
    are not read."""
    uri = run.run_uri(config)
    run.check_claim(config)
    facts: dict[str, Any] = {"run": uri, "finished": run.summary_of(uri) is not None}
    data = read_labelled(config, PreparedDataset.open(config.prepared))
    _, model = encoder_and_model(config)
    positives = data.y[data.split.train].sum(axis=0).tolist()
    facts |= data.counts()
    facts["positives in training"] = dict(zip(map(class_name, data.task.classes), positives, strict=True))
    facts["encoder"] = f"{config.encoder or 'none'}, {model.size}"
    if config.mode == "probe":
        return facts | {"mode": "probe: logistic regression on embeddings"}
    fitting = with_batches_that_fit(config, len(data.split.train), Console(quiet=True))
    plan = finetune_plan(fitting, data)
    classifier = Classifier(Encoder(model), len(data.task.classes), config.dropout, token_pool=config.token_pool)
    classifier.trainable(config.mode)
    facts["mode"] = f"{config.mode}: {parameter_count(classifier):,} parameters are trained"
    facts["batch"] = f"{plan.batch_size} windows over {config.training.most} workers"
    facts["steps"] = f"{plan.steps_per_epoch:,} an epoch, {plan.steps_per_epoch * plan.epochs:,} at most"
    if facts["finished"]:
        return facts
    table = costs or load_costs()
    work = training("fine-tuning", plan.samples, model, config.training, table.rates.finetune, table)
    return facts | facts_of([work], table)


def of_compare(config: CompareConfig, costs: CostTable | None = None) -> dict[str, Any]:
    """Cells, done and to do, and hours and money of those to do, as far as rates were measured or are stated."""
    encoders, answers = cells(config)
    made = {cell.uri: cell for cell in encoders if run.summary_of(cell.uri) is not None}
    found = {one.uri for cell in answers for one in (cell, *cell.parts) if is_done(one)}
    trained = list({one.uri: one for cell in answers for one in cell.made_of if one.trained}.values())
    facts: dict[str, Any] = {
        "comparison": storage.join(config.output, config.name),
        "encoders": f"{len(encoders):,}, {len(made):,} of them done",
        "answers": f"{len(answers):,}, {sum(cell.uri in found for cell in answers):,} of them done; "
        f"{len(trained):,} are trained, the others fitted",
    }
    if config.noise is not None:
        facts["under noise"] = f"each answer's test recordings at {len(config.noise.levels)} levels"
    left = [cell for cell in encoders if cell.uri not in made and not cell.untrained]
    open_answers = [cell for cell in trained if run.summary_of(cell.uri) is None]
    table = costs or load_costs()
    works = [
        training(
            "pretraining",
            sum(
                cell.config.training.epochs * _recordings(cell.config.dataset.uri, config.cost.recordings)
                for cell in left
            ),
            config.pretrain.model,
            config.pretrain.training,
            table.rates.pretrain,
            table,
            _measured([cell for cell in made.values() if not cell.untrained]) or config.cost.pretrain_rate,
        ),
        training(
            "fine-tuning, at most",
            sum(_windows_at_most(config, cell) for cell in open_answers),
            config.pretrain.model,
            config.finetune.training,
            table.rates.finetune,
            table,
            config.cost.finetune_rate,
        ),
    ]
    facts |= in_worker_hours(works, config.cost, table)
    for work, cells_left in zip(works, (left, open_answers), strict=True):
        if not work.samples:
            unknown = "how much is not known before it is prepared: give cost.recordings, cost.target_recordings"
            facts[work.what] = unknown if cells_left else "0 recordings in all epochs"
    return facts


def of_search(config: SearchConfig, costs: CostTable | None = None) -> dict[str, Any]:
    """Trials, done and to do, and hours and money at most: of a search in which nothing is pruned."""
    check(config)
    records = read_records(run.run_uri(config))
    ended = sum(record.ended for record in records)
    facts: dict[str, Any] = {
        "search": run.run_uri(config),
        "trials": f"{config.trials:,}, {ended:,} of them ended",
        "varied": {key: _space_of(parameter) for key, parameter in config.space.items()},
        "pruning": config.pruning.by,
        "then": config.then,
    }
    recordings = _recordings(config.pretrain.dataset.uri, config.cost.recordings)
    samples = max(config.trials - ended, 0) * config.pretrain.training.epochs * recordings
    table, shared = costs or load_costs(), config.pretrain
    rates, rate = table.rates.pretrain, config.cost.pretrain_rate
    work = training("pretraining, at most", samples, shared.model, shared.training, rates, table, rate)
    facts |= in_worker_hours([work], config.cost, table)
    if not recordings:
        facts[work.what] = "how much is not known before it is prepared: give cost.recordings"
    return facts


def _space_of(parameter: Parameter) -> str:
    if isinstance(parameter, Choices):
        return ", ".join(map(str, parameter.choices))
    return f"{parameter.low:g} to {parameter.high:g}" + (", logarithmic" if parameter.log else "")


def _recordings(uri: str, stated: int | None) -> int:
    """Training recordings at `uri`: those there are, or those stated. 0 while neither is known."""
    if storage.exists(storage.join(uri, "manifest.json")):
        return PreparedDataset.open(uri).rows("train")
    return stated or 0


def _windows_at_most(config: CompareConfig, cell: AnswerCell) -> int:
    """Windows of all epochs of a trained answer, if it does not stop early."""
    rows = _recordings(cell.config.prepared, config.cost.target_recordings)
    return int(cell.config.label_fraction * rows) * cell.config.training.epochs


def _measured(made: list[EncoderCell]) -> float | None:
    """Recordings a second of one worker, over the runs that are there."""
    summaries = [run.summary_of(cell.uri) or {} for cell in made]
    seconds = sum(one["seconds"] * cell.config.training.most for one, cell in zip(summaries, made, strict=True))
    return sum(one["samples_seen"] for one in summaries) / seconds if seconds else None
