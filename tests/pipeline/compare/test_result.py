"""What the table of a comparison says of test recordings that were seen before."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from physioclr.comparison import CompareConfig
from physioclr.errors import RunError
from physioclr.pipeline.compare.judge import Predicted, judge
from physioclr.pipeline.compare.result import classes_judged, never_learned, overlaps, write_result
from physioclr.pipeline.finetune.job import NO_WEIGHTS, NOT_CHECKED
from physioclr.report.comparison import markdown, render_comparison
from physioclr.report.target import TargetTable


def test_what_was_seen_before_stands_beside_the_figures_once_for_all_seeds() -> None:
    def cell(row: str) -> Any:
        return SimpleNamespace(row=row, column="afib 100 %")

    found, nothing = {"found": 3, "test_rows": 20}, {"found": 0, "test_rows": 20}
    done = [cell("physioclr/probe"), cell("physioclr/probe"), cell("features/logistic"), cell("other/probe")]
    summaries = [
        *[{"overlap": found, "overlap_with_training": nothing}] * 2,
        {"overlap": NO_WEIGHTS, "overlap_with_training": found},
        {"overlap": NOT_CHECKED},  # of a cell done before training rows were looked for
    ]
    said = overlaps(done, summaries)
    assert said == [
        "Pretraining has seen 3 of the 20 test windows or their patients: physioclr/probe on afib 100 %.",
        "Training has seen 3 of the 20 test windows or their patients: features/logistic on afib 100 %.",
        f"Overlap with pretraining was {NOT_CHECKED}: other/probe on afib 100 %.",
    ]
    table = TargetTable("here", [], ["afib 100 %"], {}, {}, said)
    assert said[1] in markdown([table], "physioclr/probe")
    assert said[1] in render_comparison("name", {}, [table], "physioclr/probe", [])


def test_patients_that_are_not_called_alike_are_said_to_be() -> None:
    done = [SimpleNamespace(row="physioclr/probe", column="afib 100 %")]
    apart = {"found": 0, "test_rows": 20, "patients_checked": False}
    (said,) = overlaps(done, [{"overlap": apart}])  # type: ignore[arg-type]
    assert said.startswith("Only recordings and signals were looked for in pretraining")


def test_the_classes_of_a_mean_are_counted_and_those_left_out_are_named() -> None:
    y = np.array([[True, False, False], [False, False, True]])
    one = Predicted(["a/1", "a/2"], ["p", "q"], ["164889003", "B", "C"], y, y.astype(float))
    alone = Predicted(["a/1"], ["p"], ["AFIB"], y[:1, :1], np.ones((1, 1)))
    assert classes_judged({"own 5 %": one, "own 10 %": one, "afib 5 %": alone}) == [
        "Means over 2 of 3 classes, without B, of which the test recordings have not both outcomes: own 5 %, own 10 %."
    ]
    done = [SimpleNamespace(column="own 5 %", seed=seed) for seed in (0, 0, 1)]
    missing = {"not_in_training": ["164889003", "C"]}
    assert never_learned(done, [missing, missing, {"not_in_training": []}]) == [  # type: ignore[arg-type]
        "Nothing was learned of AF, C, of which the training recordings have not both outcomes: own 5 % with seed 0."
    ]


def test_cells_of_data_that_was_prepared_anew_are_not_judged_together() -> None:
    y = np.array([[True], [False]])
    before = Predicted(["a/1", "a/2"], ["p", "q"], ["AFIB"], y, y.astype(float))
    after = Predicted(["a/1", "a/2"], ["p", "q"], ["AFIB"], ~y, y.astype(float))
    scored = [(("one", "afib"), 0, before), (("other", "afib"), 0, after)]
    with pytest.raises(RunError, match="other on afib was tested on other recordings or labels"):
        judge(scored, ["afib"], "one", 10)


def test_figures_under_noise_go_with_the_noise(tmp_path: Path, console: Console) -> None:
    """It is taken out of a comparison that had it: its old figures are of other cells than the table."""
    (tmp_path / "noise.csv").write_text("of before")
    summary = write_result(CompareConfig(), str(tmp_path), [], [], console)
    assert not (tmp_path / "noise.csv").exists()
    assert "noise" not in summary
