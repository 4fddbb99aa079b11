"""What the table of a comparison says of test recordings that were seen before."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from physioclr.comparison import CompareConfig
from physioclr.pipeline.compare.result import overlaps, write_result
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


def test_figures_under_noise_go_with_the_noise(tmp_path: Path, console: Console) -> None:
    """It is taken out of a comparison that had it: its old figures are of other cells than the table."""
    (tmp_path / "noise.csv").write_text("of before")
    summary = write_result(CompareConfig(), str(tmp_path), [], [], console)
    assert not (tmp_path / "noise.csv").exists()
    assert "noise" not in summary
