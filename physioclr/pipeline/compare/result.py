"""The table of a comparison: from the predictions of its cells to Markdown, CSV, a summary and a report."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console

from physioclr import storage
from physioclr.comparison import CompareConfig
from physioclr.evaluation.comparison import MEAN
from physioclr.evaluation.metrics import both_outcomes
from physioclr.evaluation.summary import without_nan
from physioclr.pipeline import run
from physioclr.pipeline.compare.cells import AnswerCell
from physioclr.pipeline.compare.judge import Predicted, judge, prediction_file, read_predicted
from physioclr.pipeline.compare.noise_result import noise_csv, noise_tables
from physioclr.pipeline.compare.signs import courses_of, signs_csv
from physioclr.pipeline.finetune.job import NOT_CHECKED
from physioclr.pipeline.finetune.report import class_name
from physioclr.report.comparison import markdown, render_comparison
from physioclr.report.noise import NoiseTable, noise_markdown
from physioclr.report.target import TargetTable


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
    if config.noise is not None:
        console.print("Judging them under noise", highlight=False)
    noisy = noise_tables(config, done)
    text = markdown(tables, config.reference) + noise_markdown(noisy, config.reference)
    storage.write_text(storage.join(uri, "table.md"), text)
    storage.write_text(storage.join(uri, "table.csv"), _csv(tables))
    courses = courses_of(done)
    storage.write_text(storage.join(uri, "signs.csv"), signs_csv(courses))
    if noisy:
        storage.write_text(storage.join(uri, "noise.csv"), noise_csv(noisy))
    else:  # of a time when there was noise
        storage.remove(storage.join(uri, "noise.csv"))
    dumped = config.model_dump(mode="json")
    page = render_comparison(config.name, dumped, tables, config.reference, failed, courses, noisy)
    storage.write_text(storage.join(uri, "report.html"), page)
    summary: dict[str, Any] = {
        "comparison": config.name,
        "uri": uri,
        "reference": config.reference,
        "seeds": list(config.seeds),
        "answers": len(done),
        "failed": [{"cell": cell, "reason": reason} for cell, reason in failed],
        "targets": {table.name: _plain(table) for table in tables},
        **({"noise": [_plain_noise(each) for each in noisy]} if noisy else {}),
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
    scored = [((cell.row, cell.column), cell.seed, read_predicted(prediction_file(cell))) for cell in done]
    wanted = {f"{task} {100 * fraction:g} %" for task in config.targets[target].tasks for fraction in config.fractions}
    columns, found = judge(scored, wanted, config.reference, config.resamples)
    rows = list(dict.fromkeys(cell.row for cell in done))
    summaries = [run.summary_of(cell.uri) or {} for cell in done]
    sizes = {cell.column: summary["data"] for cell, summary in zip(done, summaries, strict=True)}
    shown = [*columns, *([MEAN] if len(columns) > 1 else [])]
    judged = {column: one for (_, column), _, one in scored if column in wanted}
    notes = [*classes_judged(judged), *never_learned(done, summaries), *overlaps(done, summaries)]
    return TargetTable(target, rows, shown, found, sizes, notes)


def classes_judged(by_column: Mapping[str, Predicted]) -> list[str]:
    """A sentence on the classes that the means are over, with the columns of which it is true."""
    said: dict[str, list[str]] = {}
    for column, one in by_column.items():
        there = both_outcomes(one.y)
        left_out = ", ".join(class_name(name) for name, judged in zip(one.classes, there, strict=True) if not judged)
        without = f", without {left_out}, of which the test recordings have not both outcomes" if left_out else ""
        if len(one.classes) > 1:
            said.setdefault(f"Means over {there.sum()} of {len(one.classes)} classes{without}", []).append(column)
    return _with_their_cells(said)


def never_learned(done: Sequence[AnswerCell], summaries: Sequence[dict[str, Any]]) -> list[str]:
    """A sentence for each set of classes that training rows have not both outcomes of, with its columns and seeds."""
    said: dict[str, list[str]] = {}
    for cell, summary in zip(done, summaries, strict=True):
        if summary.get("not_in_training"):
            names = ", ".join(map(class_name, summary["not_in_training"]))
            sentence = f"Nothing was learned of {names}, of which the training recordings have not both outcomes"
            said.setdefault(sentence, []).append(f"{cell.column} with seed {cell.seed}")
    return _with_their_cells(said)


def _with_their_cells(said: Mapping[str, Sequence[str]]) -> list[str]:
    return [f"{sentence}: {', '.join(dict.fromkeys(cells))}." for sentence, cells in said.items()]


def overlaps(done: Sequence[AnswerCell], summaries: Sequence[dict[str, Any]]) -> list[str]:
    """A sentence for each way in which test recordings were seen before, with the answers of which it is true."""
    said: dict[str, list[str]] = {}
    for cell, summary in zip(done, summaries, strict=True):
        for who, key in (("Pretraining", "overlap"), ("Training", "overlap_with_training")):
            overlap = summary.get(key)
            where = f"{cell.row} on {cell.column}"
            if isinstance(overlap, dict) and overlap["found"]:
                seen = f"{who} has seen {overlap['found']} of the {overlap['test_rows']} test windows or their patients"
                said.setdefault(seen, []).append(where)
            elif overlap == NOT_CHECKED:
                said.setdefault(f"Overlap with {who.lower()} was {overlap}", []).append(where)
            if isinstance(overlap, dict) and not overlap.get("patients_checked", True):
                alone = f"Only recordings and signals were looked for in {who.lower()}: patients are not called alike"
                said.setdefault(alone, []).append(where)
    return _with_their_cells(said)


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
    return {"data": table.sizes, "notes": list(table.notes), "cells": _cells(table)}


def _plain_noise(table: NoiseTable) -> dict[str, Any]:
    return {"target": table.target, "column": table.column, "kind": table.kind, "cells": _cells(table.table)}


def _cells(table: TargetTable) -> list[dict[str, Any]]:
    return [{"method": method, "column": column, **asdict(cell)} for (method, column), cell in table.cells.items()]
