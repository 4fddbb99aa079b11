"""How every picture is drawn: one look, no global matplotlib state, and out as an SVG to put into a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import Any, cast

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe & Ito's palette, told apart by colour-blind readers too.
BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, ORANGE, YELLOW = "#56B4E9", "#E69F00", "#F0E442"
INK, MUTED, RULE = "#1f2933", "#6b7785", "#dfe3e8"
DASHES = ("-", "--", ":", "-.")
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, INK)

LOOK: dict[str, Any] = {
    "font.family": ["DejaVu Sans"],  # comes with matplotlib: the same text on every machine
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.4,
    "svg.hashsalt": "physioclr",  # equal pictures are equal bytes
}


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG as a data URI, with its description for readers who do not see it, and its width in CSS pixels."""

    uri: str
    alt: str
    width: int


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of `width` x `height` inches, apart from pyplot."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def look() -> Any:
    """Context in which figures are drawn and written."""
    return matplotlib.rc_context(cast(Any, LOOK))  # its stubs list every key


def picture(figure: Figure, alt: str) -> Picture:
    """The figure as a self-contained SVG; text becomes outlines, so it needs no font where it is read."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(f"data:image/svg+xml;base64,{encoded}", alt, round(figure.get_figwidth() * 96))


def plain(text: object) -> str:
    """Text that matplotlib draws as it is: a pair of dollar signs would be read as a formula."""
    return str(text).replace("$", r"\$")


def styles(count: int) -> list[tuple[str, str]]:
    """Colour and dashes of each of so many lines: after the colours come the same ones dashed."""
    return [(SERIES[place % len(SERIES)], DASHES[place // len(SERIES) % len(DASHES)]) for place in range(count)]


def legend_at_right(figure: Figure, inches: float) -> None:
    """One legend for all panels, to their right, and the layout that leaves room for it."""
    named = {label: line for axes in figure.axes for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    right = 1 - inches / figure.get_figwidth()
    figure.tight_layout(pad=0.6, w_pad=1.4, rect=(0, 0, right, 1))
    figure.legend(list(named.values()), list(named), loc="center left", bbox_to_anchor=(right, 0.5))


def bare(axes: Axes) -> None:
    """No ticks, frame or grid."""
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
