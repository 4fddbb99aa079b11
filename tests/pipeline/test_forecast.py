"""What `--dry-run` says of every job: machines, hours and money, or that they are not known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from physioclr.comparison import CompareConfig
from physioclr.config import ModelConfig, PrepareConfig, PretrainConfig, SourceConfig, TrainingConfig
from physioclr.costs import CostTable, TrainingRate, load_costs
from physioclr.downstream import EmbedConfig, FinetuneConfig
from physioclr.encoder import export_encoder
from physioclr.method.encoder import Encoder
from physioclr.pipeline import forecast
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.search import SearchConfig

WHAT = {"machines", "hours", "money", "prices"}


@pytest.fixture
def costs() -> CostTable:
    """The project's table with rates that would be a measurement elsewhere."""
    table = load_costs()
    rate = TrainingRate(cpu=10.0, gpu=1000.0)
    sizes = {"tiny": rate, "small": rate, "base": rate}
    rates = table.rates.model_copy(update={"embed": rate, "pretrain": sizes, "finetune": sizes})
    return table.model_copy(update={"rates": rates})


@pytest.fixture
def encoder(tmp_path: Path) -> str:
    """An exported encoder."""
    torch.manual_seed(0)
    uri = str(tmp_path / "encoder")
    export_encoder(Encoder(ModelConfig()), ModelConfig(), uri, trained_on={"run": "none"})
    return uri


def hours(samples: float, rate: float, workers: int) -> str:
    taken = samples / rate / workers / 3600
    return f"{taken:,.2f}," if taken >= 0.01 else "less than 0.01,"


def test_of_preparing(tmp_path: Path, costs: CostTable) -> None:
    source = SourceConfig(uri=str(tmp_path / "recordings"), patients=50_000)
    facts = forecast.of_prepare(PrepareConfig(uri=str(tmp_path / "prepared"), sources=(source,)), costs)
    assert facts["recordings of demo"] == 150_000
    assert facts["size before compression"].startswith("18.00 GB")
    assert facts["hours"]["preparing"].startswith(hours(150_000, 157.6, 32))
    assert set(facts) >= WHAT


def test_of_pretraining_before_the_data_are_there(tmp_path: Path, costs: CostTable) -> None:
    source = SourceConfig(uri=str(tmp_path / "recordings"), patients=10_000)
    dataset = PrepareConfig(uri=str(tmp_path / "prepared"), sources=(source,))
    training = TrainingConfig(epochs=100, batch_size=32, workers=2)
    facts = forecast.of_pretrain(PretrainConfig(output=str(tmp_path), dataset=dataset, training=training), costs)
    steps = int(30_000 * 0.7) // 32
    assert facts["steps"] == f"about {steps:,} an epoch, {100 * steps:,} in all"
    assert facts["hours"]["pretraining"].startswith(hours(100 * steps * 32, 1000, 2))
    assert set(facts["hours"]) == {"preparing", "pretraining"}
    assert "pretraining: 2 x g6.2xlarge on spot" in facts["machines"]


def test_of_pretraining_on_what_is_prepared(demo_dataset: PreparedDataset, tmp_path: Path, costs: CostTable) -> None:
    dataset = PrepareConfig.model_validate(demo_dataset.manifest.config)
    training = TrainingConfig(epochs=3, batch_size=4, device="cpu")
    facts = forecast.of_pretrain(PretrainConfig(output=str(tmp_path), dataset=dataset, training=training), costs)
    assert not facts["steps"].startswith("about")
    assert set(facts["hours"]) == {"pretraining"}
    assert "pretraining: 2 x c7i.4xlarge on demand" in facts["machines"]


def test_of_embedding(demo_dataset: PreparedDataset, tmp_path: Path, encoder: str, costs: CostTable) -> None:
    config = EmbedConfig(encoder=encoder, prepared=demo_dataset.uri, uri=str(tmp_path / "embeddings"))
    facts = forecast.of_embed(config, costs)
    assert facts["hours"]["embedding"].startswith("less than 0.01")
    assert set(facts) >= WHAT


def test_of_fine_tuning(demo_dataset: PreparedDataset, tmp_path: Path, encoder: str, costs: CostTable) -> None:
    config = FinetuneConfig(output=str(tmp_path), prepared=demo_dataset.uri, encoder=encoder)
    facts = forecast.of_finetune(config, costs)
    assert set(facts["hours"]) == {"fine-tuning"}
    assert set(facts) >= WHAT


def test_of_a_search_and_a_comparison(demo_dataset: PreparedDataset, tmp_path: Path, costs: CostTable) -> None:
    pretrain: dict[str, Any] = {"dataset": demo_dataset.manifest.config, "training": {"epochs": 100, "batch_size": 4}}
    search = SearchConfig.model_validate({"output": str(tmp_path), "pretrain": pretrain})
    assert "USD" in forecast.of_search(search, costs)["cost"]
    targets = {"demo": {"dataset": demo_dataset.manifest.config}}
    compare = CompareConfig.model_validate({"output": str(tmp_path), "pretrain": pretrain, "targets": targets})
    facts = forecast.of_compare(compare, costs)
    assert "worker-hours at 1,000 a second" in facts["pretraining"]
    assert f"prices of {costs.date}" in facts["cost"]


def test_with_the_projects_table_gpu_hours_are_said_to_be_unknown(tmp_path: Path) -> None:
    facts = forecast.of_pretrain(PretrainConfig(output=str(tmp_path), dataset=PrepareConfig(uri=str(tmp_path / "no"))))
    assert facts["hours"]["pretraining"].startswith("not known")
    assert "pretraining is not known" in facts["money"]
