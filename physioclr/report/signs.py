"""How the encoders of a comparison went over their epochs: curves, patient retrieval against the probe, and a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from physioclr.evaluation.signs import AUROC, RETRIEVAL, Course, rank_correlation
from physioclr.report.figure import MUTED, SERIES, look, new_figure, picture, plain
from physioclr.report.page import Section, Table

PANELS = {
    AUROC: "Linear probe, macro-AUROC",
    RETRIEVAL: "Nearest is of the same patient",
    "effective_rank": "Effective rank of embeddings",
    "reconstruction_global": "Reconstruction error",
}
CHANCE = "patient_retrieval_chance"
DASHES = ("-", "--", ":", "-.")  # after the colours come the same ones dashed
ABOUT = (
    "Measured on the monitored recordings after each epoch and, at epoch 0, before the first; means over seeds. "
    "Patient retrieval that rises while the probe stays: the encoder learns who it is. A reconstruction error that "
    "falls while the probe falls: reconstruction dominates. A falling effective rank: collapse."
)


def signs_sections(courses: Sequence[Course]) -> list[Section]:
    """Sections of a comparison's report; none where nothing was measured of any encoder."""
    if not any(course.points(key) for course in courses for key in PANELS):
        return []
    pictures = [picture(draw_courses(courses), "Probe, retrieval, rank and reconstruction over epochs, by method")]
    scatter = draw_against(courses)
    if scatter is not None:
        pictures.append(picture(scatter, "Patient retrieval and reconstruction weight against the probe's AUROC"))
    return [Section("Over pretraining", ABOUT, pictures, table=signs_table(courses))]


def signs_table(courses: Sequence[Course]) -> Table:
    """A row a method: figures of the last epoch, and how retrieval and probe go together over the epochs."""
    columns = (
        *("", "alpha", "probe AUROC", "before training", "patient retrieval", "chance", "queries", "effective rank"),
        *("reconstruction", "at the peaks", "rank correlation of retrieval and AUROC over epochs"),
    )
    return Table(columns, tuple(_row(course) for course in courses))


def _row(course: Course) -> tuple[object, ...]:
    first = [value for epoch, value in course.points(AUROC) if epoch == 0]
    figures = (
        *(course.last(AUROC), first[0] if first else math.nan, course.last(RETRIEVAL), course.last(CHANCE)),
        *(course.last("patient_retrieval_queries"), course.last("effective_rank")),
        *(course.last("reconstruction_global"), course.last("reconstruction_peak")),
        course.together(RETRIEVAL, AUROC),
    )
    return (course.method, course.weight, *figures)


def draw_courses(courses: Sequence[Course]) -> Figure:
    """A panel a sign over epochs, a line a method."""
    kept = [key for key in PANELS if any(course.points(key) for course in courses)]
    with look():
        figure = new_figure(2.9 * len(kept) + 1.6, 2.7)
        for place, key in enumerate(kept):
            axes = figure.add_subplot(1, len(kept), place + 1)
            for course, colour, dashes in _styled(courses):
                points = course.points(key)
                if points:
                    axes.plot(*zip(*points, strict=True), dashes, color=colour, label=plain(course.method))
            if key == RETRIEVAL:
                chance = next((points for each in courses if (points := each.points(CHANCE))), None)
                if chance:
                    axes.plot(*zip(*chance, strict=True), ":", color=MUTED, linewidth=0.8)
            axes.set_title(PANELS[key], loc="left")
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        _legend(figure)
    return figure


def draw_against(courses: Sequence[Course]) -> Figure | None:
    """Patient retrieval against the probe's AUROC, an epoch a point; and the reconstruction's weight against it.

    None where the probe or retrieval was not measured; the weight is left out where all methods have the same.
    """
    paths = {course.method: _path(course) for course in courses}
    if not any(paths.values()):
        return None
    weighed = len({course.weight for course in courses if course.weight is not None}) > 1
    with look():
        figure = new_figure((8.4 if weighed else 4.4) + 1.6, 3.3)
        axes = figure.add_subplot(1, 1 + weighed, 1)
        for course, colour, dashes in _styled(courses):
            if paths[course.method]:
                x, y = zip(*paths[course.method], strict=True)
                axes.plot(x, y, dashes, color=colour, linewidth=0.7, marker=".", markersize=4)
                axes.plot(x[-1], y[-1], "o", color=colour, markersize=6, label=plain(course.method))
        ends = [path[-1] for path in paths.values() if path]
        axes.set_title(f"Rank correlation, last epochs: {_said(rank_correlation(ends))}", loc="left")
        axes.set_xlabel("nearest is of the same patient")
        axes.set_ylabel("linear probe, macro-AUROC")
        if weighed:
            _weights(figure.add_subplot(1, 2, 2), courses)
        _legend(figure)
    return figure


def _weights(axes: Axes, courses: Sequence[Course]) -> None:
    """Alpha, with 0 at the left end, against the probe of the last epoch and, small, of each seed."""
    least = min(course.weight for course in courses if course.weight)
    for course, colour, _ in _styled(courses):
        if course.weight is None or not course.points(AUROC):
            continue
        axes.plot(course.weight, course.last(AUROC), "o", color=colour, markersize=6)
        for rows in course.seeds.values():
            alone = Course(course.method, {0: rows})
            axes.plot(course.weight, alone.last(AUROC), "_", color=colour, markersize=6)
    axes.set_xscale("symlog", linthresh=least, linscale=0.5)
    axes.set_xlim(left=-least / 4)
    axes.set_xlabel("alpha, weight of the reconstruction")
    axes.set_title("Last epochs, and each seed's", loc="left")


def _path(course: Course) -> list[tuple[float, float]]:
    """(retrieval, AUROC) of the epochs that have both, in order."""
    retrieval, auroc = dict(course.points(RETRIEVAL)), dict(course.points(AUROC))
    return [(retrieval[epoch], auroc[epoch]) for epoch in sorted(retrieval.keys() & auroc.keys())]


def _styled(courses: Sequence[Course]) -> Iterator[tuple[Course, str, str]]:
    """Each method with its colour and dashes, the same in every picture."""
    for place, course in enumerate(courses):
        yield course, SERIES[place % len(SERIES)], DASHES[place // len(SERIES) % len(DASHES)]


def _legend(figure: Figure) -> None:
    """One for all panels, at the right."""
    named = {label: line for axes in figure.axes for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    right = 1 - 1.6 / figure.get_figwidth()
    figure.tight_layout(pad=0.6, w_pad=1.4, rect=(0, 0, right, 1))
    figure.legend(list(named.values()), list(named), loc="center left", bbox_to_anchor=(right, 0.5))


def _said(value: float) -> str:
    return "not defined" if math.isnan(value) else f"{value:+.2f}"
