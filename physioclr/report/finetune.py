"""The fine-tuning report: figures, curves and the recordings it is most wrong about, of patients only record ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physioclr.ecg.record import FS
from physioclr.report import curves, ecg_paper, outcomes
from physioclr.report.figure import look, picture
from physioclr.report.page import Section, Table, render_page

PANELS = (
    curves.Panel("Loss, weighted cross-entropy", (("loss", "segments"),)),
    curves.Panel("Macro-AUROC of validation", (("validation_auroc", "recordings"),)),
    curves.Panel("Norm of the gradient", (("gradient_norm", "mean of the steps"),), log=True),
)
METRICS = (
    ("auroc", "AUROC"),
    ("auprc", "AUPRC"),
    ("f_max", "F-max"),
    ("sensitivity_at_95_specificity", "sensitivity at 95 % specificity"),
    ("brier", "Brier score"),
)
OVERALL = {"f_max_samples": "F-max over recordings", "challenge_score": "Challenge score"}


@dataclass(frozen=True, slots=True)
class Mistake:
    """A recording whose score is far from the truth: `signal` [12, T] in `unit`."""

    record_id: str
    name: str
    is_there: bool
    score: float
    signal: NDArray[np.float64]
    unit: str


@dataclass(frozen=True, slots=True)
class FinetuneReport:
    """Everything the report shows.

    `y` bool and `scores` [n, C] are the test recordings', `names` [C] the classes as they are shown. `recordings` and
    `segments` are `Summary.as_dict()` of the test part, whose classes are `classes` [C]. `notes` are sentences.
    """

    name: str
    config: Mapping[str, Any]
    summary: Table
    notes: Sequence[str]
    metrics: Sequence[Mapping[str, Any]]
    y: NDArray[np.bool_]
    scores: NDArray[np.float64]
    classes: Sequence[str]
    names: Sequence[str]
    recordings: Mapping[str, Any]
    segments: Mapping[str, Any]
    mistakes: Sequence[Mistake]


def render_finetune_report(content: FinetuneReport) -> str:
    """The report as one HTML document."""
    with look():
        sections = [
            _notes(content),
            _classes(content),
            _overall(content),
            *_pictures(content),
            _training(content),
            _mistakes(content),
        ]
    kind = "PhysioCLR fine-tuning report"
    return render_page(content.name, kind, content.config, content.summary, [one for one in sections if one])


def _notes(content: FinetuneReport) -> Section | None:
    return Section("To be known", " ".join(content.notes), None) if content.notes else None


def _classes(content: FinetuneReport) -> Section:
    """A row a class with both outcomes: figures of test recordings, and the AUROC of segments beside."""
    judged, positives = content.recordings, content.recordings["positives"]
    there = [(key, title) for key, title in METRICS if key in judged["per_class"]]
    rows: list[tuple[object, ...]] = [
        (
            name,
            positives[key],
            *(_shown(judged["per_class"][metric][key]) for metric, _ in there),
            _shown(content.segments["per_class"]["auroc"][key]),
        )
        for key, name in zip(content.classes, content.names, strict=True)
        if key not in judged["skipped"]
    ]
    macro = [_shown(judged["macro"][metric]) for metric, _ in there]
    rows.append(("mean", None, *macro, _shown(content.segments["macro"]["auroc"])))
    about = (
        f"{judged['rows']:,} test recordings of {judged['patients']:,} patients; a recording's score is the mean over "
        "its segments. In brackets: 95 % intervals over patients."
    )
    named = dict(zip(content.classes, content.names, strict=True))
    if judged["skipped"]:
        skipped = ", ".join(f"{named[key]} ({positives[key]:,})" for key in judged["skipped"])
        about += f" Not judged, as the test recordings have not both outcomes: {skipped}."
    columns = ("class", "recordings", *(title for _, title in there), "AUROC of segments")
    return Section("Classes", about, None, table=Table(columns, tuple(rows)))


def _overall(content: FinetuneReport) -> Section | None:
    rows = tuple(
        (OVERALL.get(key, key), _shown(figure), _shown(content.segments["overall"].get(key)))
        for key, figure in content.recordings["overall"].items()
    )
    return Section("Over all classes", "", None, table=Table(("", "recordings", "segments"), rows)) if rows else None


def _shown(figure: Mapping[str, Any] | None) -> str | None:
    if figure is None or figure["estimate"] is None:
        return None
    # Spaces inside the brackets that do not break: a cell has its estimate in one line and its interval in the next.
    ends = f" ({figure['low']:.3f}\u00a0to\u00a0{figure['high']:.3f})" if figure["low"] is not None else ""
    return f"{figure['estimate']:.3f}{ends}"


def _pictures(content: FinetuneReport) -> list[Section]:
    few = (
        ""
        if content.recordings["counted"] <= outcomes.PANELS
        else f" The {outcomes.PANELS} commonest classes are drawn."
    )
    sections = []
    for title, about, draw in (
        ("ROC curves", "Dotted: chance. In brackets: recordings that have the class.", outcomes.draw_roc),
        ("Precision and recall", "Dotted: the share of recordings with the class.", outcomes.draw_precision_recall),
        ("Calibration", "Ten bins of equal count. On the dotted line scores are shares.", outcomes.draw_calibration),
    ):
        figure = draw(content.y, content.scores, content.names)
        if figure is None:
            missing = "Nothing is drawn: no class has both outcomes in the test part."
            sections.append(Section(title, "", None, missing))
        else:
            sections.append(Section(title, about + few, picture(figure, f"{title} of test recordings, by class")))
    return sections


def _training(content: FinetuneReport) -> Section:
    figure = curves.draw_curves(content.metrics, PANELS)
    if figure is None:
        return Section("Training", "", None, "No curves: a probe is fitted in one piece.")
    about = "One point an epoch. Dashed: validation."
    return Section("Training", about, picture(figure, "Training curves over epochs"))


def _mistakes(content: FinetuneReport) -> Section:
    title = "Most wrong about"
    if not content.mistakes:
        return Section(title, "", None, "Nothing is drawn: no class has both outcomes in the test part.")
    pictures = []
    for one in content.mistakes:
        label = "is labelled" if one.is_there else "is not labelled"
        says = f"{one.record_id}: {one.name} {label}, score {one.score:.3f}"
        figure = ecg_paper.draw_ecg(one.signal, fs=FS, unit=one.unit, title=says)
        pictures.append(picture(figure, f"12-lead ECG on paper; {says}"))
    about = "Test recordings whose score is farthest from their label, in the 10 s that say so most. Look who is right."
    return Section(title, about, pictures)
