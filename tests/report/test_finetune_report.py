"""The fine-tuning report: classes that could be judged, those that could not by name, and pictures by class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from physioclr.evaluation.summary import summarise
from physioclr.report import outcomes
from physioclr.report.finetune import FinetuneReport, Mistake, render_finetune_report
from physioclr.report.page import Table

GENERATOR = np.random.default_rng(0)
Y = GENERATOR.random((40, 3)) < np.array([0.5, 0.2, 0.0])
SCORES = GENERATOR.random((40, 3))
CLASSES = ["111", "222", "333"]
JUDGED = summarise(Y, SCORES, CLASSES, np.arange(40), seed=0, resamples=10).as_dict()
FULL = FinetuneReport(
    name="run <b>",
    config={"mode": "finetune"},
    summary=Table(("", ""), (("AUROC", "0.5"),)),
    notes=["Nothing was seen & all is well."],
    metrics=[
        {"kind": "epoch", "epoch": epoch, "loss": 1.0 / epoch, "validation_loss": 1.5 / epoch, "validation_auroc": 0.5}
        for epoch in (1, 2)
    ],
    y=Y,
    scores=SCORES,
    classes=CLASSES,
    names=["MI", "HYP<", "RARE"],
    recordings=JUDGED,
    segments=JUDGED,
    mistakes=[Mistake("own/1<$", "MI", True, 0.01, GENERATOR.normal(size=(12, 5000)), "mV")],
)


def test_a_class_is_a_row_with_its_interval_and_one_with_one_outcome_is_named() -> None:
    page = render_finetune_report(FULL)
    assert page.startswith("<!doctype html>")
    auroc = JUDGED["per_class"]["auroc"]["222"]
    assert f"<td>{auroc['estimate']:.3f} ({auroc['low']:.3f}\u00a0to\u00a0{auroc['high']:.3f})</td>" in page
    assert "<td>HYP&lt;</td><td>" in page
    assert "<td>RARE</td>" not in page
    assert "RARE (0)" in page
    assert "<script" not in page
    assert "run &lt;b&gt;" in page
    assert page.count("<img") == 5, "ROC, precision-recall, calibration, training, one recording"
    assert "own/1&lt;$: MI is labelled, score 0.010" in page


def test_what_is_not_there_is_said() -> None:
    none = summarise(Y[:, 2:], SCORES[:, 2:], ["333"], np.arange(40), seed=0, resamples=0).as_dict()
    bare = replace(
        FULL,
        notes=(),
        metrics=(),
        y=Y[:, 2:],
        scores=SCORES[:, 2:],
        classes=["333"],
        names=["RARE"],
        recordings=none,
        segments=none,
        mistakes=(),
    )
    page = render_finetune_report(bare)
    assert page.count("<img") == 0
    assert page.count("no class has both outcomes in the test part") == 4, "three pictures, and the recordings"
    assert "No curves: a probe is fitted in one piece" in page
    assert "To be known" not in page


def test_panels_are_the_commonest_classes_with_both_outcomes() -> None:
    figure = outcomes.draw_roc(Y, SCORES, ["a", "b", "c"])
    assert figure is not None
    counts = Y.sum(axis=0)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [f"a ({counts[0]})", f"b ({counts[1]})"]
    many = GENERATOR.random((60, 20)) < 0.3
    drawn = outcomes.draw_calibration(many, GENERATOR.random((60, 20)), [str(one) for one in range(20)])
    assert drawn is not None
    assert len(drawn.axes) == outcomes.PANELS
    chance = outcomes.draw_precision_recall(Y, SCORES, ["a", "b", "c"])
    assert chance is not None
    assert [axes.get_lines()[-1].get_ydata()[0] for axes in chance.axes] == [counts[0] / 40, counts[1] / 40]
