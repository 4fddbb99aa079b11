from __future__ import annotations

import numpy as np

from physioclr.report.agreement_plot import Panel, draw_agreement

REFERENCE = np.array([600.0, 700.0, 800.0, 900.0, 1000.0, np.nan])


def panel(differences: list[float]) -> Panel:
    return Panel("RR", "ms", REFERENCE + np.array([*differences, 0.0]), REFERENCE)


def test_bias_and_limits_are_drawn_where_they_are() -> None:
    differences = [1.0, 2.0, 3.0, 4.0, 5.0]
    figure = draw_agreement([panel(differences)], ("one", "other"))
    assert figure is not None
    (axes,) = figure.axes
    heights = sorted(line.get_ydata()[0] for line in axes.get_lines())
    reach = 1.96 * np.std(differences, ddof=1)
    np.testing.assert_allclose(heights, [3 - reach, 3, 3 + reach])
    assert axes.texts[0].get_text().startswith("+3.0 (")
    assert axes.get_ylabel() == "one - other"


def test_no_pair_is_lost_beyond_the_axis() -> None:
    generator = np.random.default_rng(0)
    reference = np.full(400, 800.0)
    differences = generator.normal(size=400)
    differences[:3] = [300.0, 310.0, -320.0]
    figure = draw_agreement([Panel("RR", "ms", reference + differences, reference)], ("one", "other"))
    assert figure is not None
    (axes,) = figure.axes
    drawn = np.concatenate([dots.get_offsets() for dots in axes.collections])
    assert len(drawn) == 400
    low, high = axes.get_ylim()
    assert (drawn[:, 1] > low).all()
    assert (drawn[:, 1] < high).all()
    assert (np.sort(drawn[:, 1])[-2:] > 0.9 * high).all()
    assert drawn[:, 1].min() < 0.9 * low


def test_a_measure_without_pairs_has_no_panel() -> None:
    empty = Panel("QTc", "ms", REFERENCE * np.nan, REFERENCE)
    figure = draw_agreement([empty, panel([0.0, 0.0, 0.0, 0.0, 0.0])], ("one", "other"))
    assert figure is not None
    assert len(figure.axes) == 1
    assert draw_agreement([empty], ("one", "other")) is None
