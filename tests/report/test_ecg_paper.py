from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from physioclr.ecg.leads import LEADS
from physioclr.report.ecg_paper import WAVES, draw_ecg

STEP = np.zeros((12, 2500))
STEP[:, 500:1000] = 1.0 + np.arange(12)[:, None] / 100  # told apart by its height


def _axes(figure: Figure) -> Axes:
    (axes,) = figure.axes
    return axes


def _traces(figure: Figure) -> list[Line2D]:
    return list(_axes(figure).lines)


def _words(figure: Figure) -> str:
    return " ".join(text.get_text() for text in [*figure.texts, *(t for one in figure.legends for t in one.texts)])


def test_one_millivolt_is_ten_millimetres_and_one_second_twenty_five() -> None:
    figure = draw_ecg(STEP, unit="mV", fs=500)
    axes = _axes(figure)
    for trace in _traces(figure):
        x, y = (np.asarray(values, dtype=float) for values in trace.get_data())
        assert 10.0 <= np.ptp(y) <= 11.1 + 1e-6
        assert np.flatnonzero(np.diff(y) > 1)[0] == 499
        assert x[1000] - x[500] == pytest.approx(25.0)
    # the paper is as large on the page as it says: a millimetre is a millimetre
    width_mm = np.ptp(axes.get_xlim())
    height_mm = np.ptp(axes.get_ylim())
    box = axes.get_window_extent()
    assert box.width / figure.dpi * 25.4 == pytest.approx(width_mm, rel=1e-3)
    assert box.height / figure.dpi * 25.4 == pytest.approx(height_mm, rel=1e-3)
    assert "25 mm/s, 10 mm/mV" in _words(figure)


def test_normalised_signals_are_not_said_to_be_millivolts() -> None:
    figure = draw_ecg(STEP * 5)
    assert "normalised" in _words(figure)
    assert "mV" not in _words(figure)


def test_five_seconds_show_every_lead_once_in_full() -> None:
    figure = draw_ecg(STEP)
    traces = _traces(figure)
    assert len(traces) == 12
    assert {len(np.asarray(trace.get_xdata())) for trace in traces} == {2500}
    assert [text.get_text() for text in _axes(figure).texts] == list(LEADS)


def test_ten_seconds_are_three_rows_of_four_and_a_rhythm_strip_of_lead_two() -> None:
    signal = np.tile(np.arange(12.0)[:, None], (1, 5000))
    figure = draw_ecg(signal, unit="mV")
    lengths = [len(np.asarray(trace.get_xdata())) for trace in _traces(figure)]
    assert lengths == [1250] * 12 + [5000]
    starts = [float(np.asarray(trace.get_xdata())[0]) for trace in _traces(figure)]
    assert len(set(starts[:3])) == 1
    assert starts[3] - starts[0] == pytest.approx(2.5 * 25)
    assert [text.get_text() for text in _axes(figure).texts] == [*LEADS, "II"]


def _shades(figure: Figure) -> list[Rectangle]:
    patches = _axes(figure).patches
    return [patch for patch in patches if isinstance(patch, Rectangle) and patch.get_alpha() is not None]


def test_each_wave_is_shaded_in_its_colour_on_every_lead_where_it_is() -> None:
    intervals = np.array([[250, 300], [500, 550], [700, 800], [-1, -1]])
    figure = draw_ecg(STEP, intervals=intervals, interval_kinds=np.array([0, 1, 2, -1]))
    shades = _shades(figure)
    assert len(shades) == 3 * 12
    assert len({shade.get_facecolor() for shade in shades}) == 3
    first = _traces(figure)[0].get_xdata()
    assert shades[0].get_x() == pytest.approx(np.asarray(first)[250])
    assert [shade.get_width() for shade in shades[:3]] == pytest.approx([2.5, 2.5, 5.0])
    for name, _ in WAVES:
        assert name in _words(figure)


def test_shading_in_the_standard_layout_is_cut_at_the_edge_of_a_strip() -> None:
    figure = draw_ecg(np.tile(STEP, 2), intervals=[[1200, 1300]], interval_kinds=[1])
    widths = sorted(shade.get_width() for shade in _shades(figure))
    assert widths == pytest.approx([2.5] * 6 + [5.0])  # the ends in six strips, the whole in the rhythm strip


def test_intervals_without_kinds_are_shaded_in_one_colour() -> None:
    figure = draw_ecg(STEP, intervals=[[0, 10], [20, 30]])
    assert len({shade.get_facecolor() for shade in _shades(figure)}) == 1
    assert "P, QRS or T" in _words(figure)


def test_a_reconstruction_is_drawn_over_the_signal_at_its_scale() -> None:
    figure = draw_ecg(STEP, reconstruction=STEP * 0.5)
    traces = _traces(figure)
    assert len(traces) == 24
    recorded, rebuilt = (np.ptp(np.asarray(trace.get_ydata(), dtype=float)) for trace in traces[:2])
    assert rebuilt == pytest.approx(recorded / 2)
    assert "reconstructed" in _words(figure)


def test_dollars_in_a_record_id_are_no_formula() -> None:
    figure = draw_ecg(STEP, title="a$x_{$b")
    figure.canvas.draw()  # would raise on a broken formula


@pytest.mark.parametrize(
    "wrong",
    [
        {"signal": np.zeros((11, 2500))},
        {"signal": STEP, "reconstruction": np.zeros((12, 2499))},
        {"signal": STEP, "intervals": [[0, 10]], "interval_kinds": [0, 1]},
    ],
)
def test_shapes_that_do_not_fit_are_refused(wrong: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match=r"shape|must|one"):
        draw_ecg(**wrong)
