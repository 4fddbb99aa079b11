"""Pictures of how good scores are: ROC, precision-recall and calibration, small multiples with one class each.

Shape legend: n recordings, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from physioclr.evaluation.calibration import Reliability, reliability
from physioclr.evaluation.curves import Points, precision_recall_curves, roc_curves
from physioclr.evaluation.metrics import both_outcomes
from physioclr.report.figure import BLUE, MUTED, new_figure, plain

Outcomes = NDArray[np.bool_]
Scores = NDArray[np.float64]
PANELS = 12  # classes drawn, those with most positives; tables have all
COLUMNS = 4
INCHES = 2.6
Curve = TypeVar("Curve")


def draw_roc(y: Outcomes, scores: Scores, classes: Sequence[str]) -> Figure | None:
    """ROC curve of each class; `y` bool and `scores` [n, C]. None where no class has both outcomes."""

    def one(axes: Axes, points: Points) -> None:
        axes.plot([0, 1], [0, 1], ":", color=MUTED)
        axes.plot(points.x, points.y, color=BLUE)

    return _grid(y, classes, roc_curves(y, scores, classes), one, ("1 - specificity", "sensitivity"))


def draw_precision_recall(y: Outcomes, scores: Scores, classes: Sequence[str]) -> Figure | None:
    """Precision against sensitivity of each class; dotted: its share of the recordings, which chance gives."""
    share = {name: float(y[:, column].mean()) for column, name in enumerate(classes)}

    def one(axes: Axes, points: Points) -> None:
        axes.step(points.x, points.y, where="pre", color=BLUE)

    figure = _grid(y, classes, precision_recall_curves(y, scores, classes), one, ("sensitivity", "precision"))
    if figure is not None:
        for axes in figure.axes:
            axes.axhline(share[axes.get_gid() or ""], linestyle=":", color=MUTED, linewidth=1.4)
    return figure


def draw_calibration(y: Outcomes, scores: Scores, classes: Sequence[str]) -> Figure | None:
    """Share of positives against the mean probability, in ten bins of equal count. On the diagonal: as it says."""

    def one(axes: Axes, curve: Reliability) -> None:
        axes.plot([0, 1], [0, 1], ":", color=MUTED)
        axes.plot(curve.probability, curve.share, "o-", color=BLUE, markersize=3)

    curves = reliability(y, scores, classes, strategy="count")
    both = {name for name, there in zip(classes, both_outcomes(y), strict=True) if there}
    kept = {name: curve for name, curve in curves.items() if name in both}
    return _grid(y, classes, kept, one, ("probability", "share"))


def _grid(
    y: Outcomes,
    classes: Sequence[str],
    curves: Mapping[str, Curve],
    draw: Callable[[Axes, Curve], None],
    axis_names: tuple[str, str],
) -> Figure | None:
    """A panel for each class that has a curve, the commonest first."""
    positives = dict(zip(classes, y.sum(axis=0).tolist(), strict=True))
    names = sorted(curves, key=lambda name: -positives[name])[:PANELS]
    if not names:
        return None
    columns = min(COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    figure = new_figure(INCHES * columns, INCHES * rows)
    for place, name in enumerate(names):
        axes = figure.add_subplot(rows, columns, place + 1)
        draw(axes, curves[name])
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        axes.set_gid(name)
        axes.set_title(plain(f"{name} ({positives[name]:,})"), loc="left")
        axes.set_xlabel(axis_names[0] if place >= len(names) - columns else "")
        axes.set_ylabel(axis_names[1] if place % columns == 0 else "")
    figure.tight_layout(pad=0.6)
    return figure
