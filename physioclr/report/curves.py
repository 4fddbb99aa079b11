"""Training curves: small multiples over epochs, one idea a panel, chance beside whatever chance can explain."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, MaxNLocator, NullLocator

from physioclr.report.figure import MUTED, SERIES, new_figure, plain

Row = Mapping[str, Any]
VALIDATION = "validation_"  # a key with this prefix is the same quantity on validation, drawn dashed


@dataclass(frozen=True, slots=True)
class Panel:
    """One small multiple. `lines` are (key, what it is called); `chance` is a key drawn as a dotted grey line."""

    title: str
    lines: tuple[tuple[str, str], ...]
    chance: str | None = None
    log: bool = False


PANELS = (
    Panel("Loss", (("loss", "total"), ("contrastive", "contrastive"))),
    Panel("Reconstruction error", (("reconstruction_global", "whole segment"), ("reconstruction_peak", "P, QRS, T"))),
    Panel(
        "Pairs of an anchor",
        (
            ("positives_mean", "positives |P|"),
            ("feature_positives_mean", "by features"),
            ("negatives_mean", "negatives |N|"),
        ),
        log=True,
    ),
    Panel(
        "Left out, share of segments",
        (
            ("anchors_without_negatives", "no negatives"),
            ("anchors_without_positives", "no positives"),
            ("not_shuffled", "not shuffled"),
            ("without_peak_mask", "no waves found"),
            ("without_features", "no features"),
        ),
    ),
    Panel("Feature pairs that share a label", (("pair_agreement", "feature pairs"),), chance="pair_agreement_chance"),
    Panel("Cosine of positive pairs", (("alignment", "mean"),)),
    Panel("Effective rank of embeddings", (("effective_rank", "segments"),)),
    Panel("Uniformity (0 = collapsed)", (("uniformity", "segments"),)),
    Panel("Distance of halves, squared", (("record_alignment", "segments"),)),
    Panel("Nearest is of the same patient", (("patient_retrieval", "segments"),), chance="patient_retrieval_chance"),
    Panel("Nearest is the other half", (("record_retrieval", "segments"),), chance="record_retrieval_chance"),
    Panel("Linear probe, macro-AUROC", (("probe_auroc", "this encoder"),), chance="probe_auroc_random"),
)


def draw_curves(rows: Sequence[Row], panels: Sequence[Panel] = PANELS, columns: int = 3) -> Figure | None:
    """Curves from the metrics rows of kind "epoch"; panels without a number are left out. None if nothing is left.

    An epoch without the key, or with None, was not measured and is passed over; a NaN is a gap in the line.
    """
    epochs = sorted(
        (row for row in rows if row.get("kind") == "epoch" and "epoch" in row), key=lambda row: row["epoch"]
    )
    kept = [panel for panel in panels if _present(epochs, panel)]
    if not kept:
        return None
    height = math.ceil(len(kept) / columns)
    figure = new_figure(3.5 * columns, 2.25 * height)
    for place, panel in enumerate(kept):
        axes = figure.add_subplot(height, columns, place + 1)
        _draw(axes, epochs, panel)
        if place >= len(kept) - columns:
            axes.set_xlabel("epoch")
    figure.tight_layout(pad=0.6, w_pad=1.6, h_pad=1.4)
    return figure


def _draw(axes: Axes, epochs: Sequence[Row], panel: Panel) -> None:
    for (key, name), color in zip(panel.lines, SERIES, strict=False):
        for prefix, dashes, suffix in (("", "-", ""), (VALIDATION, "--", ", validation")):
            _line(axes, epochs, prefix + key, dashes, color, name + suffix)
    if panel.chance is not None:
        _line(
            axes, epochs, panel.chance, ":", MUTED, "random encoder" if panel.chance.endswith("_random") else "chance"
        )
    if panel.log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.set_title(panel.title, loc="left")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.margins(y=0.15)
    _legend(axes)


def _line(axes: Axes, epochs: Sequence[Row], key: str, dashes: str, color: str, name: str) -> None:
    measured = [(row["epoch"], _number(row[key])) for row in epochs if row.get(key) is not None]
    if any(math.isfinite(value) for _, value in measured):
        marker = "o" if len(measured) < 15 and dashes != ":" else None
        x, y = zip(*measured, strict=True)
        axes.plot(x, y, dashes, color=color, marker=marker, markersize=2.5, label=plain(name))


def _legend(axes: Axes) -> None:
    """Where there is room; many lines leave none, so the axis is made longer and they stand above the curves."""
    lines = len(axes.get_lines())
    if lines > 3:
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + (high - low) * 0.16 * math.ceil(lines / 2))
    axes.legend(
        loc="upper left" if lines > 3 else "best",
        ncols=2 if lines > 3 else 1,
        handlelength=1.6,
        labelspacing=0.3,
        columnspacing=1.2,
        borderpad=0.2,
    )


def _present(epochs: Sequence[Row], panel: Panel) -> bool:
    keys = [prefix + key for key, _ in panel.lines for prefix in ("", VALIDATION)]
    return any(math.isfinite(_number(row.get(key))) for row in epochs for key in keys)


def _number(value: object) -> float:
    """NaN, which matplotlib draws as a gap, for what is not a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
