"""Pretrain PhysioCLR on a prepared dataset, which is made first if it is not there.

python jobs/pretrain.py                                            # the embedded demo, on this machine
python jobs/pretrain.py --config configs/pretrain_ptb_xl.yaml training.epochs=20
ray job submit --working-dir . -- python jobs/pretrain.py --config configs/pretrain_ptb_xl.yaml
"""

from __future__ import annotations

import sys

from physioclr.config import PretrainConfig
from physioclr.pipeline import cli, forecast
from physioclr.pipeline.pretrain.job import headline, pretrain

if __name__ == "__main__":
    sys.exit(
        cli.run_job(
            "Recordings to a pretrained encoder.",
            PretrainConfig,
            lambda config, console: headline(pretrain(config, console)),
            forecast.of_pretrain,
        )
    )
