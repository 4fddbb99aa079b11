"""What was found on one target, and how a figure of it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from physioclr.evaluation.bootstrap import Interval
from physioclr.evaluation.comparison import Compared, Key

METRIC = "auroc"


@dataclass(frozen=True)
class TargetTable:
    """What was found on one target: `cells` by (method, column), both in the order of the table.

    `sizes`: recordings, windows and patients by column and part. `notes`: sentences that a reader must know, on classes
    that are not judged and test recordings that were seen before.
    """

    name: str
    methods: Sequence[str]
    columns: Sequence[str]
    cells: Mapping[Key, Compared]
    sizes: Mapping[str, Mapping[str, Mapping[str, int]]]
    notes: Sequence[str] = ()


def grid(table: TargetTable, shown: Callable[[Compared | None], str]) -> str:
    """Rows and columns as Markdown; rows with nothing in them are left out."""
    lines = ["| | " + " | ".join(table.columns) + " |", "| --- |" + " ---: |" * len(table.columns)]
    for method in table.methods:
        values = [shown(table.cells.get((method, column))) for column in table.columns]
        if any(values):
            lines.append(f"| {method} | " + " | ".join(values) + " |")
    return "\n".join(lines)


def figure_of(cell: Compared | None) -> str:
    """Macro-AUROC with its interval."""
    if cell is None:
        return ""
    return _interval(cell.figures[METRIC])


def _interval(one: Interval) -> str:
    return f"{one.estimate:.3f} ({one.low:.3f} to {one.high:.3f})"


def gap_of(cell: Compared | None) -> str:
    """Difference to the reference with its interval."""
    if cell is None or METRIC not in cell.difference:
        return ""
    one = cell.difference[METRIC]
    return f"{one.estimate:+.3f} ({one.low:+.3f} to {one.high:+.3f})"
