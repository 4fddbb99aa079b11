"""Signs that a pretraining fails, over its epochs: is it the patient's identity that is learned, or the signal's shape?

What `pipeline/pretrain/monitor.py` measured of each encoder of a method, and how two of the figures go together. Pure
numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.stats import spearmanr

Row = Mapping[str, Any]
Points = list[tuple[int, float]]  # (epoch, figure)

AUROC, RETRIEVAL = "probe_auroc", "patient_retrieval"
# What is watched, and chance or the number of queries beside it.
SIGNS = (
    AUROC,
    RETRIEVAL,
    "patient_retrieval_chance",
    "patient_retrieval_queries",
    "effective_rank",
    "reconstruction_global",
    "reconstruction_peak",
)


@dataclass(frozen=True)
class Course:
    """How the encoders of one method went: for each seed its metrics rows, of kind `untrained` (epoch 0) and `epoch`.

    `weight` is alpha, the weight of the reconstruction, where the method has one.
    """

    method: str
    seeds: Mapping[int, Sequence[Row]]
    weight: float | None = None

    def points(self, key: str) -> Points:
        """The figure by epoch, ascending: the mean over the seeds that have it; epochs that none has are left out."""
        found: dict[int, list[float]] = {}
        for rows in self.seeds.values():
            for epoch, value in of_seed(rows, key):
                found.setdefault(epoch, []).append(value)
        return [(epoch, sum(found[epoch]) / len(found[epoch])) for epoch in sorted(found)]

    def last(self, key: str) -> float:
        """The figure at the last epoch that has it; NaN where none has."""
        points = self.points(key)
        return points[-1][1] if points else math.nan

    def together(self, key: str, other: str) -> float:
        """Spearman's rank correlation of two figures over the epochs; NaN with fewer than three, or without change."""
        first, second = dict(self.points(key)), dict(self.points(other))
        return rank_correlation([(first[epoch], second[epoch]) for epoch in first.keys() & second.keys()])


def of_seed(rows: Sequence[Row], key: str) -> Points:
    """The figure by epoch of one run; what was not measured is left out."""
    return [
        (int(row["epoch"]), float(row[key]))
        for row in rows
        if row["kind"] in ("untrained", "epoch") and row.get(key) is not None and math.isfinite(row[key])
    ]


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> float:
    """Spearman's, ties by mean ranks; NaN for fewer than three pairs, or where one side does not change."""
    if len(pairs) < 3 or any(len(set(side)) < 2 for side in zip(*pairs, strict=True)):
        return math.nan
    return float(spearmanr(*zip(*pairs, strict=True)).statistic)
