"""The picture of a comparison."""

from __future__ import annotations

from physioclr.evaluation.bootstrap import Interval
from physioclr.evaluation.comparison import Compared
from physioclr.report.comparison import ACROSS, draw_comparison
from physioclr.report.target import METRIC, TargetTable


def test_many_columns_go_below_each_other() -> None:
    columns = [f"task {number}" for number in range(2 * ACROSS + 1)]
    methods = ["one", "other"]
    found = Compared(figures={METRIC: Interval(0.8, 0.7, 0.9, 100)}, by_seed={METRIC: (0.79, 0.81)}, difference={})
    table = TargetTable("here", methods, columns, {(name, column): found for name in methods for column in columns}, {})
    figure = draw_comparison(table, "one")
    few = draw_comparison(TargetTable("here", methods, columns[:ACROSS], table.cells, {}), "one")
    assert figure.get_figwidth() == few.get_figwidth()
    assert figure.get_figheight() > 2 * few.get_figheight() * 0.9
    named = [place for place, axes in enumerate(figure.axes) if axes.get_yticklabels()[0].get_text() == "one"]
    assert named == [0, ACROSS, 2 * ACROSS], "each row of panels names the methods"
