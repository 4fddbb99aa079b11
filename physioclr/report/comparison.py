"""A comparison as Markdown and as a report: a table and a picture a target, differences to the reference beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from physioclr.evaluation.signs import Course
from physioclr.report.figure import INK, MUTED, SERIES, look, new_figure, picture, plain
from physioclr.report.noise import NoiseTable, noise_sections
from physioclr.report.page import Section, Table, render_page
from physioclr.report.signs import signs_sections
from physioclr.report.target import METRIC, TargetTable, figure_of, gap_of, grid

ACROSS = 5  # panels beside each other: more would be drawn too small to read


def markdown(tables: Sequence[TargetTable], reference: str) -> str:
    """Macro-AUROC of every method with intervals, and below what each is ahead of (+) or behind `reference`."""
    parts = []
    for table in tables:
        parts += [f"## {table.name}", _sizes(table), *table.notes]
        parts += [grid(table, figure_of), f"Difference to {reference}:", grid(table, gap_of)]
    return "\n\n".join(parts) + "\n"


def _sizes(table: TargetTable) -> str:
    said = []
    for column, parts in table.sizes.items():
        train, test = parts["train"], parts["test"]
        said.append(f"{column}: trained on {train['recordings']:,} recordings, tested on {test['recordings']:,}")
    return "; ".join(dict.fromkeys(said)) + "."


def draw_comparison(table: TargetTable, reference: str) -> Figure:
    """A panel a column: each method's macro-AUROC with its interval and, small, each seed's; the reference dotted."""
    methods = list(table.methods)
    across = min(len(table.columns), ACROSS)
    down = -(-len(table.columns) // across)
    with look():
        figure = new_figure(2.2 * across + 1.8, (0.26 * len(methods) + 0.7) * down + 0.3)
        for place, column in enumerate(table.columns):
            axes = figure.add_subplot(down, across, place + 1)
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
                range(len(methods)), [plain(name) for name in methods] if not place % across else [""] * len(methods)
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
    noisy: Sequence[NoiseTable] = (),
) -> str:
    """The report as one HTML document; `courses` are how the methods' encoders went over their epochs, `noisy` what was
    found under noise."""
    sections = []
    for table in tables:
        drawn = picture(draw_comparison(table, reference), f"Macro-AUROC of each method on {table.name}")
        about = " ".join((f"Means over seeds. Dotted: {reference}.", _sizes(table), *table.notes))
        sections.append(Section(table.name, about, drawn, table=_rows(table, figure_of)))
        gaps = f"Paired on the same resamples of the patients: above 0 is better than {reference}."
        sections.append(Section(f"{table.name}: difference to {reference}", gaps, None, table=_rows(table, gap_of)))
    sections += noise_sections(noisy, reference)
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
