"""A comparison under noise as pictures and tables: a panel a kind, a line a method, every level."""

from __future__ import annotations

import pytest

from physioclr.evaluation.bootstrap import Interval
from physioclr.evaluation.comparison import Compared
from physioclr.report.noise import NoiseTable, draw_noise_levels, noise_markdown, noise_sections
from physioclr.report.target import TargetTable

COLUMNS = ["clean", "12 dB", "0 dB"]
METHODS = ["ours/finetune", "theirs/probe"]


def table(kind: str, loss: float) -> NoiseTable:
    def cell(place: int, method: int) -> Compared:
        value = 0.9 - loss * place - 0.05 * method
        figure = Interval(value, value - 0.02, value + 0.02, 10)
        gap = {"auroc": Interval(-0.05, -0.07, -0.03, 10)} if method else {}
        return Compared({"auroc": figure, "auprc": figure}, {"auroc": (value,)}, gap)

    cells = {
        (name, column): cell(place, method)
        for method, name in enumerate(METHODS)
        for place, column in enumerate(COLUMNS)
    }
    return NoiseTable("ptb", "afib 100 %", kind, TargetTable("ptb", METHODS, COLUMNS, cells, {}))


TABLES = [table("mains", 0.01), table("mix", 0.1)]


def test_a_panel_a_kind_and_a_line_a_method() -> None:
    figure = draw_noise_levels(TABLES, METHODS[0])
    mains, mix = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["mains", "mix"]
    assert [line.get_label() for line in mix.get_lines()] == METHODS
    assert list(mix.get_lines()[1].get_ydata()) == pytest.approx([0.85, 0.75, 0.65])
    assert [label.get_text() for label in mains.get_xticklabels()] == ["clean", "12", "0"]
    assert mains.get_ylim() == mix.get_ylim(), "one axis, to compare kinds"
    assert len(mains.collections) == 1, "the interval of the reference"


def test_tables_have_every_kind_and_level() -> None:
    text = noise_markdown(TABLES, METHODS[0])
    assert "## ptb, afib 100 %: mains" in text
    assert "| theirs/probe | 0.850 (0.830 to 0.870) | 0.750 (0.730 to 0.770) | 0.650 (0.630 to 0.670) |" in text
    assert "| theirs/probe | -0.050 (-0.070 to -0.030) |" in text
    figures, gaps = noise_sections(TABLES, METHODS[0])
    assert figures.table is not None
    assert gaps.table is not None
    assert [row[:2] for row in figures.table.rows] == [(kind, name) for kind in ("mains", "mix") for name in METHODS]
    assert gaps.table.rows[0][2:] == (None, None, None), "the reference has no difference to itself"


def test_without_noise_there_is_nothing() -> None:
    assert noise_markdown([], "a/b") == ""
    assert noise_sections([], "a/b") == []
