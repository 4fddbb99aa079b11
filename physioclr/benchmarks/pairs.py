"""Which lead, which rule for missing values, how many components and which delta: by how well pairs share labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from rich.console import Console
from rich.table import Table

from physioclr import storage
from physioclr.benchmarks.config import PairsBenchmark
from physioclr.benchmarks.recordings import Measured, Recordings, measure_once, number, read_recordings
from physioclr.config import FeatureConfig
from physioclr.ecg.leads import LEADS
from physioclr.errors import ConfigError
from physioclr.evaluation.pair_choice import RHYTHM, RHYTHMS, Judged, LabelledSegments, LabelSet, cross_validate
from physioclr.evaluation.pair_similarity import mean_known
from physioclr.evaluation.tasks import choose_task, label_matrix
from physioclr.features.lead import PRINCIPAL
from physioclr.pipeline.progress import Meter
from physioclr.report.benchmarks import draw_pairs, png

Row = dict[str, Any]
Labels = dict[str, LabelSet]


@dataclass(frozen=True)
class Setting:
    """One way to make pairs."""

    engine: Literal["batched", "neurokit"]
    lead: str
    rule: str
    components: int | None
    clip: float


def pairs_benchmark(config: PairsBenchmark, console: Console) -> dict[str, Any]:
    """Print the tables and return their figures. Raises `ConfigError` for an unknown lead, or data without labels."""
    for lead in (*config.leads, *config.neurokit_leads):
        parts_of(lead)
    recordings = read_recordings(config, console)
    labels, rhythms = label_sets(recordings)
    study = _Study(config, recordings, console)
    tables: dict[str, list[Row]] = {}
    for what, settings in _settings(config).items():
        with Meter(f"By {what}", len(settings), "settings", console) as meter:
            tables[what] = []
            for name, setting in settings:
                tables[what].append(_row(name, study.judge(setting, labels, [config.delta])))
                meter.advance(1)
        console.print(_table(f"By {what}, delta {config.delta:g}", tables[what], list(labels)))
    base = _base(config)
    deltas = _delta_rows(config.deltas, study.judge(base, labels, config.deltas))
    console.print(_delta_table(f"By delta: {base.engine}, {base.lead}", deltas, list(labels)))
    tables["rhythm"] = [_row("all", study.judge(base, rhythms, [config.delta]))]
    console.print(_rhythm_table(f"Each rhythm, delta {config.delta:g}", tables["rhythm"][0], list(rhythms)))
    if config.picture is not None:
        storage.write_bytes(config.picture, png(draw_pairs(tables["lead"], deltas, list(labels))))
    patients = len({ref.patient_id for ref in recordings.refs})
    positives = {name: int(each.y.any(axis=1).sum()) // 2 for name, each in (labels | rhythms).items()}
    facts = {"recordings": len(recordings.refs), "patients": patients, "folds": config.folds, "labelled": positives}
    return {**facts, "tables": tables, "deltas": deltas}


def parts_of(lead: str) -> tuple[list[str], bool]:
    """The leads of `II`, `II+V5` (side by side) or `mean(II+V5)`, and whether their features are averaged."""
    averaged = re.fullmatch(r"mean\((.*)\)", lead)
    parts = (averaged[1] if averaged else lead).split("+")
    unknown = [part for part in parts if part not in (*LEADS, PRINCIPAL)]
    if unknown:
        raise ConfigError(
            f"{unknown[0]!r} in lead {lead!r} is none of {', '.join(LEADS)} and pca; write II, II+V5 or mean(II+V5)."
        )
    return parts, averaged is not None


def label_sets(recordings: Recordings) -> tuple[Labels, Labels]:
    """Labels of the halves, two a recording: those that pairs are judged by, and each rhythm alone.

    Raises `ConfigError` where no recording has a label.
    """
    codes = [ref.labels for ref in recordings.refs], [ref.statements for ref in recordings.refs]
    task = choose_task("auto", *codes)
    if task is None:
        raise ConfigError("None of the recordings has a superclass or a scored label; give data with labels.")
    y = np.repeat(label_matrix(task, *codes)[0], 2, axis=0)
    rhythms, labelled = label_matrix(RHYTHM, *codes)
    rhythm, known = np.repeat(rhythms, 2, axis=0), np.repeat(labelled, 2)
    alone = {name: LabelSet(rhythm[:, k : k + 1], known, by_class=True) for k, name in enumerate(RHYTHMS)}
    labels = {
        task.name: LabelSet(y, np.asarray(y.any(axis=1)), by_class=False),
        "AFIB": alone["AFIB"],
        "rhythm": LabelSet(rhythm, known, by_class=True),
    }
    return labels, alone


def _base(config: PairsBenchmark) -> Setting:
    features = config.features
    return Setting("batched", features.lead, features.missing, features.components, features.clip)


def _settings(config: PairsBenchmark) -> dict[str, list[tuple[str, Setting]]]:
    """What is tried, one thing changed at a time."""
    base = _base(config)
    return {
        "lead": [(lead, replace(base, lead=lead)) for lead in config.leads],
        "lead with neurokit": [(lead, replace(base, lead=lead, engine="neurokit")) for lead in config.neurokit_leads],
        "missing values": [
            (rule, replace(base, rule=rule, components=None if rule == "pairwise" else base.components))
            for rule in config.rules
        ],
        "components": [("all" if k is None else str(k), replace(base, components=k)) for k in config.components],
        "clip": [(f"{clip:g}", replace(base, clip=clip)) for clip in config.clips],
    }


class _Study:
    """The recordings, and what the engines measured on them so far."""

    def __init__(self, config: PairsBenchmark, recordings: Recordings, console: Console) -> None:
        self._config, self._recordings, self._console = config, recordings, console
        names = [ref.patient_id for ref in recordings.refs]
        self._patient = np.repeat(np.unique(names, return_inverse=True)[1], 2)
        self._recording = np.repeat(np.arange(len(names)), 2)
        self._measured: dict[tuple[str, str], Measured] = {}

    def judge(self, setting: Setting, labels: Labels, deltas: Sequence[float]) -> list[Judged]:
        """Every fold's result."""
        leads, averaged = parts_of(setting.lead)
        parts = [self._measure(setting.engine, lead) for lead in leads]
        features = [np.where(part.usable[:, None], part.features, np.nan) for part in parts]
        joined = mean_known(features) if averaged else np.concatenate(features, axis=1)
        usable = np.any([part.usable for part in parts], axis=0)
        return cross_validate(
            LabelledSegments(joined, usable, self._recording, self._patient, labels),
            deltas,
            rule=setting.rule,
            components=setting.components,
            clip=setting.clip,
            folds=self._config.folds,
            seed=self._config.seed,
        )

    def _measure(self, engine: Literal["batched", "neurokit"], lead: str) -> Measured:
        if (engine, lead) not in self._measured:
            settings = FeatureConfig(engine=engine, method=self._config.features.method, lead=lead)
            self._measured[engine, lead] = measure_once(
                settings, self._recordings.signals, self._config.scratch, self._console
            )
        return self._measured[engine, lead]


def _row(name: str, folds: Sequence[Judged]) -> Row:
    """Means over folds at the first delta; of lift and AUROC the standard deviation too, and each fold's AUROC."""
    row: Row = {"name": name}
    for key in ("usable", "missing", "positive", "halves"):
        row[key] = number(float(np.mean([np.ravel(getattr(fold, key))[0] for fold in folds])))
    for label in folds[0].agreement:
        each = [fold.agreement[label] for fold in folds]
        lift, auroc = np.array([one.lift[0] for one in each]), np.array([one.auroc for one in each])
        row[label] = {
            "chance": number(float(np.mean([one.chance for one in each]))),
            "precision": number(float(np.mean([one.precision[0] for one in each]))),
            "lift": number(float(lift.mean())),
            "lift_sd": number(float(lift.std(ddof=1))),
            "auroc": number(float(auroc.mean())),
            "auroc_sd": number(float(auroc.std(ddof=1))),
            "auroc_of_each_fold": [number(one) for one in auroc.tolist()],
        }
    return row


def _delta_rows(deltas: Sequence[float], folds: Sequence[Judged]) -> list[Row]:
    def mean(values: Sequence[float]) -> float | None:
        return number(float(np.mean(values)))

    rows = []
    for place, delta in enumerate(deltas):
        row: Row = {"delta": delta}
        row |= {key: mean([getattr(fold, key)[place] for fold in folds]) for key in ("positive", "halves")}
        for label in folds[0].agreement:
            each = [fold.agreement[label] for fold in folds]
            row[label] = {key: mean([getattr(one, key)[place] for one in each]) for key in ("precision", "lift")}
        rows.append(row)
    return rows


def _table(title: str, rows: Sequence[Row], labels: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    judged = (f"{label} {key}" for label in labels for key in ("lift", "AUROC"))
    for column in ("", "usable", "missing", "positive", "own half", *judged):
        table.add_column(column)
    for row in rows:
        cells = [_cell(row[key], 2) for key in ("usable", "missing", "positive", "halves")]
        for found in (row[label] for label in labels):
            cells += [_cell(found["lift"], 2), _cell(found["auroc"])]
        table.add_row(row["name"], *cells)
    return table


def _rhythm_table(title: str, row: Row, names: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in ("anchors with", "chance", "precision", "lift", "AUROC"):
        table.add_column(column)
    for name in names:
        table.add_row(name, *(_cell(row[name][key]) for key in ("chance", "precision", "lift", "auroc")))
    return table


def _delta_table(title: str, rows: Sequence[Row], labels: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    keys = ("precision", "lift")
    for column in ("delta", "positive", "own half", *(f"{name} {key}" for name in labels for key in keys)):
        table.add_column(column)
    for row in rows:
        cells = [_cell(row[label][key], places) for label in labels for key, places in zip(keys, (3, 2), strict=True)]
        table.add_row(f"{row['delta']:g}", _cell(row["positive"]), _cell(row["halves"]), *cells)
    return table


def _cell(value: float | None, places: int = 3) -> str:
    return "-" if value is None else f"{value:.{places}f}"
