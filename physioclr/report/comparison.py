"""A comparison as Markdown and as a report: a table and a picture a target, differences to the reference beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from physioclr.evaluation.bootstrap import Interval
from physioclr.evaluation.comparison import Compared, Key
from physioclr.evaluation.signs import Course
from physioclr.report.figure import INK, MUTED, SERIES, look, new_figure, picture, plain
from physioclr.report.page import Section, Table, render_page
from physioclr.report.signs import signs_sections

METRIC = "auroc"


@dataclass(frozen=True)
class TargetTable:
    """What was found on one target: `cells` by (method, column), both in the order of the table.

    `sizes`: recordings, windows and patients by column and part.
    """

    name: str
    methods: Sequence[str]
    columns: Sequence[str]
    cells: Mapping[Key, Compared]
    sizes: Mapping[str, Mapping[str, Mapping[str, int]]]


def markdown(tables: Sequence[TargetTable], reference: str) -> str:
    """Macro-AUROC of every method with intervals, and below what each is ahead of (+) or behind `reference`."""
    parts = []
    for table in tables:
        parts += [f"## {table.name}", _sizes(table), _grid(table, _figure), f"Difference to {reference}:"]
        parts.append(_grid(table, _gap))
    return "\n\n".join(parts) + "\n"


def _sizes(table: TargetTable) -> str:
    said = []
    for column, parts in table.sizes.items():
        train, test = parts["train"], parts["test"]
        said.append(f"{column}: trained on {train['recordings']:,} recordings, tested on {test['recordings']:,}")
    return "; ".join(dict.fromkeys(said)) + "."


def _grid(table: TargetTable, shown: Any) -> str:
    lines = ["| | " + " | ".join(table.columns) + " |", "| --- |" + " ---: |" * len(table.columns)]
    for method in table.methods:
        values = [shown(table.cells.get((method, column))) for column in table.columns]
        if any(values):
            lines.append(f"| {method} | " + " | ".join(values) + " |")
    return "\n".join(lines)


def _figure(cell: Compared | None) -> str:
    if cell is None:
        return ""
    return _interval(cell.figures[METRIC])


def _interval(one: Interval) -> str:
    return f"{one.estimate:.3f} ({one.low:.3f} to {one.high:.3f})"


def _gap(cell: Compared | None) -> str:
    if cell is None or METRIC not in cell.difference:
        return ""
    one = cell.difference[METRIC]
    return f"{one.estimate:+.3f} ({one.low:+.3f} to {one.high:+.3f})"


def draw_comparison(table: TargetTable, reference: str) -> Figure:
    """A panel a column: each method's macro-AUROC with its interval and, small, each seed's; the reference dotted."""
    methods = list(table.methods)
    with look():
        figure = new_figure(2.2 * len(table.columns) + 1.8, 0.26 * len(methods) + 1.0)
        for place, column in enumerate(table.columns):
            axes = figure.add_subplot(1, len(table.columns), place + 1)
            for at, method in enumerate(methods):
                cell = table.cells.get((method, column))
                if cell is None:
                    continue
                one = cell.figures[METRIC]
                colour = SERIES[1] if method == reference else SERIES[0]
                axes.plot([one.low, one.high], [at, at], "-", color=colour)
                axes.plot(one.estimate, at, "o", color=colour, markersize=4)
                seeds = cell.by_seed.get(METRIC, ())
                axes.plot(seeds, [at + 0.25] * len(seeds), "|", color=MUTED, markersize=4)
            base = table.cells.get((reference, column))
            if base is not None:
                axes.axvline(base.figures[METRIC].estimate, color=INK, linestyle=":", linewidth=0.8)
            axes.set_ylim(len(methods) - 0.4, -0.6)
            axes.set_yticks(
                range(len(methods)), [plain(name) for name in methods] if not place else [""] * len(methods)
            )
            axes.set_title(plain(column), loc="left")
        figure.supxlabel("macro-AUROC, 95 % interval over patients; ticks: single seeds", fontsize=8)
        figure.tight_layout(pad=0.6, w_pad=0.8)
    return figure


def render_comparison(
    name: str,
    config: Mapping[str, Any],
    tables: Sequence[TargetTable],
    reference: str,
    failed: Sequence[tuple[str, str]],
    courses: Sequence[Course] = (),
) -> str:
    """The report as one HTML document; `courses` are how the methods' encoders went over their epochs."""
    sections = []
    for table in tables:
        drawn = picture(draw_comparison(table, reference), f"Macro-AUROC of each method on {table.name}")
        about = f"Means over seeds. Dotted: {reference}. {_sizes(table)}"
        sections.append(Section(table.name, about, drawn, table=_rows(table, _figure)))
        gaps = f"Paired on the same resamples of the patients: above 0 is better than {reference}."
        sections.append(Section(f"{table.name}: difference to {reference}", gaps, None, table=_rows(table, _gap)))
    sections += signs_sections(courses)
    if failed:
        about = "They are in no mean; the same command tries them again."
        sections.append(Section("Cells that failed", about, None, table=Table(("cell", "why"), tuple(failed))))
    return render_page(name, "PhysioCLR comparison", config, None, sections)


def _rows(table: TargetTable, shown: Any) -> Table:
    rows = [
        (method, *(shown(table.cells.get((method, column))) or None for column in table.columns))
        for method in table.methods
    ]
    return Table(("", *table.columns), tuple(rows))
