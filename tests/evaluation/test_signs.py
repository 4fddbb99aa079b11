"""Figures of encoders over their epochs: means over seeds, and how two of them go together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from physioclr.evaluation.signs import AUROC, RETRIEVAL, Course, rank_correlation


def rows(**series: list[Any]) -> list[dict[str, Any]]:
    """Epoch 0 is the untrained row; rows of steps lie between and are no part of it."""
    found: list[dict[str, Any]] = []
    for epoch in range(len(next(iter(series.values())))):
        found.append({"kind": "step", "step": epoch, AUROC: 9.0})
        kind = "epoch" if epoch else "untrained"
        found.append({"kind": kind, "epoch": epoch, **{key: values[epoch] for key, values in series.items()}})
    return found


def test_a_point_is_the_mean_of_the_seeds_that_have_it() -> None:
    course = Course("one", {0: rows(probe_auroc=[0.5, 0.6, None]), 1: rows(probe_auroc=[0.7, 0.8, 0.9, float("nan")])})
    assert course.points(AUROC) == [(0, pytest.approx(0.6)), (1, pytest.approx(0.7)), (2, pytest.approx(0.9))]
    assert course.last(AUROC) == pytest.approx(0.9)
    assert course.points(RETRIEVAL) == []
    assert math.isnan(course.last(RETRIEVAL))


def test_retrieval_and_probe_are_compared_epoch_by_epoch() -> None:
    course = Course("one", {0: rows(probe_auroc=[0.5, 0.6, 0.7, 0.8], patient_retrieval=[0.4, 0.3, 0.2, None])})
    assert course.together(RETRIEVAL, AUROC) == pytest.approx(-1.0)
    assert math.isnan(course.together("effective_rank", AUROC))


def mean_ranks(values: list[float]) -> list[float]:
    return [sum(other < one for other in values) + (sum(other == one for other in values) + 1) / 2 for one in values]


def test_the_rank_correlation_is_pearsons_of_mean_ranks() -> None:
    generator = np.random.default_rng(0)
    pairs = [(float(a), float(b)) for a, b in generator.integers(0, 5, (12, 2))]
    first, second = (mean_ranks([pair[side] for pair in pairs]) for side in (0, 1))
    assert rank_correlation(pairs) == pytest.approx(np.corrcoef(first, second)[0, 1])


@pytest.mark.parametrize("pairs", [[], [(1.0, 2.0), (2.0, 3.0)], [(1.0, 2.0), (1.0, 3.0), (1.0, 4.0)]])
def test_without_change_there_is_no_correlation(pairs: list[tuple[float, float]]) -> None:
    assert math.isnan(rank_correlation(pairs))
