"""Embed recordings with an exported encoder: Parquet files with one row a 10 s window.

python jobs/embed.py encoder=work/runs/demo/encoder prepared=work/demo-prepared uri=work/demo-embeddings
python jobs/embed.py encoder=s3://bucket/runs/mine/encoder prepared=null sources.0.kind=ptb-xl \
    sources.0.uri=/data/ptb-xl uri=/data/ptb-xl-embeddings
"""

from __future__ import annotations

import sys

from physioclr.downstream import EmbedConfig
from physioclr.pipeline import cli, forecast
from physioclr.pipeline.embed.job import embed_archive

if __name__ == "__main__":
    sys.exit(cli.run_job("Recordings to embeddings.", EmbedConfig, embed_archive, forecast.of_embed))
