"""Gathers what the report of a fine-tuning run shows, and writes it."""

from __future__ import annotations

from collections.abc import Sequence
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
        names=_names(data.task.classes),
        recordings=summary["test"]["recordings"],
        segments=summary["test"]["segments"],
        mistakes=_mistakes(data, scores),
    )
    storage.write_text(storage.join(uri, "report.html"), render_finetune_report(content))


def _names(classes: Sequence[str]) -> list[str]:
    """What people call each class; itself where another class, of a task of one's own, is called so."""
    called = [class_name(name) for name in classes]
    return [short if called.count(short) == 1 else name for short, name in zip(called, classes, strict=True)]


def class_name(name: str) -> str:
    """A class as people call it: of scored SNOMED CT codes their abbreviation."""
    return ABBREVIATIONS.get(name, name)


def _notes(summary: dict[str, Any]) -> list[str]:
    """What a reader of the figures must know."""
    overlap, learned = summary["overlap"], summary["overlap_with_training"]
    if isinstance(overlap, str):
        notes = [f"Overlap of the test part with pretraining: {overlap}."]
    else:
        notes = [_seen("pretraining", overlap)]
    if learned is not None:
        notes.append(_seen("training, which is of another dataset,", learned))
    never = summary["not_in_training"]
    if never:
        names = ", ".join(map(class_name, never))
        notes.append(f"Nothing was learned of classes that have not both outcomes in training: {names}.")
    return notes


def _seen(where: str, overlap: dict[str, Any]) -> str:
    """What was found of the test part in `where`."""
    together = overlap.get("patients_checked", True)
    if overlap["found"]:
        said = (
            f"{overlap['found']} of the {overlap['test_rows']} test windows or their patients were seen in {where} "
            f"({overlap['by_record']} by record id, {overlap['by_patient']} by patient, {overlap['by_content']} by the "
            "signal itself): the figures may be too good."
        )
    else:
        said = f"None of the test recordings{' or their patients' if together else ''} was seen in {where}."
    if together:
        return said
    return (
        f"{said} Patients could not be looked for: they are not called alike there (pseudonyms of two keys, or of one "
        "of the two only)."
    )


def _mistakes(data: Labelled, scores: NDArray[np.float64]) -> list[Mistake]:
    """The test windows farthest from a label, one a recording; classes with one outcome, in test or in training, are
    not judged: of those nothing was learned."""
    of = data.split.test
    y, means = data.y[of], scores.mean(axis=1)
    judged = both_outcomes(y) & both_outcomes(data.y[data.split.train])
    wrong = np.where(judged, np.abs(means - y), -1.0)
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
