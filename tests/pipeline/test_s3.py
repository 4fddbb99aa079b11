"""A whole run on a real S3 server that throttles: data, checkpoints, encoder and report."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faulty_s3 import FaultyS3

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_run_on_a_throttling_s3_server(s3: Path, throttled: FaultyS3) -> None:
    (s3 / "lake").mkdir(exist_ok=True)
    job = subprocess.run(
        [
            sys.executable,
            str(ROOT / "jobs/pretrain.py"),
            "name=throttled",
            "output=s3://lake/runs",
            "dataset.uri=s3://lake/prepared",
            "dataset.sources.0.uri=s3://lake/recordings",
            "dataset.sources.0.patients=10",
            "dataset.features.components=10",
            "training.epochs=1",
            "training.batch_size=8",
        ],
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "AWS_ENDPOINT_URL": throttled.url},
        check=False,
    )
    assert job.returncode == 0, job.stdout + job.stderr
    run = s3 / "lake/runs/throttled"
    assert {"encoder", "report.html", "summary.json", "checkpoints"} <= {path.name for path in run.iterdir()}
    assert (s3 / "lake/prepared/manifest.json").exists()
    assert "test-secret-key" not in job.stdout + job.stderr
