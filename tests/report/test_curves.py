from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from physioclr.report.curves import PANELS, draw_curves


def _rows(**series: list[Any]) -> list[dict[str, Any]]:
    length = len(next(iter(series.values())))
    return [
        {"kind": "epoch", "epoch": epoch, **{key: values[epoch] for key, values in series.items()}}
        for epoch in range(length)
    ]


def _drawn(figure: Figure | None) -> dict[str, dict[str, list[float]]]:
    """Panel title -> line name -> values."""
    assert figure is not None
    return {
        axes.get_title(loc="left"): {
            str(line.get_label()): np.asarray(line.get_ydata(), dtype=float).tolist() for line in axes.get_lines()
        }
        for axes in figure.axes
    }


def test_only_what_was_measured_is_drawn() -> None:
    drawn = _drawn(draw_curves(_rows(loss=[3.0, 2.0], validation_loss=[3.5, 2.5], unknown=[1.0, 1.0])))
    assert drawn == {"Loss": {"total": [3.0, 2.0], "total, validation": [3.5, 2.5]}}


def test_every_panel_appears_when_everything_is_measured() -> None:
    keys = [key for panel in PANELS for key, _ in panel.lines] + [panel.chance for panel in PANELS if panel.chance]
    drawn = _drawn(draw_curves(_rows(**{str(key): [0.5, 0.6] for key in keys})))
    assert list(drawn) == [panel.title for panel in PANELS]
    assert drawn["Nearest is of the same patient"].keys() == {"segments", "chance"}
    assert drawn["Linear probe, macro-AUROC"].keys() == {"this encoder", "random encoder"}


def test_an_epoch_not_measured_is_passed_over_and_nan_is_a_gap() -> None:
    drawn = _drawn(draw_curves(_rows(loss=[3.0, math.nan, 2.0], probe_auroc=[0.7, None, 0.8])))
    assert drawn["Linear probe, macro-AUROC"]["this encoder"] == [0.7, 0.8]
    assert math.isnan(drawn["Loss"]["total"][1])


def test_chance_alone_is_no_panel() -> None:
    assert draw_curves(_rows(patient_retrieval=[None], patient_retrieval_chance=[0.01])) is None


def test_only_epoch_rows_count_and_their_order_does_not() -> None:
    rows = _rows(loss=[3.0, 2.0, 1.0])[::-1]
    rows += [{"kind": "step", "epoch": 0, "step": 3, "loss": 9.0}, {"kind": "start"}]
    assert _drawn(draw_curves(rows))["Loss"]["total"] == [3.0, 2.0, 1.0]


def test_no_rows_no_figure() -> None:
    assert draw_curves([]) is None
