"""The report of a search: how the trials went, which values did well, what they cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from physioclr.report.figure import BLUE, GREEN, INK, MUTED, VERMILLION, look, new_figure, picture, plain
from physioclr.report.page import Section, Table, render_page

COLOURS = {"finished": BLUE, "pruned": MUTED, "failed": VERMILLION, "running": GREEN}
DELTA = "objective.delta"
SLICES_A_ROW = 3


@dataclass(frozen=True, slots=True)
class SearchTrial:
    """A trial as it is drawn. `curve`: figures of each epoch, `score` among them; `score`: that of the last epoch."""

    name: str
    status: str
    values: Mapping[str, Any]
    curve: Sequence[Mapping[str, float]]
    score: float  # NaN where there is none
    worker_seconds: float
    why: str


def render_search(
    name: str,
    config: Mapping[str, Any],
    metric: str,
    keys: Mapping[str, bool],
    trials: Sequence[SearchTrial],
    best: str,
    importance: Mapping[str, float],
) -> str:
    """The report as one HTML document. `keys`: what was varied, and whether logarithmically; `metric` is maximised."""
    scored = [trial for trial in trials if not math.isnan(trial.score)]
    sections = [
        Section(
            "How the trials went",
            f"{metric} of each trial after each epoch. Grey: ended early. Green ring: the best.",
            picture(draw_curves(scored, metric, best), "Score of each trial by epoch"),
        ),
        Section(
            "Which values did well",
            "The last score of each trial against each of its values, one panel a key.",
            picture(draw_slices(scored, metric, keys, best), "Score against each searched value"),
        ),
        _delta(scored, metric, best),
        _importance(importance),
        Section(
            "What it cost",
            "Worker-seconds from a trial's start to its end, by how it ended.",
            picture(draw_cost(trials), "Worker-seconds by how trials ended"),
        ),
        Section("Trials", "Best first.", None, table=_table(trials, keys)),
    ]
    return render_page(name, "search", config, None, sections)


def draw_curves(trials: Sequence[SearchTrial], metric: str, best: str) -> Figure:
    """A line a trial."""
    with look():
        figure = new_figure(6.4, 3.0)
        axes = figure.add_subplot()
        for trial in trials:
            epochs, values = [row["epoch"] for row in trial.curve], [row[metric] for row in trial.curve]
            axes.plot(epochs, values, "-o", color=COLOURS[trial.status], markersize=2.5, linewidth=1.0, alpha=0.8)
            if trial.name == best:
                axes.plot(epochs[-1], values[-1], "o", color=GREEN, markersize=9, fillstyle="none")
        axes.set_xlabel("epoch")
        axes.set_ylabel(plain(metric))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.tight_layout(pad=0.5)
    return figure


def draw_slices(trials: Sequence[SearchTrial], metric: str, keys: Mapping[str, bool], best: str) -> Figure:
    """A panel a key."""
    rows = -(-len(keys) // SLICES_A_ROW)
    with look():
        figure = new_figure(2.6 * min(len(keys), SLICES_A_ROW) + 0.4, 2.2 * rows)
        for place, (key, logarithmic) in enumerate(keys.items()):
            axes = figure.add_subplot(rows, min(len(keys), SLICES_A_ROW), place + 1)
            _scatter(axes, trials, [trial.values[key] for trial in trials], logarithmic, best)
            axes.set_title(plain(key), loc="left")
            axes.set_ylabel(plain(metric) if place % SLICES_A_ROW == 0 else "")
        figure.tight_layout(pad=0.5)
    return figure


def _scatter(axes: Axes, trials: Sequence[SearchTrial], values: Sequence[Any], logarithmic: bool, best: str) -> None:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    shown = list(values) if numbers else [plain(value) for value in values]
    if logarithmic and numbers:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))  # a range may lie within one decade
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    for trial, value in zip(trials, shown, strict=True):
        axes.plot(value, trial.score, "o", color=COLOURS[trial.status], markersize=4, alpha=0.8)
        if trial.name == best:
            axes.plot(value, trial.score, "o", color=GREEN, markersize=9, fillstyle="none")


def _delta(trials: Sequence[SearchTrial], metric: str, best: str) -> Section:
    title = "Delta: how many positives, and how right"
    about = (
        "Against delta: the score; how many feature positives an anchor has; the share of feature pairs that have a "
        "label in common, and that share of any pairs (dotted)."
    )
    drawn = [trial for trial in trials if DELTA in trial.values and trial.curve[-1].get("pair_agreement") is not None]
    if not drawn:
        return Section(title, about, None, missing="Delta was not varied, or its pairs were not measured.")
    return Section(title, about, picture(draw_delta(drawn, metric, best), "Score and pairs against delta"))


def draw_delta(trials: Sequence[SearchTrial], metric: str, best: str) -> Figure:
    """Three panels over delta."""
    deltas = [trial.values[DELTA] for trial in trials]
    with look():
        figure = new_figure(8.2, 2.4)
        first, second, third = (figure.add_subplot(1, 3, place) for place in (1, 2, 3))
        _scatter(first, trials, deltas, False, best)
        first.set_title(plain(metric), loc="left")
        for delta, trial in zip(deltas, trials, strict=True):
            last = trial.curve[-1]
            second.plot(delta, last.get("feature_positives_mean", math.nan), "o", color=INK, markersize=4)
            third.plot(delta, last["pair_agreement"], "o", color=INK, markersize=4)
        chance = [trial.curve[-1].get("pair_agreement_chance") for trial in trials]
        if chance[0] is not None:
            third.axhline(chance[0], color=MUTED, linestyle=":")
        second.set_title("feature positives an anchor", loc="left")
        third.set_title("label agreement", loc="left")
        for axes in (first, second, third):
            axes.set_xlabel("delta")
        figure.tight_layout(pad=0.5)
    return figure


def _importance(importance: Mapping[str, float]) -> Section:
    title = "What mattered"
    about = "Share of the scores' variance that each key explains (fANOVA over all trials)."
    if not importance:
        return Section(title, about, None, missing="Too few trials with different scores to say.")
    with look():
        figure = new_figure(5.2, 0.3 * len(importance) + 0.6)
        axes = figure.add_subplot()
        axes.barh([plain(key) for key in importance], list(importance.values()), color=BLUE, height=0.6)
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        figure.tight_layout(pad=0.5)
    return Section(title, about, picture(figure, "Importance of each key"))


def draw_cost(trials: Sequence[SearchTrial]) -> Figure:
    """A bar a status."""
    there = [status for status in COLOURS if any(trial.status == status for trial in trials)]
    with look():
        figure = new_figure(5.2, 0.35 * len(there) + 0.7)
        axes = figure.add_subplot()
        for place, status in enumerate(there):
            own = [trial.worker_seconds for trial in trials if trial.status == status]
            axes.barh(place, sum(own), color=COLOURS[status], height=0.6)
            axes.annotate(f" {len(own)} trials", (sum(own), place), va="center", color=INK)
        axes.set_yticks(range(len(there)), there)
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.set_xlabel("worker-seconds")
        figure.tight_layout(pad=0.5)
    return figure


def _table(trials: Sequence[SearchTrial], keys: Mapping[str, bool]) -> Table:
    ordered = sorted(trials, key=lambda trial: -math.inf if math.isnan(trial.score) else trial.score, reverse=True)
    rows = tuple(
        (
            *(trial.name, trial.status, trial.score, len(trial.curve), round(trial.worker_seconds)),
            *(trial.values[key] for key in keys),
            trial.why,
        )
        for trial in ordered
    )
    return Table(("trial", "status", "score", "epochs", "worker s", *keys, "why it ended"), rows)
