from __future__ import annotations

import math
from typing import Any

import numpy as np

from physioclr.report.benchmarks import draw_noise, draw_pairs, png


def noise_rows() -> list[dict[str, Any]]:
    return [
        {
            "noise": noise,
            "decibels": level,
            "engine": engine,
            "kept": 0.9 if engine == "batched" else None,
            "precision": 0.8,
            "groups": {"rr": {"change": level / 100}, "t_duration": {"change": 0.5}},
        }
        for noise in ("wander", "mains")
        for level in (0.0, 12.0, 24.0)
        for engine in ("batched", "prominence")
    ]


def test_each_noise_has_its_panels() -> None:
    figure = draw_noise(noise_rows())
    upper, lower = figure.axes[0], figure.axes[1]
    assert [axes.get_title(loc="left") for axes in figure.axes[::2]] == ["wander", "mains"]
    drawn = {str(line.get_label()): np.asarray(line.get_ydata()).tolist() for line in upper.get_lines()}
    assert drawn["batched: kept"] == [0.9, 0.9, 0.9]
    assert all(math.isnan(value) for value in drawn["prominence: kept"])
    assert upper.get_xlim()[0] > upper.get_xlim()[1], "noise grows to the right"
    assert np.asarray(lower.get_lines()[0].get_xdata()).tolist() == [0.12, 0.5], "the middle level"
    assert [text.get_text() for text in lower.get_yticklabels()] == ["rr", "t duration"]


def test_pairs_by_lead_and_delta() -> None:
    leads = [{"name": name, "AFIB": {"auroc": 0.9, "auroc_sd": 0.01}} for name in ("II", "pca")]
    deltas = [{"delta": d, "positive": 0.5 - d / 2, "AFIB": {"lift": 1 + d}} for d in (0.0, 0.5)]
    left, middle, right = draw_pairs(leads, deltas, ["AFIB"]).axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["II", "pca"]
    assert np.asarray(middle.get_lines()[0].get_ydata()).tolist() == [1.0, 1.5]
    assert right.get_yscale() == "log"


def test_a_picture_is_the_same_png_every_time() -> None:
    first, second = (png(draw_noise(noise_rows())) for _ in range(2))
    assert first == second
    assert first.startswith(b"\x89PNG")
    assert len(first) < 100_000
