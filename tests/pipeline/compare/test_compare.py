"""A comparison end to end on made-up recordings: a table of all cells, one that fails, and going on."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from rich.console import Console
from scipy.special import logit

from physioclr import storage
from physioclr.comparison import CompareConfig
from physioclr.errors import DatasetError, RunError
from physioclr.evaluation.metrics import auroc
from physioclr.pipeline import forecast
from physioclr.pipeline.compare.job import compare
from physioclr.pipeline.compare.result import headline
from physioclr.pipeline.dataset import PreparedDataset

pytestmark = pytest.mark.slow
MODEL = {"width": 16, "depth": 1, "heads": 2, "feedforward": 32, "conv_channels": 8}
MODEL |= {"position_groups": 4, "position_kernel": 16}


def configuration(dataset: PreparedDataset, output: Path, **values: Any) -> CompareConfig:
    """One baseline, pretrained for an epoch, the untrained network, the features, and an answer that cannot be."""
    prepared = dataset.manifest.config
    training = {"epochs": 1, "batch_size": 8, "device": "cpu", "mix_row_groups": 2}
    given: dict[str, Any] = {
        "name": "small",
        "output": str(output),
        "pretrain": {
            "dataset": prepared,
            "model": MODEL,
            "training": training,
            "monitor": {"train_recordings": 4, "validation_recordings": 4, "probe": "none"},
        },
        "finetune": {"training": {**training, "max_failures": 0}},
        "methods": {
            "simclr": {
                "pretrain": {"method": {"name": "simclr"}},
                "answers": ["probe", "probe+features", "probe+weighed"],
            },
            "untrained": {"untrained": True},
            "scratch": {"answers": ["scratch"], "finetune": {"optimiser": {"learning_rate": 1e30, "clip_norm": None}}},
            "features": {"answers": ["logistic", "boosting"]},
        },
        "targets": {"demo": {"dataset": prepared, "tasks": ["challenge-26"]}},
        "fractions": [1.0],
        "seeds": [0],
        "reference": "features/logistic",
        "resamples": 20,
        **values,
    }
    return CompareConfig.model_validate(given)


@pytest.fixture(scope="module")
def compared(
    demo_dataset: PreparedDataset, tmp_path_factory: pytest.TempPathFactory, console: Console
) -> tuple[CompareConfig, dict[str, Any]]:
    config = configuration(demo_dataset, tmp_path_factory.mktemp("comparisons"))
    return config, compare(config, console)


def test_every_cell_is_in_the_table_or_named_with_its_reason(compared: tuple[CompareConfig, dict[str, Any]]) -> None:
    config, summary = compared
    (failed,) = summary["failed"]
    assert failed["cell"].startswith("scratch-challenge-26-100-0-")
    assert "lower optimiser.learning_rate" in failed["reason"]
    methods = ["simclr/probe", "simclr/probe+features", "simclr/probe+weighed"]
    methods += ["untrained/probe", "features/logistic", "features/boosting"]
    text = storage.read_text(summary["table"])
    rows = [
        line.split(" | ")[0].strip("| ")
        for line in text.split("Difference")[0].splitlines()
        if line.startswith("| ") and "0." in line
    ]
    assert rows == methods
    found = list(csv.DictReader(io.StringIO(storage.read_text(summary["csv"]))))
    assert {row["method"] for row in found} == set(methods)
    page = storage.read_text(summary["report"])
    assert "simclr/probe+features" in page
    assert failed["cell"] in page
    assert config.name in page


def test_a_figure_of_the_table_is_that_of_the_cells_predictions(
    compared: tuple[CompareConfig, dict[str, Any]],
) -> None:
    config, summary = compared
    cells = {(one["method"], one["column"]): one for one in summary["targets"]["demo"]["cells"]}
    folder = next(Path(config.output, "answers").glob("boosting-*"))
    table = pq.read_table(folder / "predictions.parquet").to_pandas().query("split == 'test'")
    classes = [name.removeprefix("true_") for name in table if name.startswith("true_")]
    by_record = table.groupby(["dataset", "record_id"])[[f"score_{name}" for name in classes]].mean()
    true = table.groupby(["dataset", "record_id"])[[f"true_{name}" for name in classes]].first()
    macro = auroc(true.to_numpy(), by_record.to_numpy(), classes).macro
    assert cells["features/boosting", "challenge-26 100 %"]["figures"]["auroc"]["estimate"] == pytest.approx(macro)


def test_an_answer_of_several_is_the_weighted_mean_of_their_log_odds(
    compared: tuple[CompareConfig, dict[str, Any]],
) -> None:
    config, _ = compared
    (folder,) = Path(config.output, "answers").glob("probe+weighed-*")
    weights = json.loads((folder / "summary.json").read_text())["trained"]["weights"]
    assert [name.split("-")[0] for name in weights] == ["probe", "logistic", "boosting"]
    parts = sum(weight * odds(config, name)[0] for name, weight in weights.items())
    (found,) = odds(config, folder.name)
    np.testing.assert_allclose(found, parts, atol=0.01)


def odds(config: CompareConfig, cell: str) -> list[NDArray[np.float64]]:
    """Log-odds that a cell has left, as far as float32 can say them."""
    tables = [
        pq.read_table(file).to_pandas() for file in Path(config.output).glob(f"answers/{cell}/predictions.parquet")
    ]
    scores = [one[[name for name in one if name.startswith("score_")]].to_numpy(np.float64) for one in tables]
    return [logit(one.clip(1e-7, 1 - 1e-7)) for one in scores]


def test_started_again_only_what_failed_is_tried(
    compared: tuple[CompareConfig, dict[str, Any]], console: Console
) -> None:
    config, before = compared
    done = {file: file.stat().st_mtime for file in Path(config.output).rglob("predictions.parquet")}
    assert len(done) == 6
    after = compare(config, console)
    assert {file: file.stat().st_mtime for file in Path(config.output).rglob("predictions.parquet")} == done
    assert after["targets"] == before["targets"]
    facts = forecast.of_compare(config)
    assert facts["encoders"] == "2, 2 of them done"
    assert facts["answers"].startswith("7, 6 of them done")


def test_another_comparison_beside_it_finds_what_they_have_in_common(
    compared: tuple[CompareConfig, dict[str, Any]], demo_dataset: PreparedDataset, console: Console
) -> None:
    config, _ = compared
    methods = {"renamed": config.methods["features"].model_dump(), "untrained": {"untrained": True}}
    other = configuration(demo_dataset, Path(config.output), name="other", methods=methods, reference="untrained/probe")
    assert forecast.of_compare(other)["answers"].startswith("3, 3 of them done")
    summary = compare(other, console)
    assert not summary["failed"]
    assert json.loads(storage.read_text(f"{summary['uri']}/summary.json")) == summary
    assert "renamed/boosting" in storage.read_text(summary["table"])
    assert headline(summary, console)["answers"] == 3


def test_the_same_command_elsewhere_gives_the_same_table(
    demo_dataset: PreparedDataset, tmp_path: Path, console: Console
) -> None:
    methods = {
        "simclr": {"pretrain": {"method": {"name": "simclr"}}, "answers": ["probe", "finetune"]},
        "features": {"answers": ["boosting"]},
    }
    tables = set()
    for name in ("one", "two"):
        summary = compare(
            configuration(demo_dataset, tmp_path / name, methods=methods, reference="features/boosting"), console
        )
        assert not summary["failed"]
        tables.add(storage.read_text(summary["table"]))
    assert len(tables) == 1


def test_where_nothing_could_be_done_the_reason_is_the_sentence(
    demo_dataset: PreparedDataset, tmp_path: Path, console: Console
) -> None:
    methods = {"scratch": configuration(demo_dataset, tmp_path).methods["scratch"].model_dump()}
    config = configuration(demo_dataset, tmp_path, methods=methods, reference="scratch/scratch")
    with pytest.raises(RunError, match=r"No cell of the comparison could be done; the first failed so: .* diverged"):
        compare(config, console)


def test_a_task_without_labels_is_refused_before_anything_is_pretrained(
    demo_dataset: PreparedDataset, tmp_path: Path, console: Console
) -> None:
    targets = {"demo": {"dataset": demo_dataset.manifest.config, "tasks": ["challenge-26", "superclasses"]}}
    with pytest.raises(DatasetError, match="has no labels of task 'superclasses'; choose another task"):
        compare(configuration(demo_dataset, tmp_path, targets=targets), console)
    assert not list(tmp_path.rglob("encoder*"))


def test_what_it_takes_is_said_from_stated_rates(demo_dataset: PreparedDataset, tmp_path: Path) -> None:
    cost = {"pretrain_rate": 10.0, "finetune_rate": 5.0, "worker_hour": 3600.0, "currency": "EUR"}
    config = configuration(demo_dataset, tmp_path, cost=cost)
    rows = demo_dataset.rows("train")
    facts = forecast.of_compare(config)
    assert facts["pretraining"].startswith(f"{rows:,} recordings in all epochs")
    assert facts["cost"].startswith(f"{rows / 10 + rows / 5:,.0f} EUR")
    unknown = forecast.of_compare(configuration(demo_dataset, tmp_path))
    assert "how long is not known" in unknown["pretraining"]
    elsewhere = configuration(
        demo_dataset,
        tmp_path,
        pretrain={"dataset": {"uri": str(tmp_path / "nothing")}},
        methods={"physioclr": {}},
        reference="physioclr/probe",
    )
    assert "not known before it is prepared: give cost.recordings" in forecast.of_compare(elsewhere)["pretraining"]
