"""The figures of `delineation.py` as tables to print: a row for each point, a column for each method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from physioclr.evaluation.waves import POINTS

BATCHED = "batched"
Figures = dict[str, Any]


def print_tables(leads: str, figures: Figures, console: Console) -> None:
    """Everything that was measured on one set of leads."""

    def put(title: str, table: Table) -> None:
        console.print(f"\n{leads}, {title}", style="bold", highlight=False)
        console.print(table)

    for tolerance, by_method in figures["scores"].items():
        put(f"within {tolerance}: F1", _scores(by_method, lambda one: _show(one["f1"])))
        put(f"within {tolerance}: mean error ± sd in ms", _scores(by_method, _error))
        put(f"within {tolerance}: sensitivity, positive predictive value", _scores(by_method, _shares))
    if figures["common"]:
        put("sd in ms on the points that both matched: batched | the other (points)", _common(figures["common"]))
    put("P waves reported in recordings where none is annotated in any lead", _without_p(figures["without_p"]))
    put("batched, smallest to largest over folds of the recordings", _folds(figures["folds"]))


def _scores(by_method: Figures, cell: Callable[[Figures], str]) -> Table:
    table = _table(*by_method)
    for point in POINTS:
        table.add_row(point, *(cell(scores[point]) for scores in by_method.values()))
    return table


def _error(one: Figures) -> str:
    return f"{_show(one['mean_error'], '+.1f')} ± {_show(one['deviation'], '.1f')}"


def _shares(one: Figures) -> str:
    return f"{_show(one['sensitivity'])}  {_show(one['precision'])}"


def _common(by_method: Figures) -> Table:
    table = _table(*by_method)
    for point in POINTS:
        cells = (
            f"{_show(one[point][BATCHED], '.1f')} | {_show(one[point][method], '.1f')} ({one[point]['points']:,})"
            for method, one in by_method.items()
        )
        table.add_row(point, *cells)
    return table


def _without_p(by_method: Figures) -> Table:
    table = Table()
    for column in ("method", "recordings", "beats", "share with a P", "recordings with a P in most beats"):
        table.add_column(column)
    for method, one in by_method.items():
        counts = (str(one["recordings"]), f"{one['beats']:,}")
        table.add_row(method, *counts, _show(one["share_with_p"]), str(one["recordings_mostly_with_p"]))
    return table


def _folds(by_point: Figures) -> Table:
    table = _table("F1", "sd in ms")
    for point in POINTS:
        f1, deviation = by_point[point]["f1"], by_point[point]["deviation"]
        table.add_row(point, " to ".join(map(_show, f1)), " to ".join(_show(end, ".1f") for end in deviation))
    return table


def _table(*columns: str) -> Table:
    table = Table()
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _show(value: float | None, form: str = ".4f") -> str:
    return "-" if value is None else format(value, form)
