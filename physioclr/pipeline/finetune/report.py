"""Gathers what the report of a fine-tuning run shows, and writes it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from physioclr import storage
from physioclr.downstream import FinetuneConfig
from physioclr.ecg.record import WINDOW_SAMPLES
from physioclr.ecg.snomed import SCORED_CLASSES
from physioclr.evaluation.metrics import both_outcomes
from physioclr.pipeline.finetune.labelled import Labelled
from physioclr.pipeline.finetune.result import units
from physioclr.pipeline.training.metrics_log import read_metrics
from physioclr.report.finetune import FinetuneReport, Mistake, render_finetune_report
from physioclr.report.page import Table

MISTAKES = 4
ABBREVIATIONS = {scored.codes[0]: scored.abbreviation for scored in SCORED_CLASSES}


def write_report(
    config: FinetuneConfig,
    uri: str,
    data: Labelled,
    scores: NDArray[np.float64],
    summary: dict[str, Any],
    headline: dict[str, Any],
) -> None:
    """Write `report.html` below `uri`; `scores` [n, 2, C] are the test windows', `headline` the first table."""
    y, means, _ = units(data, data.split.test, scores)["recordings"]
    content = FinetuneReport(
        name=config.name,
        config=config.model_dump(mode="json"),
        summary=Table(("", ""), tuple(headline.items())),
        notes=_notes(summary),
        metrics=read_metrics(uri),
        y=y,
        scores=means,
        classes=data.task.classes,
        names=[class_name(name) for name in data.task.classes],
        recordings=summary["test"]["recordings"],
        segments=summary["test"]["segments"],
        mistakes=_mistakes(data, scores),
    )
    storage.write_text(storage.join(uri, "report.html"), render_finetune_report(content))


def class_name(name: str) -> str:
    """A class as people call it: of scored SNOMED CT codes their abbreviation."""
    return ABBREVIATIONS.get(name, name)


def _notes(summary: dict[str, Any]) -> list[str]:
    """What a reader of the figures must know."""
    notes, overlap = [], summary["overlap"]
    if isinstance(overlap, str):
        notes.append(f"Overlap of the test part with pretraining: {overlap}.")
    elif overlap["found"]:
        notes.append(
            f"Pretraining has seen {overlap['found']} of the {overlap['test_rows']} test windows or their patients "
            f"({overlap['by_record']} by record id, {overlap['by_patient']} by patient, {overlap['by_content']} by the "
            "signal itself): the figures may be too good."
        )
    else:
        notes.append("None of the test recordings or their patients was seen in pretraining.")
    if not isinstance(overlap, str) and not overlap.get("patients_checked", True):
        notes.append(
            "Patients of the test part and of pretraining are not called alike (pseudonyms of two keys, or of one of "
            "the two only): recordings and signals alone were compared."
        )
    learned = summary["overlap_with_training"]
    if learned is not None and learned["found"]:
        notes.append(
            f"{learned['found']} of the {learned['test_rows']} test windows or their patients are in the training part "
            "too, which is of another dataset: the figures may be too good."
        )
    never = summary["not_in_training"]
    if never:
        names = ", ".join(map(class_name, never))
        notes.append(f"Nothing was learned of classes that have not both outcomes in training: {names}.")
    return notes


def _mistakes(data: Labelled, scores: NDArray[np.float64]) -> list[Mistake]:
    """The test windows farthest from a label, one a recording; classes with one outcome are not judged."""
    of = data.split.test
    y, means = data.y[of], scores.mean(axis=1)
    wrong = np.where(both_outcomes(y), np.abs(means - y), -1.0)
    column = wrong.argmax(axis=1)
    order = np.argsort(-wrong.max(axis=1), kind="stable")
    _, first = np.unique(data.record(of)[order], return_index=True)
    chosen = [int(place) for place in order[np.sort(first)] if wrong[place].max() >= 0][:MISTAKES]
    if not chosen:
        return []
    rows = data.selection(of[np.sort(chosen)]).take(np.argsort(np.argsort(chosen)), ("record_id", "unit", "signal"))
    return [
        Mistake(
            record_id=row["record_id"],
            name=class_name(data.task.classes[column[place]]),
            is_there=bool(y[place, column[place]]),
            score=float(means[place, column[place]]),
            signal=_drawn(row),
            unit=row["unit"],
        )
        for place, row in zip(chosen, rows.to_pylist(), strict=True)
    ]


def _drawn(row: dict[str, Any]) -> NDArray[np.float64]:
    """The window in mV, or by lead in standard deviations where its publisher has normalised it."""
    signal = np.frombuffer(row["signal"], dtype="<i2").reshape(-1, WINDOW_SAMPLES) / 1000.0
    if row["unit"] == "mV":
        return signal
    return np.asarray((signal - signal.mean(axis=1, keepdims=True)) / signal.std(axis=1, keepdims=True))
