"""The table of a comparison: from the predictions of its cells to Markdown, CSV, a summary and a report."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray
from rich.console import Console

from physioclr import storage
from physioclr.comparison import CompareConfig
from physioclr.evaluation.comparison import MEAN, Compared, Key, Outcomes
from physioclr.evaluation.comparison import compare as compare_scores
from physioclr.evaluation.metrics import record_mean
from physioclr.evaluation.summary import without_nan
from physioclr.pipeline import run
from physioclr.pipeline.compare_cells import AnswerCell
from physioclr.pipeline.compare_signs import courses_of, signs_csv
from physioclr.pipeline.dataset import read_table
from physioclr.report.comparison import TargetTable, markdown, render_comparison

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Predicted:
    """Test recordings of a cell: names, patients, outcomes [n, C] and mean scores [n, C], sorted by name."""

    names: list[str]
    patients: list[str]
    y: NDArray[np.bool_]
    scores: Floats


def write_result(
    config: CompareConfig, uri: str, done: Sequence[AnswerCell], failed: list[tuple[str, str]], console: Console
) -> dict[str, Any]:
    """Judge the cells that are done and write everything into the comparison's folder; returns the summary."""
    tables = []
    for target in config.targets:
        own = [cell for cell in done if cell.target == target]
        if own:
            console.print(f"Judging {len(own)} answers on {target}", highlight=False)
            tables.append(_table(config, target, own))
    text = markdown(tables, config.reference)
    storage.write_text(storage.join(uri, "table.md"), text)
    storage.write_text(storage.join(uri, "table.csv"), _csv(tables))
    courses = courses_of(done)
    storage.write_text(storage.join(uri, "signs.csv"), signs_csv(courses))
    page = render_comparison(config.name, config.model_dump(mode="json"), tables, config.reference, failed, courses)
    storage.write_text(storage.join(uri, "report.html"), page)
    summary: dict[str, Any] = {
        "comparison": config.name,
        "uri": uri,
        "reference": config.reference,
        "seeds": list(config.seeds),
        "answers": len(done),
        "failed": [{"cell": cell, "reason": reason} for cell, reason in failed],
        "targets": {table.name: _plain(table) for table in tables},
        "table": storage.join(uri, "table.md"),
        "csv": storage.join(uri, "table.csv"),
        "signs": storage.join(uri, "signs.csv"),
        "report": storage.join(uri, "report.html"),
    }
    plain: dict[str, Any] = without_nan(summary)
    run.write_summary(uri, plain)
    return plain


def headline(summary: dict[str, Any], console: Console) -> dict[str, Any]:
    """The table, printed, and the part of the summary that fits a glance."""
    console.print(storage.read_text(summary["table"]), highlight=False, markup=False, soft_wrap=True)
    facts = {key: summary[key] for key in ("comparison", "answers")}
    facts |= {f"failed: {one['cell']}": one["reason"] for one in summary["failed"]}
    return facts | {key: summary[key] for key in ("table", "csv", "report")}


def _table(config: CompareConfig, target: str, done: Sequence[AnswerCell]) -> TargetTable:
    predicted = {cell.uri: _predicted(cell) for cell in done}
    everyone: dict[str, str] = {}  # recordings of all tasks, and whose they are
    for one in predicted.values():
        everyone |= dict(zip(one.names, one.patients, strict=True))
    names = sorted(everyone)
    place = {name: at for at, name in enumerate(names)}
    columns: dict[str, Outcomes] = {}
    scores: dict[Key, list[Floats]] = {}
    for cell in done:
        one = predicted[cell.uri]
        rows = np.array([place[name] for name in one.names])
        columns.setdefault(cell.column, Outcomes(one.y, rows))
        if not np.array_equal(columns[cell.column].rows, rows):
            raise AssertionError(f"{cell.config.name} was tested on other recordings than its column")
        scores.setdefault((cell.row, cell.column), []).append(one.scores)
    wanted = {f"{task} {100 * fraction:g} %" for task in config.targets[target].tasks for fraction in config.fractions}
    columns = {name: columns[name] for name in columns if name in wanted}
    found = compare_scores(
        columns, scores, [everyone[name] for name in names], config.reference, resamples=config.resamples
    )
    rows_ = list(dict.fromkeys(cell.row for cell in done))
    sizes = {cell.column: run.summary_of(cell.uri)["data"] for cell in done}  # type: ignore[index]
    return TargetTable(target, rows_, [*columns, *([MEAN] if len(columns) > 1 else [])], found, sizes)


def _predicted(cell: AnswerCell) -> Predicted:
    table = read_table(storage.join(cell.uri, "predictions.parquet"))
    table = table.filter(pc.equal(table["split"], "test"))
    named = zip(table["dataset"].to_pylist(), table["record_id"].to_pylist(), strict=True)
    name = np.array([f"{dataset}/{record}" for dataset, record in named])
    unique, record = np.unique(name, return_inverse=True)
    classes = [column.removeprefix("true_") for column in table.column_names if column.startswith("true_")]
    values = np.stack([table[f"score_{each}"].to_numpy() for each in classes], axis=1)
    first, means = record_mean(values, record)
    y = np.stack([table[f"true_{each}"].to_numpy(zero_copy_only=False) for each in classes], axis=1)[first]
    order = np.argsort(name[first])
    patients = np.array(table["patient_id"].to_pylist())[first][order]
    return Predicted(unique.tolist(), patients.tolist(), y[order], means[order])


def _csv(tables: Sequence[TargetTable]) -> str:
    """A row a method, column and metric."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ("target", "method", "column", "metric", "estimate", "low", "high", "difference", "low", "high", "by seed")
    )
    for table in tables:
        for (method, column), cell in table.cells.items():
            for metric, figure in cell.figures.items():
                gap = cell.difference.get(metric)
                writer.writerow(
                    (
                        *(table.name, method, column, metric, figure.estimate, figure.low, figure.high),
                        *((gap.estimate, gap.low, gap.high) if gap else ("", "", "")),
                        " ".join(f"{value:.4f}" for value in cell.by_seed.get(metric, ())),
                    )
                )
    return out.getvalue()


def _plain(table: TargetTable) -> dict[str, Any]:
    return {
        "data": table.sizes,
        "cells": [
            {"method": method, "column": column, **_cell(cell)} for (method, column), cell in table.cells.items()
        ],
    }


def _cell(cell: Compared) -> dict[str, Any]:
    return asdict(cell)
