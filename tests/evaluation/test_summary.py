from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from physioclr.evaluation.bootstrap import macro_auroc_interval
from physioclr.evaluation.challenge import challenge_score, choose_thresholds, decide
from physioclr.evaluation.summary import per_recording, summarise
from physioclr.evaluation.tasks import SCORED

PER_CLASS = ["auroc", "auprc", "f_max", "sensitivity_at_95_specificity", "brier"]


def _data(rows: int = 120, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    y = generator.random((rows, classes)) < 0.3
    y[:, -1] = False
    return y, np.clip(0.4 * y + 0.6 * generator.random(y.shape), 0, 1), np.repeat(np.arange(rows // 2), 2)


def test_every_metric_is_there_per_class_and_over_classes_and_what_was_skipped_is_named() -> None:
    y, scores, patients = _data()
    summary = summarise(y, scores, list("abc"), patients, seed=0, resamples=50)
    assert (summary.rows, summary.patients, summary.counted, summary.skipped) == (120, 60, 2, ("c",))
    assert summary.positives == {"a": int(y[:, 0].sum()), "b": int(y[:, 1].sum()), "c": 0}
    assert list(summary.macro) == list(summary.per_class) == PER_CLASS
    theirs = {"auroc": roc_auc_score, "auprc": average_precision_score, "brier": brier_score_loss}
    for metric, function in theirs.items():
        expected = [function(y[:, column], scores[:, column]) for column in range(2)]
        found = summary.per_class[metric]
        assert list(found) == ["a", "b"]
        assert [found[name].estimate for name in "ab"] == pytest.approx(expected)
        assert summary.macro[metric].estimate == pytest.approx(np.mean(expected))
    for interval in (*summary.macro.values(), *summary.overall.values()):
        assert interval.low <= interval.estimate <= interval.high
        assert interval.low < interval.high
        assert interval.resamples == 50
    assert list(summary.overall) == ["f_max_samples"]
    assert summary.omitted == {"challenge_score": "the classes are not the Challenge's"}


def test_macro_auroc_is_the_same_as_on_its_own() -> None:
    y, scores, patients = _data()
    summary = summarise(y, scores, list("abc"), patients, seed=3, resamples=100)
    alone = macro_auroc_interval(y, scores, patients, seed=3, resamples=100)
    assert summary.macro["auroc"] == alone


def test_scores_that_are_no_probabilities_have_no_brier_score_and_the_same_ranks() -> None:
    y, scores, patients = _data()
    plain, ridge = (summarise(y, each, list("abc"), patients, seed=0, resamples=0) for each in (scores, 5 * scores - 3))
    assert "brier" not in ridge.macro
    assert "not probabilities" in ridge.omitted["brier"]
    for metric in PER_CLASS[:-1]:
        assert ridge.macro[metric].estimate == pytest.approx(plain.macro[metric].estimate)
    assert ridge.overall["f_max_samples"].estimate == pytest.approx(plain.overall["f_max_samples"].estimate)


def test_the_challenge_score_is_that_of_the_given_thresholds() -> None:
    y, scores, patients = _data(100, 26)
    thresholds = choose_thresholds(y, scores)
    summary = summarise(y, scores, SCORED, patients, seed=0, resamples=40, thresholds=thresholds)
    interval = summary.overall["challenge_score"]
    assert interval.estimate == pytest.approx(challenge_score(y, decide(scores, thresholds)))
    assert interval.low < interval.estimate < interval.high
    without = summarise(y, scores, SCORED, patients, seed=0, resamples=0)
    assert without.omitted == {"challenge_score": "no thresholds were given"}
    with pytest.raises(ValueError, match="26"):
        summarise(y[:, :3], scores[:, :3], list("abc"), patients, seed=0, thresholds=[0.5] * 3)


def test_segments_are_judged_per_recording_by_their_mean() -> None:
    y = np.array([[True], [True], [False], [False]])
    scores = np.array([[0.9], [0.2], [0.1], [0.3]])
    record, patients = [5, 5, 2, 2], np.array(["p", "p", "q", "q"])
    truth, means, owners = per_recording(y, scores, patients, record)
    assert truth.tolist() == [[True], [False]]
    assert means.ravel().tolist() == pytest.approx([0.55, 0.2])
    assert owners.tolist() == ["p", "q"]
    assert summarise(y, scores, ["a"], patients, seed=0, resamples=0).macro["auroc"].estimate == 0.75
    assert summarise(truth, means, ["a"], owners, seed=0, resamples=0).macro["auroc"].estimate == 1.0


def test_it_can_be_written_as_json_with_null_where_nothing_is_defined() -> None:
    y, scores, patients = _data()
    summary = summarise(np.zeros_like(y), scores, list("abc"), patients, seed=0, resamples=20)
    written = json.loads(json.dumps(summary.as_dict(), allow_nan=False))
    assert written["macro"]["auroc"] == {"estimate": None, "low": None, "high": None, "resamples": 0}
    assert written["skipped"] == ["a", "b", "c"]
    assert written["counted"] == 0
    assert math.isnan(summary.macro["brier"].estimate)


def test_it_is_deterministic() -> None:
    y, scores, patients = _data()
    first, second = (summarise(y, scores, list("abc"), patients, seed=1, resamples=30) for _ in range(2))
    assert first == second


def test_rows_that_do_not_fit_are_refused() -> None:
    y, scores, patients = _data()
    with pytest.raises(ValueError, match="patient of each row"):
        summarise(y, scores, list("abc"), patients[1:], seed=0)
    with pytest.raises(ValueError, match="not finite"):
        summarise(y, np.where(scores > 0.9, np.nan, scores), list("abc"), patients, seed=0)
