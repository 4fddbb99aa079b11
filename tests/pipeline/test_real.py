"""The main job on real recordings, small: PTB-XL and the Challenge 2021 to an encoder that loads."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import wfdb
from rich.console import Console

import physioclr
from physioclr.config import MonitorConfig, PrepareConfig, PretrainConfig, SourceConfig, TrainingConfig
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.pretrain.job import pretrain
from physioclr.pipeline.training.metrics_log import read_metrics

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def data() -> Path:
    if "PHYSIOCLR_DATA" not in os.environ:
        pytest.skip("PHYSIOCLR_DATA names no folder with real recordings")
    return Path(os.environ["PHYSIOCLR_DATA"])


@pytest.fixture(scope="module")
def run(data: Path, ray_here: None, tmp_path_factory: pytest.TempPathFactory, console: Console) -> PretrainConfig:
    folder = tmp_path_factory.mktemp("real")
    sources = (
        SourceConfig(kind="ptb-xl", uri=str(data / "ptb-xl-z"), limit=260),
        SourceConfig(kind="challenge-2021", uri=str(data / "challenge-2021")),
    )
    config = PretrainConfig(
        name="real",
        output=str(folder),
        dataset=PrepareConfig(uri=str(folder / "prepared"), sources=sources),
        training=TrainingConfig(epochs=2, batch_size=32, workers=1),
        monitor=MonitorConfig(train_recordings=250, validation_recordings=60),
    )
    pretrain(config, console)
    return config


def test_every_recording_is_accounted_for(run: PretrainConfig) -> None:
    manifest = PreparedDataset.open(run.dataset.uri).manifest
    assert manifest.found == 260 + 128 == manifest.kept + manifest.rejected
    assert manifest.rejected_by_reason == {"flat_lead": 6}
    assert sum(manifest.rows.values()) > manifest.kept, "long Challenge recordings give several windows"
    assert manifest.feature_status["ok"] / sum(manifest.feature_status.values()) > 0.97


def test_the_split_is_by_patient(run: PretrainConfig) -> None:
    dataset = PreparedDataset.open(run.dataset.uri)
    patients = {
        split: set(dataset.head(split, 10_000, ["patient_id"])["patient_id"].to_pylist())
        for split in ("train", "validation", "test")
    }
    assert not patients["train"] & patients["validation"]
    assert not patients["train"] & patients["test"]
    assert not patients["validation"] & patients["test"]


def test_features_choose_pairs_that_share_labels(run: PretrainConfig) -> None:
    (last,) = [row for row in read_metrics(f"{run.output}/{run.name}") if row["kind"] == "epoch" and row["epoch"] == 2]
    assert last["pair_agreement"] > 1.2 * last["pair_agreement_chance"]
    assert last["contrastive"] > 0
    assert last["record_retrieval"] > 20 * last["record_retrieval_chance"]


def test_the_encoder_takes_a_recording_as_its_publisher_stores_it(run: PretrainConfig, data: Path) -> None:
    header = next((data / "ptb-xl/records500").rglob("*.hea"))
    record = wfdb.rdrecord(str(header.with_suffix("")))
    encoder = physioclr.load_encoder(f"{run.output}/{run.name}/encoder")
    embedding = encoder.encode(record.p_signal.T, fs=record.fs, leads=record.sig_name)
    assert embedding.shape == (encoder.width,)
    assert np.isfinite(embedding).all()
