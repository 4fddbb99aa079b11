"""The training loop end to end: killed at any step it goes on, and on CPU ends with the same weights, bit for bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from torch import nn

import physioclr
from physioclr import configfile
from physioclr.config import (
    CheckpointConfig,
    ModelConfig,
    MonitorConfig,
    OptimiserConfig,
    PrepareConfig,
    PretrainConfig,
    SplitConfig,
    TrainingConfig,
)
from physioclr.errors import DatasetError, RunError
from physioclr.pipeline.dataset import PreparedDataset, read_table
from physioclr.pipeline.pretrain import job
from physioclr.pipeline.pretrain.job import make_plan, pretrain
from physioclr.pipeline.training.metrics_log import read_metrics
from physioclr.pipeline.training.placement import Machine
from physioclr.pipeline.training.state import TrainState, make_optimiser

ROOT = Path(__file__).parents[3]


def configuration(dataset: PreparedDataset, output: Path, name: str, workers: int) -> PretrainConfig:
    """Seven steps of 4 recordings an epoch, two epochs; dropout and beat shuffling are on."""
    return PretrainConfig(
        name=name,
        output=str(output),
        dataset=PrepareConfig(uri=dataset.uri, sources=()),
        model=ModelConfig(size="tiny", width=32, depth=1, heads=2, feedforward=64, conv_channels=16, projection=16),
        optimiser=OptimiserConfig(warmup_steps=2),
        training=TrainingConfig(
            epochs=2, batch_size=4, workers=workers, mix_row_groups=2, log_every_steps=1, device="cpu"
        ),
        checkpoint=CheckpointConfig(every_steps=6),
        monitor=MonitorConfig(train_recordings=12, validation_recordings=8),
    )


def start(config: PretrainConfig) -> subprocess.Popen[str]:
    file = Path(config.output, f"{config.name}.yaml")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(configfile.dump(config))
    return subprocess.Popen(
        [sys.executable, str(ROOT / "jobs/pretrain.py"), "--config", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def kill_at_checkpoint(config: PretrainConfig, step: int) -> None:
    """SIGKILL to the job and everything it started, once the checkpoint of `step` is being written."""
    job = start(config)
    wanted = Path(config.output, config.name, "checkpoints", f"step-{step:08d}")
    deadline = time.monotonic() + 200
    while not wanted.exists():
        assert job.poll() is None, job.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()


def weights(config: PretrainConfig) -> dict[str, torch.Tensor]:
    return load_file(Path(config.output, config.name, "encoder/model.safetensors"))


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_killed_run_ends_with_the_same_weights(
    demo_dataset: PreparedDataset, tmp_path: Path, workers: int, console: Console
) -> None:
    calm = configuration(demo_dataset, tmp_path, "calm", workers)
    killed = configuration(demo_dataset, tmp_path, "killed", workers)
    pretrain(calm, console)
    kill_at_checkpoint(killed, step=3)
    pretrain(killed, console)
    first, second = weights(calm), weights(killed)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first), "bit for bit"
    steps = [row["step"] for row in read_metrics(str(tmp_path / "killed")) if row["kind"] == "step"]
    total = 2 * (demo_dataset.rows("train") // 4)
    assert steps == list(range(1, total + 1)), "every step stands in the log once"
    assert losses(tmp_path / "calm") == losses(tmp_path / "killed")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "killed").rglob("*")}
    assert pretrain(killed, console)["steps"] == total
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "killed").rglob("*")}
    assert after == before, "a complete run is left alone"


def test_stopped_after_its_last_checkpoint_it_only_exports(
    demo_dataset: PreparedDataset, tmp_path: Path, console: Console
) -> None:
    config = configuration(demo_dataset, tmp_path, "late", 1)
    before = pretrain(config, console)
    trained = weights(config)
    (tmp_path / "late" / "summary.json").unlink()
    (tmp_path / "late" / "encoder" / "model.safetensors").unlink()
    after = pretrain(config, console)
    assert {**after, "seconds": 0} == {**before, "seconds": 0}
    assert all(torch.equal(trained[name], value) for name, value in weights(config).items())


def losses(run: Path) -> list[float]:
    return [row["loss"] for row in read_metrics(str(run)) if row["kind"] == "step"]


def test_it_begins_at_a_checkpoint_of_the_same_data_alone(tmp_path: Path, demo_dataset: PreparedDataset) -> None:
    """Of another split it may have seen what this run's encoder will be tested on."""
    config = configuration(demo_dataset, tmp_path, "next", workers=1).model_copy(update={"start": str(tmp_path)})
    plan = make_plan(config, demo_dataset)
    model = nn.Linear(2, 2)
    optimiser, schedule = make_optimiser(model.parameters(), config.optimiser, 10)
    state = TrainState(model, optimiser, schedule, seed=0, step=1, samples_seen=config.training.batch_size)

    def begun_after(**dataset: Any) -> int:
        """A search may go on with other dropout, as with other weights of the loss."""
        before = config.model_copy(update={"dataset": config.dataset.model_copy(update=dataset), "start": None})
        before = before.model_copy(update={"model": config.model.model_copy(update={"dropout": 0.3})})
        state.save(tmp_path, before.model_dump(mode="json"))
        start = job._start(config, plan)
        assert start is not None
        return start.samples_seen

    assert begun_after(workers=3) == config.training.batch_size
    with pytest.raises(RunError, match=r"other data \(dataset.split.seed differ\)"):
        begun_after(split=SplitConfig(seed=9))


class Begun(Exception):
    """Training has begun."""


def test_what_was_refused_is_mended_under_the_same_name(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an error says to lower may be lowered."""

    def fit(*_: object) -> None:
        raise Begun

    five = SimpleNamespace(uri="five", rows=lambda _: 5, group_rows=lambda _: np.array([5]))
    monkeypatch.setattr(job.cluster, "connect", lambda: None)
    monkeypatch.setattr(job.cluster, "machines", lambda: [Machine(1, 4, 0)])
    monkeypatch.setattr(job, "prepare", lambda *_: five)
    monkeypatch.setattr(job, "pairing_of", lambda *_: None)
    monkeypatch.setattr(job, "_fit", fit)

    def attempt(batch_size: int, device: Literal["cpu", "gpu"] = "cpu") -> None:
        training = TrainingConfig(batch_size=batch_size, workers=1, device=device)
        pretrain(PretrainConfig(name="mine", output=str(tmp_path), training=training), console)

    with pytest.raises(RunError, match=r"set training\.device=cpu"):
        attempt(8, device="gpu")
    with pytest.raises(DatasetError, match=r"training\.batch_size=8\); lower it"):
        attempt(8)
    with pytest.raises(Begun):
        attempt(4)
    with pytest.raises(RunError, match=r"another configuration \(training\.batch_size differ"):
        attempt(2)


@pytest.fixture(scope="module")
def run(demo_dataset: PreparedDataset, tmp_path_factory: pytest.TempPathFactory, console: Console) -> Path:
    """A finished run of two workers in two micro-batches."""
    config = configuration(demo_dataset, tmp_path_factory.mktemp("runs"), "run", workers=2)
    training = config.training.model_copy(update={"batch_size": 8, "accumulate": 2})
    config = config.model_copy(update={"training": training})
    pretrain(config, console)
    return Path(config.output, config.name)


def test_a_run_leaves_what_was_promised(run: Path, demo_dataset: PreparedDataset) -> None:
    assert {path.name for path in run.iterdir()} == {
        "checkpoints",
        "config.yaml",
        "encoder",
        "metrics.jsonl",
        "report.html",
        "summary.json",
        "tensorboard",
    }
    kept = [path for path in (run / "checkpoints").iterdir() if path.is_dir()]
    assert 1 <= len(kept) <= 3, "keep=2 and the latest"
    epochs = [row for row in read_metrics(str(run)) if row["kind"] == "epoch"]
    assert [row["epoch"] for row in epochs] == [1, 2]
    assert all(row["step_seconds"] > 0 for row in epochs)
    assert epochs[1]["checkpoint_seconds"] > 0, "of the one at the end of the first epoch"
    for key in [
        "loss",
        "contrastive",
        "reconstruction_global",
        "reconstruction_peak",
        "positives_mean",
        "negatives_mean",
        "anchors_without_negatives",
        "pair_agreement",
        "pair_agreement_chance",
        "effective_rank",
        "uniformity",
        "record_alignment",
        "patient_retrieval",
        "probe_auroc",
        "probe_auroc_random",
    ]:
        assert isinstance(epochs[-1][key], float), key
    trained_on = read_table(str(run / "encoder/trained_on.parquet"))
    ids = demo_dataset.head("train", 1000, ["record_id"])["record_id"]
    assert trained_on["record_id"].to_pylist() == ids.to_pylist()
    assert len(set(trained_on["fingerprint"].to_pylist())) == len(ids)
    html = (run / "report.html").read_text()
    assert html.startswith("<!doctype html>") or html.startswith("<!DOCTYPE html>")
    assert "http://" not in html.replace("http://www.w3.org", "")
    summary = json.loads((run / "summary.json").read_text())
    assert summary["samples_seen"] == summary["steps"] * 8


def test_the_encoder_loads_in_one_line_and_does_the_preprocessing_itself(
    run: Path, demo_dataset: PreparedDataset
) -> None:
    encoder = physioclr.load_encoder(str(run / "encoder"))
    stored = demo_dataset.head("test", 3)["signal"].to_pylist()
    signals = np.stack([np.frombuffer(one, dtype="<i2").reshape(12, 5000) for one in stored]) / 1000
    leads = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
    embeddings = encoder.encode(signals, fs=500, leads=leads)
    assert embeddings.shape == (3, 32)
    turned = encoder.encode(signals[:, ::-1] * 1000, fs=500, leads=[name.lower() for name in leads[::-1]])
    np.testing.assert_allclose(embeddings, turned, rtol=1e-4, atol=1e-5)
    segments = encoder.encode(signals, fs=500, leads=leads, pool="segments")
    np.testing.assert_allclose(segments.mean(axis=1), embeddings, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(encoder.encode(signals[1], fs=500, leads=leads), embeddings[1], rtol=1e-4, atol=1e-5)
