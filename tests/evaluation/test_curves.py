from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import auc, average_precision_score, roc_auc_score

from physioclr.evaluation.curves import precision_recall_curves, roc_curves


def _data() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    y = np.column_stack([generator.random((200, 2)) < 0.3, np.zeros(200, dtype=bool)])
    return y, generator.integers(0, 30, (200, 3)) / 30 + 0.3 * y


def test_the_area_under_each_curve_is_its_metric() -> None:
    y, scores = _data()
    roc, precision_recall = (each(y, scores, list("abc")) for each in (roc_curves, precision_recall_curves))
    assert list(roc) == list(precision_recall) == ["a", "b"]  # c has no positive row
    for column, name in enumerate("ab"):
        points = roc[name]
        assert auc(points.x, points.y) == pytest.approx(roc_auc_score(y[:, column], scores[:, column]))
        points = precision_recall[name]
        area = (np.diff(points.x) * points.y[1:]).sum()
        assert area == pytest.approx(average_precision_score(y[:, column], scores[:, column]))


def test_each_point_is_what_its_threshold_gives() -> None:
    y, scores = _data()
    truth, score = y[:, 0], scores[:, 0]
    roc, precision_recall = (each(y, scores, list("abc"))["a"] for each in (roc_curves, precision_recall_curves))
    for x, height, threshold in zip(roc.x, roc.y, roc.threshold, strict=True):
        decided = score >= threshold
        assert (x, height) == pytest.approx((decided[~truth].mean(), decided[truth].mean()))
    for x, height, threshold in zip(precision_recall.x, precision_recall.y, precision_recall.threshold, strict=True):
        decided = score >= threshold
        assert x == pytest.approx(decided[truth].mean())
        assert height == pytest.approx(truth[decided].mean() if decided.any() else 1.0)
    assert roc.threshold[0] == precision_recall.threshold[0] == np.inf
    assert (roc.x[0], precision_recall.x[0], roc.x[-1], precision_recall.x[-1]) == (0.0, 0.0, 1.0, 1.0)
