"""The table of rates and prices: what it must have, and that it says what is not known."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from physioclr.costs import TABLE, load_costs
from physioclr.errors import ConfigError


def written(tmp_path: Path, **changes: object) -> str:
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(TABLE.read_text()) | changes))
    return str(file)


def test_the_projects_own_table_has_a_date_and_a_warning() -> None:
    table = load_costs()
    assert table.date.year >= 2025
    assert "check before you rely on them" in table.source


def test_no_rate_of_a_gpu_is_claimed() -> None:
    """Nothing was measured on one: docs/benchmarks.md."""
    rates = load_costs().rates
    every = [rates.embed, *rates.pretrain.values(), *rates.finetune.values()]
    assert all(rate.gpu is None for rate in every)


def test_rates_of_preparing_are_those_of_the_benchmark() -> None:
    text = (Path(__file__).parents[1] / "docs" / "benchmarks.md").read_text()
    rates = load_costs().rates
    assert rates.prepare_local is not None
    assert rates.prepare_remote is not None
    assert f"| local disk | 2 | {2 * rates.prepare_local:.1f} |" in text
    assert f"| S3 | 2 | {2 * rates.prepare_remote:.1f} |" in text


def test_a_table_of_ones_own_is_read(tmp_path: Path) -> None:
    assert load_costs(written(tmp_path, currency="EUR")).currency == "EUR"


def test_a_plan_with_a_machine_that_has_no_price_is_refused(tmp_path: Path) -> None:
    plan = yaml.safe_load(TABLE.read_text())["plan"] | {"training": "p9.huge"}
    with pytest.raises(ConfigError, match=r"plan names 'p9.huge'"):
        load_costs(written(tmp_path, plan=plan))
