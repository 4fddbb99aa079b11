"""Secrets of the environment get into nothing that is printed or written. cluster/test_token.py looks at Ray, too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from rich.console import Console
from torch import nn

from physioclr.config import FeatureConfig, ModelConfig, OptimiserConfig, PrepareConfig, PretrainConfig, SourceConfig
from physioclr.encoder import export_encoder
from physioclr.method.encoder import Encoder as Network
from physioclr.pipeline import run
from physioclr.pipeline.prepare.extract import ExtractUnit, ReadUnit
from physioclr.pipeline.prepare.finish import assemble_shard
from physioclr.pipeline.prepare.job import plan_recordings, units_to_do
from physioclr.pipeline.training.state import TrainState, make_optimiser
from physioclr.sources.pseudonyms import VARIABLE
from tests.secrets import files_with, own_archive, stands_in

ROOT = Path(__file__).parents[2]
PATIENT = "4711-0815"
SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIAPLANTEDKEYID",
    "AWS_SECRET_ACCESS_KEY": "planted/AWS+secret/K7MDENGbPxRfi",
    "AWS_SESSION_TOKEN": "planted-session-token",
    "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
    VARIABLE: "planted-patient-key-" + "5" * 32,
}


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PrepareConfig:
    """Four recordings of two patients whose ids are no pseudonyms, and the planted secrets in the environment."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    own_archive(tmp_path, 2, PATIENT)
    source = SourceConfig(
        kind="wfdb", uri=str(tmp_path / "archive"), name="own", labels_csv=str(tmp_path / "labels.csv")
    )
    return PrepareConfig(uri=str(tmp_path / "left/prepared"), sources=(source,))


def looked_for() -> tuple[str, ...]:
    return (*SECRETS.values(), PATIENT)


def test_what_preparing_and_a_run_write(
    dataset: PrepareConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every kind of file, without Ray: plan, units, shards, configuration, checkpoint and encoder."""
    left, console = tmp_path / "left", Console(width=120)
    plan = plan_recordings(dataset, console)
    for unit in units_to_do(dataset, plan):
        read = ReadUnit(dataset.uri, dataset.sources)(pa.Table.from_pylist([vars(unit)]))
        ExtractUnit(dataset.uri, FeatureConfig())(read)
    for shard, recordings in plan.items():
        assemble_shard(dataset.uri, shard, recordings, dataset.unit_recordings, dataset.row_group_rows)
    config = PretrainConfig(dataset=dataset, output=str(left / "runs"))
    uri = run.claim(config)
    model = nn.Linear(3, 2)
    state = TrainState(model, *make_optimiser(model.parameters(), OptimiserConfig(), 5), seed=0)
    state.save(left, config.model_dump(mode="json"))
    export_encoder(Network(ModelConfig()), ModelConfig(), f"{uri}/encoder", trained_on={"config": config.model_dump()})
    run.write_summary(uri, {"config": config.model_dump(mode="json")})

    assert {path.suffix for path in left.rglob("*") if path.is_file()} >= {".parquet", ".pt", ".yaml", ".json"}
    assert files_with(left, *looked_for()) == []
    assert files_with(left, "own/training"), "what is looked for would be found"
    printed = "".join(capfd.readouterr()).encode()
    assert b"4 recordings listed" in printed
    assert not any(stands_in(secret, printed) for secret in looked_for())


def job(name: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, "RAY_ADDRESS": "local", "PYTHONPATH": str(ROOT), **environment}
    script = [sys.executable, str(ROOT / "jobs" / f"{name}.py"), *words]
    return subprocess.run(script, env=given, capture_output=True, text=True, timeout=200, check=False)


def test_what_jobs_print(dataset: PrepareConfig) -> None:
    (source,) = dataset.sources
    assert source.labels_csv is not None
    words = ["sources.0.kind=wfdb", f"sources.0.uri={source.uri}", f"sources.0.labels_csv={source.labels_csv}"]
    dry = job("prepare", "--dry-run", f"uri={dataset.uri}", *words)
    assert dry.returncode == 0, dry.stderr
    keyless = job("prepare", f"uri={dataset.uri}", *words, **{VARIABLE: ""})
    assert keyless.returncode == 2
    assert [line for line in keyless.stderr.splitlines() if "there is no key for that" in line]
    secret = SECRETS["AWS_SECRET_ACCESS_KEY"]
    refused = job("prepare", f"uri=s3://{SECRETS['AWS_ACCESS_KEY_ID']}:{secret}@bucket/prepared", *words)
    assert refused.returncode == 2
    assert "has credentials in it" in refused.stderr
    for done in (dry, keyless, refused):
        printed = (done.stdout + done.stderr).encode()
        assert not any(stands_in(one, printed) for one in looked_for())


def test_secrets_would_be_found(tmp_path: Path) -> None:
    secret = SECRETS[VARIABLE]
    torch.save({"config": {"key": secret}}, tmp_path / "state.pt")
    pq.write_table(pa.table({"a": [secret] * 100}), tmp_path / "x.parquet", compression="zstd")
    (tmp_path / f"{secret}.txt").touch()
    assert len(files_with(tmp_path, secret)) == 3
