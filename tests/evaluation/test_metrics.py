from __future__ import annotations

import math

import numpy as np
import pytest

from physioclr.evaluation.metrics import auroc, record_mean


def _slow_auroc(y: np.ndarray, scores: np.ndarray) -> float:
    right = 0.0
    pairs = 0
    for positive in scores[y]:
        for negative in scores[~y]:
            right += 1.0 if positive > negative else 0.5 if positive == negative else 0.0
            pairs += 1
    return right / pairs


def test_each_class_is_the_share_of_rightly_ordered_pairs() -> None:
    generator = np.random.default_rng(0)
    y = generator.random((40, 3)) < 0.3
    scores = generator.integers(0, 6, (40, 3)) / 5  # with ties
    result = auroc(y, scores, ["a", "b", "c"])
    for column, name in enumerate("abc"):
        assert result.per_class[name] == pytest.approx(_slow_auroc(y[:, column], scores[:, column]))
    assert result.macro == pytest.approx(np.mean(list(result.per_class.values())))
    assert result.counted == 3


def test_classes_with_one_outcome_are_named_and_not_in_the_mean() -> None:
    y = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1]], dtype=bool)
    scores = np.array([[0.9, 0.5, 0.1], [0.1, 0.2, 0.3], [0.8, 0.1, 0.2]])
    result = auroc(y, scores, ["both", "never", "always"])
    assert result.per_class == {"both": 1.0}
    assert result.skipped == ("never", "always")
    assert result.macro == 1.0
    assert str(result) == "1.000 over 1 of 3 classes"


def test_macro_is_nan_when_no_class_can_be_judged() -> None:
    result = auroc(np.zeros((4, 1)), np.zeros((4, 1)), ["a"])
    assert math.isnan(result.macro)
    assert result.counted == 0


@pytest.mark.parametrize("missing", [np.nan, np.inf])
def test_a_missing_score_is_refused(missing: float) -> None:
    with pytest.raises(ValueError, match="1 of 2 rows"):
        auroc([[True], [False]], [[missing], [0.1]], ["a"])


def test_shapes_and_names_that_disagree_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        auroc([[True], [False]], [[0.1, 0.2], [0.3, 0.4]], ["a"])
    with pytest.raises(ValueError, match="class names"):
        auroc([[True], [False]], [[0.1], [0.3]], ["a", "b"])
    with pytest.raises(ValueError, match="class names"):
        auroc([[True, True]], [[0.1, 0.2]], ["a", "a"])


def test_record_mean_is_over_the_segments_of_each_record_whatever_their_order() -> None:
    record = [7, 3, 7, 9, 3, 7]
    scores = np.arange(12, dtype=float).reshape(6, 2)
    first, means = record_mean(scores, record)
    assert first.tolist() == [0, 1, 3]  # records 7, 3, 9
    np.testing.assert_allclose(means, [scores[[0, 2, 5]].mean(0), scores[[1, 4]].mean(0), scores[3]])
