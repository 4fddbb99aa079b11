"""A comparison under noise: macro-AUROC of each method against the level of noise, a panel a kind; and its tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from physioclr.evaluation.comparison import Compared
from physioclr.report.figure import legend_at_right, look, new_figure, picture, plain, styles
from physioclr.report.page import Section, Table
from physioclr.report.target import METRIC, TargetTable, figure_of, gap_of, grid

CLEAN = "clean"


@dataclass(frozen=True)
class NoiseTable:
    """One kind of noise on the test recordings of a target's column (task and share of labels): the columns of `table`
    are `CLEAN` and the levels."""

    target: str
    column: str
    kind: str
    table: TargetTable

    @property
    def of(self) -> str:
        """What it has in common with the other kinds."""
        return f"{self.target}, {self.column}"


def level_column(db: float) -> str:
    """The name of a level's column."""
    return f"{db:g} dB"


def noise_markdown(tables: Sequence[NoiseTable], reference: str) -> str:
    """A table of figures and one of differences to `reference` for each of `tables`."""
    parts = []
    for each in tables:
        parts += [f"## {each.of}: {each.kind}", grid(each.table, figure_of), f"Difference to {reference}:"]
        parts.append(grid(each.table, gap_of))
    return "\n" + "\n\n".join(parts) + "\n" if parts else ""


def noise_sections(tables: Sequence[NoiseTable], reference: str) -> list[Section]:
    """For each column of each target a picture over all kinds with its table, and the differences to `reference`."""
    sections = []
    for of in dict.fromkeys(each.of for each in tables):
        own = [each for each in tables if each.of == of]
        drawn = picture(draw_noise_levels(own, reference), f"Macro-AUROC over noise on {of}")
        about = (
            "Noise of the same ratio in each lead of the test recordings, the same for every method; fitted without "
            f"noise. Means over seeds; shaded: the 95 % interval of {reference}, over patients."
        )
        sections.append(Section(f"{of}: noise", about, drawn, table=_rows(own, figure_of)))
        gaps = f"Paired on the same resamples of the patients: above 0 is better than {reference}."
        sections.append(Section(f"{of}: noise, difference to {reference}", gaps, None, table=_rows(own, gap_of)))
    return sections


def draw_noise_levels(tables: Sequence[NoiseTable], reference: str) -> Figure:
    """A panel for each of `tables`, which differ in their kind: a line a method from clean to the strongest noise."""
    with look():
        figure = new_figure(2.5 * len(tables) + 2.2, 3.0)
        first: Axes | None = None
        for place, each in enumerate(tables):
            axes = figure.add_subplot(1, len(tables), place + 1, sharey=first)
            first = first or axes
            _draw(axes, each.table, reference)
            axes.set_title(each.kind, loc="left")
            axes.set_xlabel("signal to noise, dB")
            if place:
                axes.tick_params(labelleft=False)
            else:
                axes.set_ylabel("macro-AUROC")
        legend_at_right(figure, 2.2)
    return figure


def _draw(axes: Axes, table: TargetTable, reference: str) -> None:
    columns = list(table.columns)
    for method, (colour, dashes) in zip(table.methods, styles(len(table.methods)), strict=True):
        figures = [table.cells[method, column].figures[METRIC] for column in columns]
        estimates = [one.estimate for one in figures]
        axes.plot(range(len(columns)), estimates, dashes, color=colour, marker="o", markersize=3, label=plain(method))
        if method == reference:
            low, high = [one.low for one in figures], [one.high for one in figures]
            axes.fill_between(range(len(columns)), low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_xticks(range(len(columns)), [column.removesuffix(" dB") for column in columns])


def _rows(tables: Sequence[NoiseTable], shown: Callable[[Compared | None], str]) -> Table:
    rows: list[tuple[object, ...]] = []
    for each in tables:
        for method in each.table.methods:
            cells = (each.table.cells.get((method, column)) for column in each.table.columns)
            rows.append((each.kind, method, *(shown(cell) or None for cell in cells)))
    return Table(("noise", "", *tables[0].table.columns), tuple(rows))
