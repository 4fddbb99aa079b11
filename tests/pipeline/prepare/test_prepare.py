"""Preparing: counts add up, what is bad is listed, and a killed job ends with the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import ray
from fsspec.implementations.local import LocalFileSystem
from rich.console import Console

from physioclr import configfile
from physioclr.config import FeatureConfig, PrepareConfig, SourceConfig, SplitConfig
from physioclr.ecg.record import REJECTION_REASONS
from physioclr.errors import DatasetError
from physioclr.features.reducer import Reducer
from physioclr.pipeline.dataset import FORMAT, ROW_SCHEMA, PreparedDataset
from physioclr.pipeline.lease import held
from physioclr.pipeline.prepare.finish import usable_features
from physioclr.pipeline.prepare.job import prepare

ROOT = Path(__file__).parents[3]


def fingerprint(folder: str) -> dict[str, str]:
    """Every file below `folder` but the manifest's own URI, by hash."""
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file() and path.name != "manifest.json")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_rows_are_as_the_schema_says(demo_dataset: PreparedDataset, demo_config: PrepareConfig) -> None:
    manifest = demo_dataset.manifest
    assert manifest.found == 48 == manifest.kept + manifest.rejected
    assert sum(manifest.rows.values()) == manifest.kept, "every demo recording is one window"
    assert len(demo_dataset.split_shards("train")) > 1
    for shard in manifest.shards:
        table = pq.read_table(f"{demo_config.uri}/shards/{shard.name}.parquet")
        assert table.schema.equals(ROW_SCHEMA)
        assert table.num_rows == shard.rows == sum(shard.row_groups)
        assert set(table["split"].to_pylist()) == {shard.split}
        signal = np.frombuffer(table["signal"][0].as_py(), dtype="<i2").reshape(12, 5000)
        assert (np.abs(signal).max(axis=1) > 0).all()
        assert len(table["features"][0]) == 300
    assert not Path(demo_config.uri, "work").exists()


def test_the_reducer_saw_the_training_split_only(demo_dataset: PreparedDataset, demo_config: PrepareConfig) -> None:
    training = np.concatenate(
        [usable_features(demo_config.uri, one.name) for one in demo_dataset.split_shards("train")]
    )
    assert demo_dataset.reducer.fitted_on == len(training)
    expected = Reducer.fit(training, components=20, clip=5.0, marked=demo_config.features.marked)
    np.testing.assert_allclose(demo_dataset.reducer.mean, expected.mean)
    np.testing.assert_allclose(demo_dataset.reducer.explained, expected.explained)


def test_run_again_it_does_nothing_and_another_configuration_is_refused(
    demo_dataset: PreparedDataset, demo_config: PrepareConfig, console: Console
) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path(demo_config.uri).rglob("*")}
    assert prepare(demo_config, console).manifest == demo_dataset.manifest
    assert {path: path.stat().st_mtime_ns for path in Path(demo_config.uri).rglob("*")} == before
    other = demo_config.model_copy(update={"features": FeatureConfig(lead="V5")})
    with pytest.raises(DatasetError, match=r"features\.components, features\.lead differ"):
        prepare(other, console)


def test_bad_recordings_are_rejected_counted_and_listed(ray_here: None, tmp_path: Path, console: Console) -> None:
    source = SourceConfig(uri=str(tmp_path / "recordings"), patients=12, recordings_per_patient=1)
    config = PrepareConfig(uri=str(tmp_path / "whole"), sources=(source,), features=FeatureConfig(components=5))
    prepare(config, console)
    folder = tmp_path / "recordings/training/demo/g1"
    (folder / "D00002.mat").write_bytes((folder / "D00002.mat").read_bytes()[:40_000])
    keep_three_leads(folder / "D00004")
    lose_lead_two(folder / "D00006")
    (folder / "D00008.hea").write_text("not a header\n")
    again = prepare(config.model_copy(update={"uri": str(tmp_path / "again")}), console)
    assert (again.manifest.found, again.manifest.kept, again.manifest.rejected) == (12, 8, 4)
    rejected = pq.read_table(tmp_path / "again/rejected.parquet").to_pylist()
    reasons = {row["record_id"].split("/")[-1]: row["reason"] for row in rejected}
    assert set(reasons) == {"D00002", "D00004", "D00006", "D00008"}
    assert reasons["D00004"] == "missing_leads"
    assert reasons["D00006"] == "nan"
    assert reasons["D00008"] == "unreadable_header"
    assert reasons["D00002"] == "truncated"
    assert set(reasons.values()) <= set(REJECTION_REASONS)
    assert all(row["window"] == -1 and row["detail"] for row in rejected)


def samples_of(record: Path) -> tuple[bytes, np.ndarray]:
    """The first 24 bytes and the samples [5000, 12] of a demo record."""
    mat = record.with_suffix(".mat").read_bytes()
    return mat[:24], np.frombuffer(mat[24:], dtype="<i2").reshape(-1, 12).copy()


def keep_three_leads(record: Path) -> None:
    """A good record of leads I, II and III."""
    start, samples = samples_of(record)
    record.with_suffix(".mat").write_bytes(start + samples[:, :3].tobytes())
    _, *leads = record.with_suffix(".hea").read_text().splitlines()
    record.with_suffix(".hea").write_text("\n".join([f"{record.name} 3 500 5000", *leads[:3]]) + "\n")


def lose_lead_two(record: Path) -> None:
    """Every sample of lead II is WFDB's mark of a missing one; the checksum says so too."""
    start, samples = samples_of(record)
    samples[:, 1] = -32768
    record.with_suffix(".mat").write_bytes(start + samples.tobytes())
    lines = record.with_suffix(".hea").read_text().splitlines()
    lead = lines[2].split()
    lead[5:7] = ["-32768", "0"]
    lines[2] = " ".join(lead)
    record.with_suffix(".hea").write_text("\n".join(lines) + "\n")


def test_recordings_that_are_all_bad_end_with_a_sentence(ray_here: None, tmp_path: Path, console: Console) -> None:
    source = SourceConfig(uri=str(tmp_path / "recordings"), patients=3, recordings_per_patient=1)
    config = PrepareConfig(uri=str(tmp_path / "one"), sources=(source,), features=FeatureConfig(components=2))
    prepare(config, console)
    for mat in (tmp_path / "recordings").rglob("*.mat"):
        mat.write_bytes(b"")
    with pytest.raises(DatasetError, match="Of 3 recordings none is left"):
        prepare(config.model_copy(update={"uri": str(tmp_path / "two")}), console)


def test_killed_twice_it_goes_on_and_ends_with_the_same_bytes(ray_here: None, tmp_path: Path, console: Console) -> None:
    source = SourceConfig(uri=str(tmp_path / "recordings"), patients=30, recordings_per_patient=2)
    config = PrepareConfig(
        sources=(source,), unit_recordings=3, shard_recordings=24, features=FeatureConfig(components=10)
    )
    calm = config.model_copy(update={"uri": str(tmp_path / "calm"), "workers": 2})
    killed = config.model_copy(update={"uri": str(tmp_path / "killed"), "workers": 1})
    units = Path(killed.uri, "work/units")
    for enough in (3, 9):
        kill_when(killed, tmp_path, lambda enough=enough: units.exists() and len(list(units.iterdir())) >= enough)
    done_before = {path.name: path.stat().st_mtime_ns for path in units.iterdir()}
    assert len(done_before) < 20, "it was killed before the end"
    prepare(killed, console)
    prepare(calm, console)
    assert fingerprint(killed.uri) == fingerprint(calm.uri)
    assert PreparedDataset.open(killed.uri).manifest.found == 60


def command(config: PrepareConfig, folder: Path) -> list[str]:
    file = folder / f"{Path(config.uri).name}.yaml"
    file.write_text(configfile.dump(config))
    return [sys.executable, str(ROOT / "jobs/prepare.py"), "--config", str(file)]


def kill_when(config: PrepareConfig, folder: Path, ready) -> None:  # type: ignore[no-untyped-def]
    """Start the job and send SIGKILL to it and everything it started as soon as `ready()`."""
    job = subprocess.Popen(
        command(config, folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not ready():
        assert job.poll() is None, "the job ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()


def complete(uri: Path) -> PrepareConfig:
    """A dataset of no recordings, whose job was killed before it had deleted `work`."""
    config = PrepareConfig(uri=str(uri), sources=(SourceConfig(uri=str(uri / "recordings")),))
    nothing: dict[str, object] = dict.fromkeys(("found", "kept", "rejected", "rejected_windows"), 0)
    nothing |= {name: {} for name in ("rejected_by_reason", "rows", "patients", "feature_status")}
    manifest = {"format": FORMAT, "config": config.model_dump(mode="json"), "shards": [], **nothing}
    (uri / "work/units").mkdir(parents=True)
    (uri / "work/units/train-00000.0000.parquet").write_bytes(b"a patient")
    (uri / "manifest.json").write_text(json.dumps(manifest))
    return config


def test_a_copy_of_signals_that_a_kill_has_left_is_deleted_by_the_same_command(
    tmp_path: Path, console: Console
) -> None:
    config = complete(tmp_path)
    with held(config.uri, "Another job", console):
        prepare(config, console)
        assert (tmp_path / "work").exists(), "another job is at it"
    prepare(config.model_copy(update={"sources": ()}), console)
    assert (tmp_path / "work").exists(), "who only reads a dataset deletes nothing of it"
    prepare(config, console)
    assert not (tmp_path / "work").exists()
    assert not (tmp_path / "owner.json").exists()


def test_a_copy_of_signals_that_cannot_be_deleted_is_told_and_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, said = complete(tmp_path), io.StringIO()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(LocalFileSystem, "rm", refuse)
    assert prepare(config, Console(file=said, width=1000)).uri == config.uri
    assert f"{tmp_path}/work is left, with signals or ids of patients in it; delete it (Deleting" in said.getvalue()


def test_splits_without_validation_or_test_are_fine(ray_here: None, tmp_path: Path, console: Console) -> None:
    config = PrepareConfig(
        uri=str(tmp_path / "p"),
        sources=(SourceConfig(uri=str(tmp_path / "r"), patients=4, recordings_per_patient=1),),
        split=SplitConfig(validation=0, test=0),
        features=FeatureConfig(components=3),
    )
    dataset = prepare(config, console)
    assert dataset.manifest.rows == {"train": 4, "validation": 0, "test": 0}
    assert dataset.head("validation", 5).num_rows == 0
    assert ray.is_initialized()
