"""Search: many short pretrainings on one prepared dataset, to the configuration whose encoder probes best.

python jobs/search.py                                              # a small one on demo recordings
python jobs/search.py --config configs/search_ptb_xl.yaml          # delta, loss weights, temperature, form, rate
python jobs/search.py --config configs/search_ptb_xl.yaml then=finetune   # and what the best one is worth
"""

from __future__ import annotations

import sys

from physioclr.pipeline import cli, forecast
from physioclr.pipeline.search.job import search
from physioclr.pipeline.search.result import headline
from physioclr.search import SearchConfig

if __name__ == "__main__":
    sys.exit(
        cli.run_job(
            "Ray Tune over the keys of a pretraining, to the best configuration and what follows with it.",
            SearchConfig,
            lambda config, console: headline(search(config, console)),
            forecast.of_search,
        )
    )
