"""Pictures of the benchmarks of features: what noise leaves of pairs, and what lead and delta do to them."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from physioclr.report.figure import INK, MUTED, SERIES, look, new_figure

Row = Mapping[str, Any]


def png(figure: Figure, dots_an_inch: int = 110) -> bytes:
    """The figure as a PNG file for a document; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dots_an_inch, metadata={"Software": None})
    return buffer.getvalue()


def draw_noise(rows: Sequence[Row]) -> Figure:
    """Pairs kept and their precision over the level of noise, and below the change of each feature group.

    `rows` are those of `jobs/benchmark.py noise`, one for each noise, level and engine: a column of panels a noise.
    The groups are shown at the middle level.
    """
    kinds = list(dict.fromkeys(row["noise"] for row in rows))
    engines = list(dict.fromkeys(row["engine"] for row in rows))
    levels = sorted({row["decibels"] for row in rows}, reverse=True)
    middle = levels[len(levels) // 2]
    with look():
        figure = new_figure(2.6 * len(kinds) + 0.6, 5.4)
        for place, kind in enumerate(kinds):
            upper = figure.add_subplot(2, len(kinds), place + 1)
            lower = figure.add_subplot(2, len(kinds), len(kinds) + place + 1)
            for engine, colour in zip(engines, SERIES, strict=False):
                own = [row for row in rows if row["noise"] == kind and row["engine"] == engine]
                _kept(upper, sorted(own, key=lambda row: -row["decibels"]), engine, colour)
                _groups(lower, next(row for row in own if row["decibels"] == middle), colour)
            upper.set_title(kind, loc="left")
            upper.set_ylim(0, 1.02)
            upper.set_xticks(levels, [f"{level:g}" for level in levels])
            upper.set_xlim(max(levels) + 1, min(levels) - 1)  # noise grows to the right
            upper.set_xlabel("signal to noise, dB")
            lower.set_xlabel(f"median change at {middle:g} dB, SD")
            lower.set_xlim(left=0)
            if place:
                lower.set_yticklabels([])
            else:
                upper.set_ylabel("share of pairs")
                upper.legend(loc="lower left")
        figure.tight_layout(pad=0.6, w_pad=1.0, h_pad=1.4)
    return figure


def _kept(axes: Axes, own: Sequence[Row], engine: str, colour: str) -> None:
    level = [row["decibels"] for row in own]
    axes.plot(level, [_value(row["kept"]) for row in own], "-o", color=colour, markersize=3, label=f"{engine}: kept")
    precision = [_value(row["precision"]) for row in own]
    axes.plot(level, precision, ":", color=colour, label=f"{engine}: precision")


def _groups(axes: Axes, row: Row, colour: str) -> None:
    names = list(row["groups"])
    change = [_value(row["groups"][name]["change"]) for name in names]
    axes.plot(change, range(len(names)), "o", color=colour, markersize=4)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)


def draw_pairs(leads: Sequence[Row], deltas: Sequence[Row], label_sets: Sequence[str]) -> Figure:
    """AUROC of the cosine by lead, then lift and share of positives over delta.

    `leads` are rows with `name` and for each label set `auroc` and `auroc_sd`; `deltas` rows with `delta`, `positive`
    and for each label set `lift`.
    """
    with look():
        figure = new_figure(9.6, 3.4)
        left, middle, right = (figure.add_subplot(1, 3, place) for place in (1, 2, 3))
        x = [row["delta"] for row in deltas]
        for name, colour in zip(label_sets, SERIES, strict=False):
            auroc = [_value(row[name]["auroc"]) for row in leads]
            spread = [_value(row[name]["auroc_sd"]) for row in leads]
            left.errorbar(auroc, range(len(leads)), xerr=spread, fmt="o", markersize=4, color=colour, label=name)
            middle.plot(x, [_value(row[name]["lift"]) for row in deltas], "-o", markersize=3, color=colour, label=name)
        left.set_yticks(range(len(leads)), [row["name"] for row in leads])
        left.invert_yaxis()
        left.set_title("AUROC of the cosine", loc="left")
        middle.axhline(1.0, color=MUTED, linestyle=":")
        middle.set_title("Lift of positives", loc="left")
        right.plot(x, [_value(row["positive"]) for row in deltas], "-o", markersize=3, color=INK)
        right.set_yscale("log")
        right.set_title("Share of pairs that are positive", loc="left")
        for axes in (middle, right):
            axes.set_xlabel("delta")
        middle.legend(loc="upper left")
        figure.tight_layout(pad=0.6, w_pad=1.6)
    return figure


def _value(number: float | None) -> float:
    """NaN, which matplotlib draws as a gap, for what was not measured."""
    return math.nan if number is None else float(number)
