from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from physioclr.report.neighbours import Neighbour, draw_neighbours


def _signal(value: float) -> np.ndarray:
    return np.full((12, 50), value, dtype=np.float32) + np.arange(12, dtype=np.float32)[:, None] / 10


def _texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


NEIGHBOURS = [
    Neighbour("n-far", 0, _signal(4), "negative", 0.1, -0.5),
    Neighbour("p-far", 1, _signal(2), "positive", 0.3, 0.4),
    Neighbour("n-near", 0, _signal(3), "negative", 0.8, None),
    Neighbour("p-near", 0, _signal(1), "positive", 0.9, 0.75),
]


def test_positives_come_before_negatives_and_the_most_similar_first() -> None:
    texts = _texts(draw_neighbours(_signal(0), NEIGHBOURS, anchor_name="me"))
    names = [text for text in texts if text.endswith(("half 1", "half 2")) or text == "me"]
    assert names == ["me", "p-near, half 1", "p-far, half 2", "n-near, half 1", "n-far, half 1"]


def test_similarity_and_features_are_written() -> None:
    texts = _texts(draw_neighbours(_signal(0), NEIGHBOURS, anchor_name="me"))
    assert "similarity 0.90, features 0.75" in texts
    assert "similarity 0.80, features none" in texts


def test_the_leads_asked_for_are_drawn_at_one_scale() -> None:
    figure = draw_neighbours(_signal(0), NEIGHBOURS, anchor_name="me", leads=("II", "V1"))
    traces = [axes for axes in figure.axes if axes.get_lines()]
    heights = [float(np.asarray(axes.get_lines()[0].get_ydata())[0]) for axes in traces]
    np.testing.assert_allclose(heights, [0.1, 0.6, 1.1, 1.6, 2.1, 2.6, 3.1, 3.6, 4.1, 4.6], rtol=1e-5)
    assert len({axes.get_ylim() for axes in traces}) == 1
