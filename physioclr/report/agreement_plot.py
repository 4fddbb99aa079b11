"""Bland-Altman plots: the difference of two measurements over their mean, with bias and limits of agreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from physioclr.evaluation.agreement import limits_of_agreement
from physioclr.report.figure import BLUE, INK, MUTED, VERMILLION, new_figure, plain

_BEYOND = 1.6  # the axis reaches this many times as far as the limits; what lies farther out is drawn at its end


@dataclass(frozen=True, slots=True)
class Panel:
    """One measure: pairs of `values` and `reference` [pairs], NaN where not measured, in `unit`."""

    title: str
    unit: str
    values: NDArray[np.float64]
    reference: NDArray[np.float64]


def draw_agreement(panels: Sequence[Panel], names: tuple[str, str]) -> Figure | None:
    """A panel for each measure that has two pairs or more, side by side; `names` are those of values and reference.

    Triangles at the upper and lower end are pairs that differ by more than the axis reaches. None without any panel.
    """
    kept = [panel for panel in panels if limits_of_agreement(panel.values, panel.reference).count > 1]
    if not kept:
        return None
    figure = new_figure(2.7 * len(kept), 2.7)
    for place, panel in enumerate(kept):
        axes = figure.add_subplot(1, len(kept), place + 1)
        _draw(axes, panel)
        axes.set_xlabel(f"mean, {plain(panel.unit)}")
        if place == 0:
            axes.set_ylabel(plain(f"{names[0]} - {names[1]}"))
    figure.tight_layout(pad=0.5, w_pad=1.0)
    return figure


def _draw(axes: Axes, panel: Panel) -> None:
    limits = limits_of_agreement(panel.values, panel.reference)
    known = ~np.isnan(panel.values) & ~np.isnan(panel.reference)
    mean = (panel.values + panel.reference)[known] / 2
    difference = (panel.values - panel.reference)[known]
    reach = max(_BEYOND * max(abs(limits.low), abs(limits.high)), 1e-9)
    for sign, marker in ((1.0, "^"), (-1.0, "v")):
        beyond = sign * difference > reach
        _dots(axes, mean[beyond], np.full(int(beyond.sum()), sign * reach), marker, VERMILLION, 12)
    inside = np.abs(difference) <= reach
    _dots(axes, mean[inside], difference[inside], "o", BLUE, 5)
    axes.axhline(limits.bias, color=INK, linewidth=1.0)
    for limit in (limits.low, limits.high):
        axes.axhline(limit, color=MUTED, linewidth=1.0, linestyle="--")
    axes.set_ylim(-1.08 * reach, 1.08 * reach)
    text = f"{limits.bias:+.1f} ({limits.low:.1f} to {limits.high:.1f}), r = {limits.correlation:.3f}"
    axes.set_title(plain(panel.title), loc="left", pad=18)
    axes.text(0.0, 1.03, text, transform=axes.transAxes, fontsize=8)


def _dots(axes: Axes, x: Any, y: Any, marker: str, color: str, size: float) -> None:
    axes.scatter(x, y, s=size, marker=marker, color=color, alpha=0.35, linewidths=0, rasterized=True)
