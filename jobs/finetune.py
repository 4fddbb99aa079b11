"""Train a classifier on an encoder, or probe it: predictions, figures with intervals, a report.

python jobs/finetune.py                                                       # on the demo's run and dataset
python jobs/finetune.py mode=probe name=demo-probe                            # a linear probe
python jobs/finetune.py --config configs/finetune_ptb_xl.yaml label_fraction=0.1 name=ptb-xl-10
"""

from __future__ import annotations

import sys

from physioclr.downstream import FinetuneConfig
from physioclr.pipeline import cli, forecast
from physioclr.pipeline.finetune.job import finetune, headline

if __name__ == "__main__":
    sys.exit(
        cli.run_job(
            "An encoder and labels to a classifier.",
            FinetuneConfig,
            lambda config, console: headline(finetune(config, console)),
            forecast.of_finetune,
        )
    )
