"""The pictures and the table of how encoders went: what was measured is in them, what was not is left out."""

from __future__ import annotations

from typing import Any

import pytest

from physioclr.evaluation.signs import Course
from physioclr.report.signs import draw_against, draw_courses, signs_sections, signs_table


def course(method: str, weight: float | None, rise: float, **more: list[float]) -> Course:
    def of_seed(seed: int) -> list[dict[str, Any]]:
        return [
            {
                "kind": "epoch" if epoch else "untrained",
                "epoch": epoch,
                "probe_auroc": 0.6 + rise * epoch + 0.01 * seed,
                "patient_retrieval": 0.3 + 0.1 * epoch,
                "patient_retrieval_chance": 0.01,
                **{key: values[epoch] for key, values in more.items()},
            }
            for epoch in range(4)
        ]

    return Course(method, {seed: of_seed(seed) for seed in (0, 1)}, weight)


COURSES = [
    course("none", 0.0, 0.05),
    course("some $", 1.0, 0.02, reconstruction_global=[1.0, 0.8, 0.7, 0.6]),
    course("much", 25.0, -0.05),
    course("a baseline", None, 0.01),
]


def test_a_panel_a_sign_and_a_line_a_method() -> None:
    axes = {each.get_title(loc="left"): each for each in draw_courses(COURSES).axes}
    assert list(axes) == ["Linear probe, macro-AUROC", "Nearest is of the same patient", "Reconstruction error"]
    lines = axes["Linear probe, macro-AUROC"].get_lines()
    assert [line.get_label() for line in lines] == ["none", r"some \$", "much", "a baseline"]
    assert list(lines[0].get_ydata()) == pytest.approx([0.605, 0.655, 0.705, 0.755])
    assert len(axes["Nearest is of the same patient"].get_lines()) == 5, "chance too"
    assert len(axes["Reconstruction error"].get_lines()) == 1


def test_the_scatter_has_retrieval_and_where_they_differ_weights() -> None:
    figure = draw_against(COURSES)
    assert figure is not None
    retrieval, weights = figure.axes
    assert list(retrieval.get_lines()[0].get_xdata()) == pytest.approx([0.3, 0.4, 0.5, 0.6])
    large = [line for line in weights.get_lines() if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in large] == [0.0, 1.0, 25.0]
    same = draw_against([course("a", 0.2, 0.1), course("b", 0.2, 0.2)])
    assert same is not None
    assert len(same.axes) == 1


def test_nothing_measured_is_nothing_drawn() -> None:
    assert signs_sections([]) == []
    assert signs_sections([Course("one", {0: [{"kind": "epoch", "epoch": 1, "loss": 2.0}]})]) == []
    assert draw_against([Course("one", {0: []})]) is None


def test_the_table_has_the_last_epoch_and_where_it_came_from() -> None:
    row = dict(zip(signs_table(COURSES).columns, signs_table(COURSES).rows[2], strict=True))
    assert row[""] == "much"
    assert row["alpha"] == 25.0
    assert row["probe AUROC"] == pytest.approx(0.455)
    assert row["before training"] == pytest.approx(0.605)
    assert row["patient retrieval"] == pytest.approx(0.6)
    assert row["rank correlation of retrieval and AUROC over epochs"] == pytest.approx(-1.0)
