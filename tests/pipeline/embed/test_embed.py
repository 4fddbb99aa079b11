"""Embeddings of an archive: every recording's own, whatever was stopped in between, from prepared data or not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from rich.console import Console

import physioclr
from physioclr.config import ModelConfig, PrepareConfig
from physioclr.downstream import EmbedConfig
from physioclr.ecg.leads import LEADS
from physioclr.encoder import export_encoder
from physioclr.errors import DatasetError, EncoderError, RunError, StorageError
from physioclr.method.encoder import Encoder
from physioclr.pipeline.dataset import PreparedDataset, read_table
from physioclr.pipeline.embed import job
from physioclr.pipeline.embed.job import embed_archive, read_embeddings
from physioclr.pipeline.lease import held


@pytest.fixture(scope="module")
def encoder_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = str(tmp_path_factory.mktemp("encoder"))
    torch.manual_seed(0)
    export_encoder(Encoder(ModelConfig()), ModelConfig(), uri, trained_on={})
    return uri


def table_of(uri: str) -> pa.Table:
    return pa.concat_tables(read_embeddings(uri, ["record_id", "split", "embedding"]))


def test_a_prepared_dataset_is_embedded_row_by_row_and_goes_on_where_it_was(
    demo_dataset: PreparedDataset, encoder_uri: str, tmp_path: Path, console: Console
) -> None:
    config = EmbedConfig(
        encoder=encoder_uri, prepared=demo_dataset.uri, uri=str(tmp_path / "out"), unit_recordings=7, workers=1
    )
    summary = embed_archive(config, console)
    rows = {split: demo_dataset.rows(split) for split in ("train", "validation", "test")}
    assert summary["10 s windows"] == summary["recordings"] == sum(rows.values())
    table = table_of(config.uri)
    assert {split: table["split"].to_pylist().count(split) for split in rows} == rows

    whole = demo_dataset.head("train", rows["train"], ["record_id", "signal"])
    encoder = physioclr.load_encoder(encoder_uri, device="cpu")
    signals = [np.frombuffer(s, "<i2").reshape(12, -1) / 1000 for s in whole["signal"].to_pylist()[:3]]
    expected = encoder.encode(np.stack(signals), fs=500, leads=LEADS, pool="segments").reshape(3, -1)
    found = dict(zip(table["record_id"].to_pylist(), table["embedding"].to_pylist(), strict=True))
    for name, row in zip(whole["record_id"].to_pylist(), expected, strict=False):
        np.testing.assert_allclose(found[name], row, atol=2e-4)

    files = sorted((tmp_path / "out" / "embeddings").iterdir())
    before = {file.name: file.read_bytes() for file in files}
    (tmp_path / "out" / "summary.json").unlink()  # as if it was stopped before two of its files were written
    files[0].unlink(), files[-1].unlink()
    kept = files[1].stat().st_mtime_ns
    embed_archive(config, console)
    assert {file.name: file.read_bytes() for file in files} == before
    assert files[1].stat().st_mtime_ns == kept


def test_a_folder_from_before_there_was_a_choice_of_pooling_goes_on(
    demo_dataset: PreparedDataset, encoder_uri: str, tmp_path: Path, console: Console
) -> None:
    config = EmbedConfig(encoder=encoder_uri, prepared=demo_dataset.uri, uri=str(tmp_path), splits=("test",))
    summary = embed_archive(config, console)
    stored = json.loads((tmp_path / "config.json").read_text())
    del stored["token_pool"]
    (tmp_path / "config.json").write_text(json.dumps(stored))
    assert embed_archive(config, console) == summary
    statistics = config.model_copy(update={"token_pool": "statistics"})
    with pytest.raises(RunError, match=r"another configuration \(token_pool differ"):
        embed_archive(statistics, console)
    other = statistics.model_copy(update={"uri": str(tmp_path / "other")})
    assert embed_archive(other, console)["width"] == 4 * summary["width"]
    mean, four = (np.stack(table_of(uri)["embedding"].to_pylist()) for uri in (config.uri, other.uri))
    width = summary["width"]
    np.testing.assert_allclose(four.reshape(len(four), 2, -1)[..., :width], mean.reshape(len(mean), 2, -1), atol=1e-5)


def test_recordings_as_they_are_give_the_same_embeddings_and_a_list_of_the_rejected(
    demo_dataset: PreparedDataset, demo_config: PrepareConfig, encoder_uri: str, tmp_path: Path, console: Console
) -> None:
    broken = Path(demo_config.sources[0].uri)
    config = EmbedConfig(
        encoder=encoder_uri, prepared=None, sources=demo_config.sources, uri=str(tmp_path / "raw"), workers=1
    )
    header = next(broken.rglob("*.hea"))
    text = header.read_text()
    header.write_text("no header")
    try:
        summary = embed_archive(config, console)
    finally:
        header.write_text(text)
    assert summary["rejected"] == 1
    assert read_table(summary["list of the rejected"])["reason"].to_pylist() == ["unreadable_header"]
    raw = table_of(config.uri)
    assert raw.num_rows == summary["recordings"] == demo_dataset.manifest.kept - 1
    prepared = config.model_copy(
        update={"prepared": demo_dataset.uri, "sources": (), "uri": str(tmp_path / "prepared")}
    )
    embed_archive(prepared, console)
    known = table_of(prepared.uri)
    expected = dict(zip(known["record_id"].to_pylist(), known["embedding"].to_pylist(), strict=True))
    for name, embedding in zip(raw["record_id"].to_pylist(), raw["embedding"].to_pylist(), strict=True):
        np.testing.assert_allclose(embedding, expected[name], atol=2e-4)


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is connected to, and nothing there to embed."""
    monkeypatch.setattr(job.cluster, "connect", lambda: None)
    monkeypatch.setattr(job, "_embed", lambda *_: 0)


def test_what_was_refused_is_mended_under_the_same_uri(
    without_ray: None, encoder_uri: str, tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = str(tmp_path / "out")
    mistyped = EmbedConfig(encoder=f"{encoder_uri}-no", prepared=f"{tmp_path}/no", uri=uri)
    with pytest.raises(StorageError, match=r"-no/encoder\.json does not exist"):
        embed_archive(mistyped, console)
    config = mistyped.model_copy(update={"encoder": encoder_uri})
    with pytest.raises(DatasetError, match="no prepared dataset"):
        embed_archive(config, console)
    config = config.model_copy(update={"prepared": f"{tmp_path}/yes"})
    monkeypatch.setattr(job, "_units", lambda *_: [])
    assert embed_archive(config, console)["recordings"] == 0
    with pytest.raises(RunError, match=r"another configuration \(encoder differ"):
        embed_archive(config.model_copy(update={"encoder": f"{encoder_uri}-no"}), console)


def test_of_two_jobs_with_one_uri_the_second_is_refused(
    without_ray: None, encoder_uri: str, tmp_path: Path, console: Console
) -> None:
    config = EmbedConfig(encoder=encoder_uri, prepared=f"{tmp_path}/no", uri=str(tmp_path / "out"))
    with held(config.uri, "The first", console), pytest.raises(RunError, match=r"is being worked on .* another uri"):
        embed_archive(config, console)


def test_a_list_of_patients_that_a_kill_has_left_is_deleted_by_the_same_command(
    without_ray: None, encoder_uri: str, tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = EmbedConfig(encoder=encoder_uri, prepared=f"{tmp_path}/no", uri=str(tmp_path / "out"))
    monkeypatch.setattr(job, "_units", lambda *_: [])
    summary = embed_archive(config, console)
    (tmp_path / "out" / "work").mkdir()
    assert embed_archive(config, console) == summary
    assert not (tmp_path / "out" / "work").exists()


def test_what_cannot_be_embedded_is_said_in_a_sentence(
    demo_dataset: PreparedDataset, encoder_uri: str, tmp_path: Path, console: Console
) -> None:
    with pytest.raises(ValueError, match="either `prepared` or `sources`"):
        EmbedConfig(prepared=None)
    config = EmbedConfig(encoder=encoder_uri, prepared=demo_dataset.uri, uri=str(tmp_path), device="gpu")
    if not torch.cuda.is_available():
        with pytest.raises(RunError, match="the cluster has no GPU"):
            embed_archive(config, console)
    other = config.model_copy(update={"splits": ("test",)})
    with pytest.raises(RunError, match=r"another configuration \(splits"):
        embed_archive(other, console)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "encoder.json").write_text(json.dumps({"format": 0}))
    with pytest.raises(EncoderError, match="export it again"):
        embed_archive(config.model_copy(update={"encoder": str(tmp_path / "bad"), "uri": str(tmp_path / "x")}), console)
