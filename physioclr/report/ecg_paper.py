"""A 12-lead recording on ECG paper: 25 mm/s and 10 mm/mV, squares of 1 and 5 mm, waves shaded, one millimetre a unit.

Normalised signals (z-scored, or in NU) have no millivolts: they are drawn at a scale that fits, and it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from numpy.typing import ArrayLike, NDArray

from physioclr.ecg.leads import LEADS
from physioclr.report.figure import BLUE, GREEN, INK, MUTED, ORANGE, VERMILLION, bare, new_figure, plain

MM_PER_SECOND = 25.0
MM_PER_MV = 10.0
NORMALISED_SCALES = (5.0, 2.5, 2.0, 1.0, 0.5)  # mm per standard deviation
ROW_MM, MARGIN_MM, HEAD_MM = 22.0, 5.0, 6.0
WAVES = (("P wave", BLUE), ("QRS complex", ORANGE), ("T wave", GREEN))  # in the order of interval kinds 0, 1, 2
PAPER, SMALL_SQUARE, LARGE_SQUARE = "#fffafa", "#f9dede", "#efb9b9"


@dataclass(frozen=True, slots=True)
class _Strip:
    """One lead drawn in one place: samples [start, stop) at (x, y) mm, y being its zero line."""

    lead: int
    start: int
    stop: int
    x: float
    y: float


def draw_ecg(
    signal: ArrayLike,
    *,
    fs: float = 500.0,
    unit: str = "normalised",
    intervals: ArrayLike | None = None,
    interval_kinds: ArrayLike | None = None,
    reconstruction: ArrayLike | None = None,
    title: str = "",
) -> Figure:
    """`signal` [12, T] in lead order; 9 s or more in the standard 3 x 4 with a rhythm strip of II, else in 6 x 2.

    `unit` is "mV" or anything else, which is drawn as normalised. `intervals` int [I, 2] are [onset, offset) samples,
    `interval_kinds` [I] 0 = P, 1 = QRS, 2 = T; -1 pads. `reconstruction` [12, T] is drawn over the signal.
    Raises ValueError when shapes do not fit.
    """
    signal_LT = _twelve("signal", signal)
    drawn_LT = None if reconstruction is None else _twelve("reconstruction", reconstruction)
    if drawn_LT is not None and drawn_LT.shape != signal_LT.shape:
        raise ValueError(f"reconstruction {drawn_LT.shape} must have the signal's shape {signal_LT.shape}")
    waves = _waves(intervals, interval_kinds)
    strips, width, height = _layout(signal_LT.shape[1], fs)
    scale = MM_PER_MV if unit == "mV" else _normalised_scale(signal_LT)
    figure = new_figure(width / 25.4, (height + HEAD_MM) / 25.4)
    axes = figure.add_axes((0.0, 0.0, 1.0, height / (height + HEAD_MM)))
    _paper(axes, width, height)
    for strip in strips:
        _shade(axes, strip, waves, fs)
        _trace(axes, strip, signal_LT[strip.lead], scale, fs, color=INK, linewidth=0.7)
        if drawn_LT is not None:
            _trace(axes, strip, drawn_LT[strip.lead], scale, fs, color=VERMILLION, linewidth=0.7, alpha=0.85)
        axes.text(strip.x + 0.8, strip.y + 0.36 * ROW_MM, LEADS[strip.lead], fontsize=8, weight="bold", color=INK)
    _head(figure, title, _scale_words(unit, scale), waves, drawn_LT is not None)
    return figure


def _twelve(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] != len(LEADS) or array.shape[1] < 2:
        raise ValueError(f"{name} has shape {array.shape}; 12 leads x samples are drawn")
    return array


def _waves(intervals: ArrayLike | None, kinds: ArrayLike | None) -> list[tuple[int, int, int]]:
    """(kind, onset, offset) of every interval that is not padding; kind -1 where it is not known."""
    if intervals is None:
        return []
    pairs = np.asarray(intervals, dtype=np.int64).reshape(-1, 2)
    which = np.full(len(pairs), -1) if kinds is None else np.asarray(kinds, dtype=np.int64)
    if len(which) != len(pairs):
        raise ValueError(f"{len(which)} interval kinds for {len(pairs)} intervals; give one each")
    return [(int(kind), int(on), int(off)) for kind, (on, off) in zip(which, pairs, strict=True) if 0 <= on < off]


def _layout(samples: int, fs: float) -> tuple[list[_Strip], float, float]:
    """Strips, and the width and height of the paper in mm."""
    seconds = samples / fs
    if seconds < 9.0:
        columns, rows, cuts = 2, 6, [(0, samples)] * 2
    else:
        columns, rows = 4, 3
        edges = np.linspace(0, samples, columns + 1).astype(int)
        cuts = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    rhythm = columns == 4
    height = MARGIN_MM * 2 + ROW_MM * (rows + rhythm)
    strips, x = [], MARGIN_MM
    for column, (start, stop) in enumerate(cuts):
        for row in range(rows):
            strips.append(_Strip(column * rows + row, start, stop, x, height - MARGIN_MM - ROW_MM * (row + 0.5)))
        x += (stop - start) / fs * MM_PER_SECOND + (0.0 if rhythm else MARGIN_MM)
    if rhythm:
        strips.append(_Strip(LEADS.index("II"), 0, samples, MARGIN_MM, MARGIN_MM + ROW_MM / 2))
    return strips, x + (MARGIN_MM if rhythm else 0.0), height


def _normalised_scale(signal_LT: NDArray[np.float64]) -> float:
    """The largest scale at which 99.9 % of the samples stay within their row's share of the paper."""
    reach = float(np.nanquantile(np.abs(signal_LT), 0.999))
    return next((scale for scale in NORMALISED_SCALES if scale * reach <= 0.62 * ROW_MM), NORMALISED_SCALES[-1])


def _scale_words(unit: str, scale: float) -> str:
    return f"25 mm/s, {scale:g} mm/mV" if unit == "mV" else f"25 mm/s, normalised: {scale:g} mm per standard deviation"


def _paper(axes: Axes, width: float, height: float) -> None:
    bare(axes)
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.add_patch(Rectangle((0, 0), width, height, facecolor=PAPER, zorder=0))
    for step, color, thickness in ((1, SMALL_SQUARE, 0.35), (5, LARGE_SQUARE, 0.6)):
        upright = [((x, 0.0), (x, height)) for x in np.arange(0.0, width + 1e-6, step).tolist()]
        level = [((0.0, y), (width, y)) for y in np.arange(0.0, height + 1e-6, step).tolist()]
        axes.add_collection(LineCollection(upright + level, colors=color, linewidths=thickness, zorder=1))


def _shade(axes: Axes, strip: _Strip, waves: Sequence[tuple[int, int, int]], fs: float) -> None:
    for kind, onset, offset in waves:
        start, stop = max(onset, strip.start), min(offset, strip.stop)
        if start < stop:
            color = WAVES[kind][1] if 0 <= kind < len(WAVES) else MUTED
            x, wide = strip.x + (start - strip.start) / fs * MM_PER_SECOND, (stop - start) / fs * MM_PER_SECOND
            low, high = strip.y - 0.46 * ROW_MM, 0.92 * ROW_MM
            axes.add_patch(Rectangle((x, low), wide, high, facecolor=color, alpha=0.2, linewidth=0, zorder=2))


def _trace(
    axes: Axes, strip: _Strip, lead_T: NDArray[np.float64], scale: float, fs: float, **style: float | str
) -> None:
    samples = np.arange(strip.stop - strip.start)
    x = strip.x + samples / fs * MM_PER_SECOND
    axes.add_line(Line2D(x, strip.y + scale * lead_T[strip.start : strip.stop], zorder=3, **style))  # type: ignore[arg-type]


def _head(figure: Figure, title: str, scale: str, waves: Sequence[tuple[int, int, int]], overlaid: bool) -> None:
    kinds = {kind for kind, _, _ in waves}
    handles: list[Patch | Line2D] = [
        Patch(facecolor=color, alpha=0.3, label=name) for kind, (name, color) in enumerate(WAVES) if kind in kinds
    ]
    if -1 in kinds:
        handles.append(Patch(facecolor=MUTED, alpha=0.3, label="P, QRS or T"))
    if overlaid:
        handles += [
            Line2D([], [], color=INK, label="recorded"),
            Line2D([], [], color=VERMILLION, label="reconstructed"),
        ]
    figure.text(0.004, 0.992, plain(title), va="top", ha="left", fontsize=8, color=MUTED)
    figure.text(
        0.996, 0.004, scale, va="bottom", ha="right", fontsize=8, color=MUTED
    )  # long titles leave no room above
    if handles:
        figure.legend(handles=handles, loc="upper right", ncols=len(handles), borderpad=0.1, fontsize=8)
