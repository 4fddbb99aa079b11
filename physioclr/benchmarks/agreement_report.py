"""What `agreement.py` found, as tables on the console, pictures, and a page of both."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich import table as rich_table
from rich.console import Console

from physioclr import storage
from physioclr.benchmarks.config import AgreementBenchmark
from physioclr.evaluation.agreement import END_MS, REASONS
from physioclr.report.agreement_plot import Panel, draw_agreement
from physioclr.report.benchmarks import png
from physioclr.report.figure import look, picture
from physioclr.report.page import Section, Table, render_page

MEASURES = {"RR": "ms", "heart rate": "1/min", "QRS": "ms", "QTc": "ms"}  # medians over a half, and their units
ENGINES = ("batched", "neurokit")
DETECTORS = "By detectors of NeuroKit2 after its own cleaning, each beat at the highest sample within 60 ms."


def show(
    config: AgreementBenchmark, figures: dict[str, Any], values: dict[str, NDArray[np.float64]], console: Console
) -> None:
    """Print the tables and write `report.html` and for each lead `agreement-LEAD.png` and `.svg` below `config.out`.

    `figures` and `values` [2, halves, 4] are those of each lead.
    """
    summary = _halves(figures)
    _print("5 s halves", summary, console)
    sections: list[Section] = []
    for lead, of in figures.items():
        made = (
            Section(f"{lead}: R peaks within {config.tolerance_ms:g} ms", "", None, table=_beats(of)),
            Section(f"{lead}: R peaks of one engine without the other's, by reason", "", None, table=_reasons(of)),
            Section(f"{lead}: R peaks by two engines or detectors, F1", DETECTORS, None, table=_detectors(of)),
            Section(f"{lead}: medians of a half, batched minus neurokit", "", None, table=_measures(of)),
        )
        for section in made:
            _print(section.title, section.table, console)
        sections += [*made, _drawn(config, lead, values[lead])]
    page = render_page("Agreement", "batched beside neurokit", config.model_dump(), summary, sections)
    storage.write_text(storage.join(config.out, "report.html"), page)
    console.print(f"Report and pictures are in {config.out}", highlight=False)


def _halves(figures: dict[str, Any]) -> Table:
    rows = (
        (
            lead,
            of["halves"],
            of["halves_both_measure"],
            *(", ".join(f"{word} {count:,}" for word, count in of["status"][name].items()) for name in ENGINES),
        )
        for lead, of in figures.items()
    )
    return Table(("lead", "halves", "measured by both", *ENGINES), tuple(rows))


def _beats(of: dict[str, Any]) -> Table:
    rows = (("all", of["beats"]), (f"farther than {END_MS:g} ms from both ends", of["beats_away_from_the_ends"]))
    keys = ("matched", "only_batched", "only_neurokit")
    return Table(
        ("beats", "F1", "of both", "batched only", "neurokit only", "mean difference (ms)"),
        tuple(
            (name, _text(one["f1"], ".4f"), *(one[key] for key in keys), _text(one["mean_difference_ms"], "+.1f"))
            for name, one in rows
        ),
    )


def _reasons(of: dict[str, Any]) -> Table:
    rows = ((text, of["only_batched"][key], of["only_neurokit"][key]) for key, text in REASONS.items())
    return Table(("where", "batched only", "neurokit only"), tuple(rows))


def _detectors(of: dict[str, Any]) -> Table:
    rows = (
        (*one["of"], _text(one["f1"], ".4f"), _text(one["f1_away_from_the_ends"], ".4f")) for one in of["detectors"]
    )
    return Table(("one", "other", "all beats", f"farther than {END_MS:g} ms from both ends"), tuple(rows))


def _measures(of: dict[str, Any]) -> Table:
    rows = (
        (
            f"{name} ({MEASURES[name]})",
            one["count"],
            _text(one["correlation"], ".3f"),
            _text(one["bias"], "+.1f"),
            f"{_text(one['low'], '.1f')} to {_text(one['high'], '.1f')}",
        )
        for name, one in of["measures"].items()
    )
    return Table(("measure", "halves", "r", "bias", "95 % limits of agreement"), tuple(rows))


def _print(title: str, table: Table | None, console: Console) -> None:
    assert table is not None, "every printed section has one"
    printed = rich_table.Table()
    for column in table.columns:
        printed.add_column(column)
    for row in table.rows:
        printed.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row))
    console.print(f"\n{title}", style="bold", highlight=False)
    console.print(printed)


def _drawn(config: AgreementBenchmark, lead: str, values: NDArray[np.float64]) -> Section:
    """The picture of one lead, which is written as PNG and SVG too."""
    title = f"{lead}: Bland-Altman plots"
    panels = [Panel(name, unit, *values[..., i]) for i, (name, unit) in enumerate(MEASURES.items())]
    with look():
        figure = draw_agreement(panels, ENGINES)
        if figure is None:
            return Section(title, "", None, "No picture: no half was measured by both engines.")
        base = storage.join(config.out, f"agreement-{lead}")
        storage.write_bytes(f"{base}.png", png(figure))
        storage.write_bytes(f"{base}.svg", _svg(figure))
        words = f"Differences of {', '.join(MEASURES)} on {lead} over their mean"
        about = (
            "Line: bias; dashed: 95 % limits of agreement; triangles: pairs that differ by more than the axis reaches."
        )
        return Section(title, about, picture(figure, words))


def _svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
