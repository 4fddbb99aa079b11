"""An anchor segment above its nearest positives and its most similar negatives: what the loss pulls and pushes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from physioclr.ecg.leads import LEADS
from physioclr.report.figure import BLUE, INK, MUTED, VERMILLION, bare, new_figure, plain

LEADS_SHOWN = ("II", "V5")
ROW_INCHES, WIDTH_INCHES = 0.82, 10.5
NAMES = {"positive": ("positive", BLUE), "negative": ("negative", VERMILLION)}


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another segment as an anchor sees it.

    `signal` [12, T] z-scored; `half` 0 or 1; `similarity` is the cosine of the embeddings, `feature_cosine` that of the
    reduced features, None where one of the two has no features.
    """

    record_id: str
    half: int
    signal: NDArray[np.float32]
    relation: Literal["positive", "negative"]
    similarity: float
    feature_cosine: float | None


def draw_neighbours(
    anchor: NDArray[np.float32],
    neighbours: Sequence[Neighbour],
    *,
    anchor_name: str,
    fs: float = 500.0,
    leads: Sequence[str] = LEADS_SHOWN,
) -> Figure:
    """Rows: the anchor [12, T], then positives and negatives, each most similar first. Columns: text and `leads`.

    All traces share one vertical scale, so that amplitudes can be compared.
    """
    ordered = sorted(neighbours, key=lambda one: (one.relation != "positive", -one.similarity))
    rows = len(ordered) + 1
    figure = new_figure(WIDTH_INCHES, ROW_INCHES * rows + 0.3)
    inside = {"left": 0.005, "right": 0.995, "top": 1 - 0.25 / figure.get_figheight(), "bottom": 0.02}
    widths = [0.55] + [1.0] * len(leads)
    grid = figure.add_gridspec(rows, len(widths), width_ratios=widths, hspace=0.06, wspace=0.03, **inside)
    signals = [np.asarray(anchor), *(one.signal for one in ordered)]
    limits = _limits(signals, leads)
    for row, signal in enumerate(signals):
        one = ordered[row - 1] if row else None
        color = NAMES[one.relation][1] if one else INK
        _describe(figure.add_subplot(grid[row, 0]), one, anchor_name, color)
        for column, lead in enumerate(leads, start=1):
            axes = figure.add_subplot(grid[row, column])
            _trace(axes, signal[LEADS.index(lead)], fs, limits, color, tinted=row == 0)
            if row == 0:
                axes.set_title(f"lead {lead}", loc="left")
    return figure


def _limits(signals: Sequence[NDArray[np.float32]], leads: Sequence[str]) -> tuple[float, float]:
    shown = np.concatenate([signal[[LEADS.index(lead) for lead in leads]].ravel() for signal in signals])
    low, high = np.nanquantile(shown, [0.0005, 0.9995])
    room = 0.08 * max(float(high - low), 1e-6)
    return float(low) - room, float(high) + room


def _describe(axes: Axes, one: Neighbour | None, anchor_name: str, color: str) -> None:
    bare(axes)
    head = "anchor" if one is None else NAMES[one.relation][0]
    name = anchor_name if one is None else f"{one.record_id}, half {one.half + 1}"
    axes.text(0.0, 0.74, head, color=color, weight="bold", fontsize=9.5, va="center")
    axes.text(0.0, 0.48, plain(_short(name)), color=INK, fontsize=8, va="center")
    if one is not None:
        features = "none" if one.feature_cosine is None else f"{one.feature_cosine:.2f}"
        words = f"similarity {one.similarity:.2f}, features {features}"
        axes.text(0.0, 0.24, words, color=MUTED, fontsize=8, va="center")


def _trace(
    axes: Axes, lead_T: NDArray[np.float32], fs: float, limits: tuple[float, float], color: str, tinted: bool
) -> None:
    bare(axes)
    if tinted:
        axes.set_facecolor("#f3f5f8")
    axes.plot(np.arange(len(lead_T)) / fs, lead_T, color=color, linewidth=0.8)
    axes.set_xlim(0, len(lead_T) / fs)
    axes.set_ylim(*limits)


def _short(name: str, most: int = 38) -> str:
    return name if len(name) <= most else name[: most // 2 - 1] + "…" + name[-most // 2 :]
