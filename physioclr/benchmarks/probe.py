"""Is the encoder any good? Linear probes of it, of the same encoder untrained, and of the 150 features.

The probe is fitted on the training patients, its penalty chosen on the validation patients, and judged on the test
patients; pretraining saw the training patients only. Intervals are over test patients.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from physioclr.benchmarks.config import ProbeBenchmark
from physioclr.encoder import load_encoder
from physioclr.errors import DatasetError
from physioclr.evaluation.bootstrap import macro_auroc_interval, paired_difference
from physioclr.evaluation.probe import fit_probe
from physioclr.evaluation.tasks import get_task, label_matrix
from physioclr.method.encoder import Encoder
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.embed.in_process import Embedded, embed_split

SPLITS = ("train", "validation", "test")
TRAINED, UNTRAINED, FEATURES = "PhysioCLR encoder", "untrained encoder", "150 features"


def probe_benchmark(config: ProbeBenchmark, console: Console) -> dict[str, Any]:
    """Print the table and return its figures. Raises `DatasetError` where a task has nothing to be judged on."""
    dataset = PreparedDataset.open(config.prepared)
    trained = load_encoder(config.encoder, device="cpu")
    torch.manual_seed(config.seed)
    untrained = Encoder(trained.model)
    seen = {split: embed_split(dataset, split, trained.network) for split in SPLITS}
    blank = {split: embed_split(dataset, split, untrained) for split in SPLITS}
    inputs = {
        TRAINED: {split: seen[split].embeddings.mean(axis=1) for split in SPLITS},
        UNTRAINED: {split: blank[split].embeddings.mean(axis=1) for split in SPLITS},
        FEATURES: {split: _mean_of_halves(seen[split].features) for split in SPLITS},
    }
    figures: dict[str, Any] = {}
    for name in config.tasks:
        figures[name] = _task(name, inputs, seen, config)
        console.print(_table(name, figures[name]))
    return figures


def _mean_of_halves(features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Features [n, 2, 150] of a recording: the mean of both halves, or the one that is there; NaN if neither is."""
    there = ~np.isnan(features)
    total = np.where(there, features, 0.0).sum(axis=1, dtype=np.float64)
    count = there.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _task(
    name: str, inputs: dict[str, dict[str, NDArray[Any]]], seen: dict[str, Embedded], config: ProbeBenchmark
) -> dict[str, Any]:
    task = get_task(name)
    outcomes = {split: label_matrix(task, seen[split].labels, seen[split].statements) for split in SPLITS}
    y = {split: outcomes[split][0][outcomes[split][1]] for split in SPLITS}
    if any(not len(y[split]) for split in SPLITS):
        raise DatasetError(f"{config.prepared} has no labels of task {name!r} in every split; choose another task.")
    patients = np.array(seen["test"].patient)[outcomes["test"][1]]
    scores = {}
    for method, by_split in inputs.items():
        x = {split: by_split[split][outcomes[split][1]] for split in SPLITS}
        probe = fit_probe(x["train"], y["train"], x["validation"], y["validation"])
        scores[method] = probe.scores(x["test"])
    options = {"seed": config.seed, "resamples": config.resamples}
    judged = {method: macro_auroc_interval(y["test"], one, patients, **options) for method, one in scores.items()}
    ahead = {
        method: paired_difference(y["test"], scores[TRAINED], scores[method], patients, **options)
        for method in (UNTRAINED, FEATURES)
    }
    return {
        "recordings": {split: len(y[split]) for split in SPLITS},
        "test_patients": len(set(patients.tolist())),
        "test_positives": {label: int(count) for label, count in zip(task.classes, y["test"].sum(axis=0), strict=True)},
        "auroc": {method: _numbers(interval) for method, interval in judged.items()},
        "encoder_minus": {method: _numbers(interval) for method, interval in ahead.items()},
    }


def _numbers(interval: Any) -> dict[str, float]:
    return {name: round(getattr(interval, name), 4) for name in ("estimate", "low", "high")}


def _table(name: str, figures: dict[str, Any]) -> Table:
    sizes = figures["recordings"]
    title = (
        f"{name}: macro-AUROC on {sizes['test']} recordings of {figures['test_patients']} patients "
        f"(probe fitted on {sizes['train']}, penalty chosen on {sizes['validation']})"
    )
    table = Table(title=title, title_justify="left")
    for column in ("linear probe of", "AUROC", "95 % interval", "encoder ahead by", "95 % interval"):
        table.add_column(column)
    for method, auroc in figures["auroc"].items():
        ahead = figures["encoder_minus"].get(method)
        table.add_row(method, *_cells(auroc), *(_cells(ahead) if ahead else ("", "")))
    return table


def _cells(numbers: dict[str, float]) -> tuple[str, str]:
    return f"{numbers['estimate']:.3f}", f"{numbers['low']:.3f} to {numbers['high']:.3f}"
