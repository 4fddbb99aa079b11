"""Fine-tuning end to end on made-up recordings: each mode, killed and gone on with, small subsets, overlap, errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

import physioclr
from physioclr import configfile
from physioclr.config import ModelConfig
from physioclr.downstream import FinetuneConfig
from physioclr.ecg.leads import LEADS
from physioclr.encoder import export_encoder
from physioclr.errors import ConfigError, DatasetError, EncoderError, RunError, UserError
from physioclr.evaluation.metrics import auroc, record_mean
from physioclr.method.encoder import Encoder
from physioclr.pipeline.dataset import PreparedDataset, read_table
from physioclr.pipeline.embed import scoring
from physioclr.pipeline.embed.scoring import embeddings_of
from physioclr.pipeline.finetune.job import finetune
from physioclr.pipeline.finetune.trained_on import identities_of, write_trained_on
from physioclr.pipeline.prepare.layout import SPLITS
from physioclr.pipeline.selection import Selection
from physioclr.pipeline.training.metrics_log import read_metrics

ROOT = Path(__file__).parents[3]
MODEL = ModelConfig(width=16, depth=1, heads=2, feedforward=32, conv_channels=8, position_groups=4, position_kernel=16)


@pytest.fixture(scope="module")
def encoder(demo_dataset: PreparedDataset, tmp_path_factory: pytest.TempPathFactory, console: Console) -> str:
    """An encoder that says it was trained on the training split."""
    uri = str(tmp_path_factory.mktemp("encoder"))
    torch.manual_seed(0)
    export_encoder(Encoder(MODEL), MODEL, uri, trained_on={})
    write_trained_on(identities_of(Selection.of(demo_dataset, ("train",)), console), uri)
    return uri


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def configuration(dataset: PreparedDataset, known: str, output: Path, name: str, /, **values: Any) -> FinetuneConfig:
    """Two epochs of batches of 8 on one worker."""
    training = {"epochs": 2, "batch_size": 8, "workers": 1, "mix_row_groups": 2, "log_every_steps": 1, "device": "cpu"}
    given = {
        "name": name,
        "output": str(output),
        "prepared": dataset.uri,
        "encoder": known,
        "resamples": 20,
        **values,
        "training": training | values.get("training", {}),
    }
    return FinetuneConfig.model_validate(given)


CASES: dict[str, dict[str, Any]] = {
    "probe": {"mode": "probe", "token_pool": "statistics"},
    "finetune": {"mode": "finetune", "checkpoint": {"every_steps": 1}},
    "all": {
        "mode": "all",
        "token_pool": "statistics",
        "label_fraction": 0.3,
        "training": {"batch_size": 32, "accumulate": 2, "epoch_steps": 5},
    },
    "scratch": {
        **{"mode": "scratch", "encoder": None, "model": {**MODEL.model_dump(), "dropout": 0.0}, "dropout": 0.0},
        "augment": {"crops": True, "mask_leads": 0.2},
    },
}


@pytest.fixture(scope="module")
def finished(demo_dataset: PreparedDataset, encoder: str, output: Path, console: Console) -> dict[str, dict[str, Any]]:
    """The summary of a run in each mode."""
    return {
        name: finetune(configuration(demo_dataset, encoder, output, name, **values), console)
        for name, values in CASES.items()
    }


@pytest.mark.parametrize("name", CASES)
def test_a_run_leaves_what_was_promised(
    finished: dict[str, dict[str, Any]], demo_dataset: PreparedDataset, output: Path, name: str
) -> None:
    run, summary = output / name, finished[name]
    assert json.loads((run / "summary.json").read_text()) == summary
    assert {path.name for path in (run / "encoder").iterdir()} == {
        "classes.json",
        "encoder.json",
        "head.safetensors",
        "model.safetensors",
        "trained_on.parquet",
    }
    table = read_table(str(run / "predictions.parquet"))
    classes = summary["classes"]
    assert table.column_names == [
        *("record_id", "dataset", "patient_id", "window", "split", "segment"),
        *(f"{kind}_{one}" for one in classes for kind in ("true", "score")),
    ]
    rows = {part: table["split"].to_pylist().count(part) for part in ("validation", "test")}
    assert rows == {part: 2 * demo_dataset.rows(part) for part in rows}
    report = (run / "report.html").read_text()
    assert report.startswith("<!doctype html>")
    assert "None of the test recordings" in report or "no pretrained weights" in report
    patients = set(table["patient_id"].to_pylist())
    assert not any(f"{patient}<" in report or f" {patient} " in report for patient in patients), "record ids at most"


@pytest.mark.parametrize("name", CASES)
def test_predictions_are_those_of_the_loaded_classifier(
    finished: dict[str, dict[str, Any]], demo_dataset: PreparedDataset, output: Path, name: str
) -> None:
    classifier = physioclr.load_classifier(str(output / name / "encoder"), device="cpu")
    assert list(classifier.classes) == finished[name]["classes"]
    stored = demo_dataset.head("test", 6, ["record_id", "signal"])
    signals = np.stack([np.frombuffer(one, "<i2").reshape(12, -1) for one in stored["signal"].to_pylist()]) / 1000
    expected = classifier.predict(signals, fs=500, leads=LEADS)
    table = read_table(str(output / name / "predictions.parquet")).to_pandas()
    scores = [f"score_{one}" for one in classifier.classes]
    found = table[table["split"] == "test"].groupby("record_id")[scores].mean()
    np.testing.assert_allclose(found.loc[stored["record_id"].to_pylist()].to_numpy(), expected, atol=2e-4)
    np.testing.assert_allclose(classifier.predict(signals[0], fs=500, leads=LEADS), expected[0], atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_figures_are_of_the_predictions_per_recording(
    finished: dict[str, dict[str, Any]], output: Path, name: str
) -> None:
    table = read_table(str(output / name / "predictions.parquet")).to_pandas()
    test, classes = table[table["split"] == "test"], finished[name]["classes"]
    first, scores = record_mean(
        test[[f"score_{one}" for one in classes]], test["record_id"].astype("category").cat.codes
    )
    y = test[[f"true_{one}" for one in classes]].to_numpy()[first]
    found = finished[name]["test"]["recordings"]["macro"]["auroc"]
    assert found["estimate"] == pytest.approx(auroc(y, scores, classes).macro, abs=1e-6)
    assert found["low"] <= found["high"]
    assert finished[name]["test"]["segments"]["rows"] == len(test)


def test_the_convolutions_change_in_the_modes_that_train_them(
    finished: dict[str, dict[str, Any]], encoder: str, output: Path
) -> None:
    before = load_file(Path(encoder, "model.safetensors"))
    for name, changes in (("probe", ""), ("finetune", "encoder but not convolutions"), ("all", "both")):
        after = load_file(output / name / "encoder" / "model.safetensors")
        changed = {key for key in before if not torch.equal(before[key], after[key])}
        convolutions = {key for key in before if key.startswith("convolutions")}
        assert bool(changed - convolutions) == bool(changes)
        assert bool(changed & convolutions) == (changes == "both")


def test_training_may_begin_as_the_probe_and_then_leaves_nothing_worse(
    demo_dataset: PreparedDataset, encoder: str, output: Path, console: Console
) -> None:
    """With steps that change nothing, what is left is the probe, whose figures are those of mode probe."""
    values: dict[str, Any] = {"token_pool": "statistics", "task": "afib"}
    probe = finetune(configuration(demo_dataset, encoder, output, "begin", mode="probe", **values), console)
    values |= {"mode": "all", "head": "probe", "dropout": 0.0, "model": {**MODEL.model_dump(), "dropout": 0.0}}
    training = {"optimiser": {"learning_rate": 1e-12}, "training": {"epochs": 1}}
    config = configuration(demo_dataset, encoder, output, "begun", **values, **training)
    summary = finetune(config, console)
    tables = [read_table(one["predictions"]).to_pandas() for one in (probe, summary)]
    np.testing.assert_allclose(tables[0]["score_AFIB"], tables[1]["score_AFIB"], atol=1e-3)
    epochs = [row for row in read_metrics(str(output / "begun")) if row["kind"] == "epoch"]
    assert [row["epoch"] for row in epochs] == [0, 1], "the probe is judged before it is trained"
    assert summary["trained"]["epochs"] == 1
    assert summary["trained"]["best_epoch"] == 0, "of epochs that are equally good the first"
    assert summary["trained"]["how"].endswith("none of 1 epochs was better than the probe that it began as")
    (output / "begun" / "summary.json").unlink()  # as if it was killed before the end
    assert finetune(config, console)["trained"] == summary["trained"]


def test_a_subset_smaller_than_a_batch_is_trained_on_with_a_smaller_one(
    finished: dict[str, dict[str, Any]], output: Path
) -> None:
    rows = finished["all"]["data"]["train"]["windows"]
    assert 2 <= rows < 32
    assert finished["all"]["trained"]["batch_size"] == max(size for size in (2, 4, 8, 16) if size <= rows)
    epochs = [row["epoch"] for row in read_metrics(str(output / "all")) if row["kind"] == "epoch"]
    assert epochs == [1, 2]


def test_an_epoch_of_few_rows_has_the_steps_asked_for(finished: dict[str, dict[str, Any]], output: Path) -> None:
    rows, trained = finished["all"]["data"]["train"]["windows"], finished["all"]["trained"]
    assert rows < 5 * trained["batch_size"], "one pass would not do"
    assert trained["steps_an_epoch"] >= 5
    steps = [row["samples"] for row in read_metrics(str(output / "all")) if row["kind"] == "step"]
    assert steps == [trained["batch_size"] * (number + 1) for number in range(2 * trained["steps_an_epoch"])]


def test_a_subset_that_the_workers_cannot_share_is_refused(
    demo_dataset: PreparedDataset, encoder: str, output: Path, console: Console
) -> None:
    config = configuration(
        demo_dataset, encoder, output, "few", label_fraction=0.01, training={"batch_size": 16, "accumulate": 16}
    )
    with pytest.raises(UserError, match=r"cannot be shared|has both recordings with and without"):
        finetune(config, console)


def test_two_workers_take_the_steps_of_one(
    finished: dict[str, dict[str, Any]], demo_dataset: PreparedDataset, encoder: str, output: Path, console: Console
) -> None:
    """Without dropout the same samples in each step give the same losses and, but for rounding, the same scores."""
    values = {**CASES["scratch"], "training": {"workers": 2}}
    summary = finetune(configuration(demo_dataset, encoder, output, "two", **values), console)
    one, two = (
        [row["loss"] for row in read_metrics(str(output / name)) if row["kind"] == "step"]
        for name in ("scratch", "two")
    )
    np.testing.assert_allclose(one, two, rtol=1e-4)
    validation = [
        run["validation"]["recordings"]["macro"]["auroc"]["estimate"] for run in (summary, finished["scratch"])
    ]
    assert validation[0] == pytest.approx(validation[1], abs=1e-3)


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_weights(
    finished: dict[str, dict[str, Any]], demo_dataset: PreparedDataset, encoder: str, output: Path, console: Console
) -> None:
    config = configuration(demo_dataset, encoder, output, "killed", **CASES["finetune"])
    kill_at_checkpoint(config, step=2)
    finetune(config, console)
    for file in ("model.safetensors", "head.safetensors"):
        calm, killed = (load_file(output / name / "encoder" / file) for name in ("finetune", "killed"))
        assert all(torch.equal(calm[key], killed[key]) for key in calm), "bit for bit"
    logs = [
        [row for row in read_metrics(str(output / name)) if row["kind"] == "step"] for name in ("finetune", "killed")
    ]
    assert [row["loss"] for row in logs[0]] == [row["loss"] for row in logs[1]]
    before = {path: path.stat().st_mtime_ns for path in (output / "killed").rglob("*")}
    finetune(config, console)
    assert {path: path.stat().st_mtime_ns for path in (output / "killed").rglob("*")} == before
    with pytest.raises(RunError, match=r"another configuration \(dropout differ"):
        finetune(config.model_copy(update={"dropout": 0.3}), console)


def kill_at_checkpoint(config: FinetuneConfig, step: int) -> None:
    """SIGKILL to the job and everything it started, once the checkpoint of `step` is being written."""
    file = Path(config.output, f"{config.name}.yaml")
    file.write_text(configfile.dump(config))
    job = subprocess.Popen(
        [sys.executable, str(ROOT / "jobs/finetune.py"), "--config", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    wanted = Path(config.output, config.name, "checkpoints", f"step-{step:08d}")
    deadline = time.monotonic() + 200
    while not wanted.exists():
        assert job.poll() is None, job.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()


def test_it_stops_early_keeps_the_best_and_does_not_go_on_when_started_again(
    demo_dataset: PreparedDataset, encoder: str, output: Path, console: Console
) -> None:
    """Nothing is learned at this rate, so the first epoch is as good as any."""
    values: dict[str, Any] = {
        "mode": "finetune",
        "dropout": 0.0,
        "optimiser": {"learning_rate": 1e-20, "weight_decay": 0.0},
        "training": {"epochs": 50, "patience": 2},
    }
    config = configuration(demo_dataset, encoder, output, "patient", **values)
    trained = finetune(config, console)["trained"]
    assert (trained["epochs"], trained["best_epoch"]) == (3, 1)
    predictions = (output / "patient" / "predictions.parquet").read_bytes()
    (output / "patient" / "summary.json").unlink()  # as if it was killed before the end
    assert finetune(config, console)["trained"] == trained
    assert (output / "patient" / "predictions.parquet").read_bytes() == predictions


def test_overlap_with_pretraining_is_refused_and_stated_where_it_is_allowed(
    demo_dataset: PreparedDataset, encoder: str, output: Path, console: Console
) -> None:
    values: dict[str, Any] = {"mode": "probe", "split": {"folds": 4, "fold": 1}}
    config = configuration(demo_dataset, encoder, output, "overlap", **values)
    with pytest.raises(UserError, match=r"Pretraining has seen .* set allow_overlap=true"):
        finetune(config, console)
    assert not (output / "overlap").exists(), "the name is still free"
    summary = finetune(config.model_copy(update={"allow_overlap": True}), console)
    overlap = summary["overlap"]
    assert 0 < overlap["by_content"] == overlap["by_record"] <= overlap["found"] <= overlap["test_rows"]
    assert "the figures may be too good" in (output / "overlap" / "report.html").read_text()


def test_an_encoder_that_does_not_say_what_it_saw_is_not_taken_as_clean(
    demo_dataset: PreparedDataset, encoder: str, output: Path, tmp_path: Path, console: Console
) -> None:
    for name in ("model.safetensors", "encoder.json"):
        (tmp_path / name).write_bytes(Path(encoder, name).read_bytes())
    summary = finetune(configuration(demo_dataset, str(tmp_path), output, "unknown", mode="probe"), console)
    assert summary["overlap"].startswith("not checked")
    assert "not checked" in (output / "unknown" / "report.html").read_text()
    assert not (output / "unknown" / "encoder" / "trained_on.parquet").exists(), "it would not be the whole truth"


def test_a_fine_tuned_encoder_knows_the_recordings_of_both_trainings(
    finished: dict[str, dict[str, Any]], encoder: str, output: Path
) -> None:
    known = set(read_table(f"{encoder}/trained_on.parquet")["record_id"].to_pylist())
    table = read_table(str(output / "finetune/encoder/trained_on.parquet"))
    scratch = read_table(str(output / "scratch/encoder/trained_on.parquet"))
    assert set(table["record_id"].to_pylist()) == known | set(scratch["record_id"].to_pylist())
    data = finished["scratch"]["data"]
    assert scratch.num_rows == data["train"]["windows"] + data["validation"]["windows"]  # learned, and chosen, from


def test_on_ray_data_rows_give_what_they_give_here(
    demo_dataset: PreparedDataset, encoder: str, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    selection = Selection.of(demo_dataset, SPLITS, np.arange(3, 38))
    here = embeddings_of(selection, encoder, "mean", False, console)
    assert here.shape == (35, 2, 16)
    monkeypatch.setattr(scoring, "ROWS_HERE", 0)
    np.testing.assert_allclose(embeddings_of(selection, encoder, "mean", False, console), here, atol=1e-6)


def test_what_cannot_be_done_is_said_in_a_sentence(
    demo_dataset: PreparedDataset, encoder: str, output: Path, tmp_path: Path, console: Console
) -> None:
    def refused(error: type[UserError], message: str, **values: Any) -> None:
        with pytest.raises(error, match=message):
            finetune(configuration(demo_dataset, encoder, output, "refused", **values), console)

    refused(ConfigError, "there is no task 'arrhythmia'; the tasks are superclasses", task="arrhythmia")
    refused(DatasetError, "has no labels of task 'statements'", task="statements")
    refused(ConfigError, "no recording has 999; the commonest labels are", task="own", own={"classes": ["999"]})
    rarest = rarest_label(demo_dataset)
    refused(
        DatasetError,
        "No class of task 'own' has both recordings with and without it among the",
        task="own",
        own={"classes": [rarest]},
        label_fraction=0.05,
    )
    refused(DatasetError, "There is no prepared dataset at /no/dataset", prepared="/no/dataset")
    old = tmp_path / "old"
    old.mkdir()
    facts = json.loads(Path(encoder, "encoder.json").read_text())
    (old / "encoder.json").write_text(json.dumps({**facts, "format": 0}))
    refused(EncoderError, "exported by another version", encoder=str(old))
    with pytest.raises(EncoderError, match="an encoder without a head"):
        physioclr.load_classifier(encoder)


def rarest_label(dataset: PreparedDataset) -> str:
    labels = [one for row in dataset.head("train", 1000, ["labels"])["labels"].to_pylist() for one in row]
    return min(set(labels), key=lambda label: (labels.count(label), label))


def test_an_empty_test_split_is_said_in_a_sentence(
    demo_dataset: PreparedDataset, encoder: str, output: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = PreparedDataset.take

    def without_test(self: PreparedDataset, split: str, rows: Any, columns: Any) -> pa.Table:
        return take(self, split, rows[: 0 if split == "test" else None], columns)

    monkeypatch.setattr(PreparedDataset, "take", without_test)
    with pytest.raises(DatasetError, match="No recording is in split test"):
        finetune(configuration(demo_dataset, encoder, output, "untested"), console)
