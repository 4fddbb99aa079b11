"""A comparison's folder and its cells' logs, without Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from physioclr.comparison import CompareConfig
from physioclr.errors import RunError
from physioclr.pipeline.compare.job import _claim, _logged
from physioclr.pipeline.run import write_summary


def config_of(output: Path, **values: Any) -> CompareConfig:
    return CompareConfig.model_validate({"output": str(output), **values})


def test_a_name_belongs_to_one_comparison(tmp_path: Path) -> None:
    """Its table would be replaced by one of other methods."""
    uri = _claim(config_of(tmp_path))
    other = {"methods": {"features": {"answers": ["logistic"]}}, "reference": "features/logistic"}
    with pytest.raises(RunError, match=r"The comparison 'demo' in .* has another configuration \(methods.* differ\)"):
        _claim(config_of(tmp_path, **other))
    assert _claim(config_of(tmp_path, **other, name="other")) != uri


def test_what_is_of_machines_or_is_added_to_a_table_may_change(tmp_path: Path) -> None:
    dataset = {"uri": "/prepared", "workers": 4}
    later: dict[str, Any] = {
        "noise": {"db": [6]},
        "resamples": 10,
        "parallel": 2,
        "pretrain": {"training": {"workers": 2, "device": "cpu"}},
        "targets": {"demo": {"dataset": dataset}},
    }
    uri = _claim(config_of(tmp_path, targets={"demo": {"dataset": {"uri": "/prepared"}}}))
    assert _claim(config_of(tmp_path, **later)) == uri


def test_the_log_of_a_cell_says_how_it_was_done(tmp_path: Path) -> None:
    uri = str(tmp_path)
    _logged(uri, lambda console: console.print("trained"))
    write_summary(uri, {})
    _logged(uri, lambda console: console.print("complete; nothing to do"))
    assert (tmp_path / "log.txt").read_text() == "trained\n"
