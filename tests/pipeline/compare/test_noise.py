"""A comparison under noise, with degraded features and curves of the encoders, end to end on made-up recordings."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from physioclr import storage
from physioclr.classifier import load_classifier
from physioclr.comparison import CompareConfig
from physioclr.config import FeatureConfig, NoiseConfig
from physioclr.ecg.leads import LEADS
from physioclr.evaluation.metrics import auroc
from physioclr.features.extract import FeatureExtractor
from physioclr.pipeline import forecast
from physioclr.pipeline.compare.job import compare
from physioclr.pipeline.compare.noisy import KEY, keys_of, with_noise
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.training.packing import signals_of

pytestmark = pytest.mark.slow
MODEL = {"width": 16, "depth": 1, "heads": 2, "feedforward": 32, "conv_channels": 8}
MODEL |= {"position_groups": 4, "position_kernel": 16}
COLUMN = "challenge-26 100 %"
Done = tuple[CompareConfig, dict[str, Any]]


def configuration(dataset: PreparedDataset, output: Path, **values: Any) -> CompareConfig:
    """Encoders of degraded pairs, a network trained from nothing, and the features; two kinds of noise, two levels."""
    prepared = dataset.manifest.config
    training = {"epochs": 2, "batch_size": 8, "device": "cpu", "mix_row_groups": 2}
    features = {"noise": {"kind": "muscle", "db": 6.0}}
    degraded = {"dataset": {"uri": str(output / "degraded"), "features": features}, "ablation": {"drop": 0.5}}
    given: dict[str, Any] = {
        "name": "noisy",
        "output": str(output),
        "pretrain": {
            "dataset": prepared,
            "model": MODEL,
            "training": training,
            "monitor": {"train_recordings": 20, "validation_recordings": 10, "probe": "challenge-26"},
        },
        "finetune": {"training": training},
        "methods": {
            "degraded": {"pretrain": degraded, "answers": ["probe", "probe+features"]},
            "random": {"pretrain": {"ablation": {"random": True}}, "answers": ["probe"]},
            "scratch": {"answers": ["scratch"]},
            "features": {"answers": ["logistic"]},
        },
        "targets": {"demo": {"dataset": prepared, "tasks": ["challenge-26"]}},
        "fractions": [1.0],
        "seeds": [0],
        "noise": {"kinds": ["mains", "mix"], "db": [6, -20]},
        "reference": "features/logistic",
        "resamples": 20,
        **values,
    }
    return CompareConfig.model_validate(given)


@pytest.fixture(scope="module")
def compared(demo_dataset: PreparedDataset, tmp_path_factory: pytest.TempPathFactory, console: Console) -> Done:
    config = configuration(demo_dataset, tmp_path_factory.mktemp("comparisons"))
    return config, compare(config, console)


def figure(summary: dict[str, Any], kind: str, method: str, level: str) -> float:
    (table,) = (one for one in summary["noise"] if one["kind"] == kind)
    (cell,) = (one for one in table["cells"] if (one["method"], one["column"]) == (method, level))
    return float(cell["figures"]["auroc"]["estimate"])


def test_every_method_is_judged_at_every_level(compared: Done) -> None:
    _, summary = compared
    assert summary["failed"] == []
    found = list(csv.DictReader(io.StringIO(storage.read_text(f"{summary['uri']}/noise.csv"))))
    methods = {"degraded/probe", "degraded/probe+features", "random/probe", "scratch/scratch", "features/logistic"}
    for kind in ("mains", "mix"):
        rows = [row for row in found if row["noise"] == kind and row["metric"] == "auroc"]
        assert {(row["method"], row["level"]) for row in rows} == {
            (method, level) for method in methods for level in ("clean", "6 dB", "-20 dB")
        }
    clean = {one["method"]: one for one in summary["targets"]["demo"]["cells"]}
    for method in methods:
        expected = clean[method]["figures"]["auroc"]["estimate"]
        assert figure(summary, "mix", method, "clean") == figure(summary, "mains", method, "clean") == expected
    assert any(figure(summary, "mix", method, "-20 dB") != figure(summary, "mix", method, "6 dB") for method in methods)
    page, table = storage.read_text(summary["report"]), storage.read_text(summary["table"])
    assert f"demo, {COLUMN}: noise" in page
    assert f"## demo, {COLUMN}: mains" in table


def noisy_test(dataset: PreparedDataset, level: NoiseConfig) -> tuple[list[Any], np.ndarray]:
    rows = dataset.head("test", 1000, (*KEY, "signal"))
    keys = keys_of(rows.select(KEY).to_pylist())
    return keys, with_noise(signals_of(rows), keys, level)


def test_a_trained_answer_is_what_its_classifier_says_of_the_noisy_recordings(
    compared: Done, demo_dataset: PreparedDataset
) -> None:
    config, summary = compared
    folder = next(Path(config.output, "answers").glob("scratch-*"))
    keys, signals = noisy_test(demo_dataset, NoiseConfig(kind="mains", db=6.0))
    classifier = load_classifier(str(folder / "encoder"), "cpu")
    scores = dict(zip(keys, classifier.predict(signals, 500, list(LEADS)), strict=True))
    table = pq.read_table(folder / "noise" / "mains-6-0.parquet").to_pandas()
    names = [f"score_{name}" for name in classifier.classes]
    for key, own in table.groupby(list(KEY)):
        np.testing.assert_allclose(own[names].mean().to_numpy(), scores[key], atol=1e-4)
    true = table.groupby(["dataset", "record_id"])[[f"true_{name}" for name in classifier.classes]].first()
    means = table.groupby(["dataset", "record_id"])[names].mean()
    macro = auroc(true.to_numpy(), means.to_numpy(), classifier.classes).macro
    assert figure(summary, "mains", "scratch/scratch", "6 dB") == pytest.approx(macro)


def test_features_are_measured_again_on_the_noisy_recordings(compared: Done, demo_dataset: PreparedDataset) -> None:
    config, _ = compared
    (file,) = Path(config.output, "noise").rglob("mix-6-0.parquet")
    keys, signals = noisy_test(demo_dataset, NoiseConfig(kind="mix", db=6.0))
    made = FeatureConfig.model_validate(demo_dataset.manifest.config["features"])
    expected = [[half.features for half in halves] for halves in FeatureExtractor(made)(signals)]
    table = pq.read_table(file)
    assert keys_of(table.select(KEY).to_pylist()) == keys
    found = np.asarray(table["features"].to_pylist(), dtype=np.float32)
    np.testing.assert_array_equal(found.reshape(np.shape(expected)), np.asarray(expected))


def test_a_lost_level_is_scored_again_and_nothing_else(compared: Done, console: Console) -> None:
    config, before = compared
    found = Path(config.output).rglob("*.parquet")
    files = [file for file in found if "noise" in file.parts or "answers" in file.parts]
    folders = (next(Path(config.output, "answers").glob(f"{name}-challenge*")) for name in ("probe", "logistic"))
    lost = [folder / "noise/mix-6-0.parquet" for folder in folders]
    done = {file: file.stat().st_mtime_ns for file in files if file not in lost}
    for file in lost:
        file.unlink()
    assert "3 of them done" in forecast.of_compare(config)["answers"]
    after = compare(config, console)
    assert {file: file.stat().st_mtime_ns for file in files if file not in lost} == done
    assert all(file.exists() for file in lost)
    assert after["noise"] == before["noise"]


def test_without_noise_the_same_cells_are_found(compared: Done, demo_dataset: PreparedDataset) -> None:
    config, _ = compared
    facts = forecast.of_compare(configuration(demo_dataset, Path(config.output), name="clean", noise=None))
    assert facts["encoders"] == "2, 2 of them done"
    assert facts["answers"].startswith("5, 5 of them done")


def test_pairs_of_degraded_features_leave_the_targets_alone(compared: Done, demo_dataset: PreparedDataset) -> None:
    config, _ = compared
    degraded = PreparedDataset.open(str(Path(config.output, "degraded")))
    columns = ("record_id", "signal", "r_peaks", "labels", "split", "features")
    mine, other = degraded.head("train", 50, columns).to_pylist(), demo_dataset.head("train", 50, columns).to_pylist()
    for one, two in zip(mine, other, strict=True):
        assert all(one[name] == two[name] for name in columns if name != "features")
    assert any(one["features"] != two["features"] for one, two in zip(mine, other, strict=True))


def test_the_report_has_the_encoders_courses(compared: Done) -> None:
    _, summary = compared
    rows = list(csv.DictReader(io.StringIO(storage.read_text(summary["signs"]))))
    assert {(row["method"], row["epoch"]) for row in rows} == {
        (method, str(epoch)) for method in ("degraded", "random") for epoch in (0, 1, 2)
    }
    assert all(0 <= float(row["probe_auroc"]) <= 1 for row in rows)
    assert "Over pretraining" in storage.read_text(summary["report"])
