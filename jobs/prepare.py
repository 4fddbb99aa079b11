"""Prepare recordings for training: read, check, standardise, extract features, write Parquet shards.

python jobs/prepare.py --config configs/prepare_ptb_xl.yaml
python jobs/prepare.py uri=/data/prepared sources.0.kind=wfdb sources.0.uri=/data/recordings
"""

from __future__ import annotations

import sys

from physioclr.config import PrepareConfig
from physioclr.pipeline import cli, forecast
from physioclr.pipeline.prepare.job import prepare, summary

if __name__ == "__main__":
    sys.exit(
        cli.run_job(
            "Recordings to a prepared dataset.",
            PrepareConfig,
            lambda config, console: summary(prepare(config, console)),
            forecast.of_prepare,
        )
    )
