"""Compare methods: each on every task, label fraction and seed, as many at once as the cluster holds; one table.

python jobs/compare.py                                              # a small one on demo recordings
python jobs/compare.py --config configs/compare_ptb_xl.yaml         # every method and ablation
python jobs/compare.py --config configs/compare_paper.yaml --dry-run   # what the paper's setting would take
"""

from __future__ import annotations

import sys

from physioclr.comparison import CompareConfig
from physioclr.pipeline import cli, forecast
from physioclr.pipeline.compare.job import compare
from physioclr.pipeline.compare.result import headline

if __name__ == "__main__":
    sys.exit(
        cli.run_job(
            "Methods x tasks x label fractions x seeds to one table.",
            CompareConfig,
            lambda config, console: headline(compare(config, console), console),
            forecast.of_compare,
        )
    )
