"""Several methods on the same test recordings: macro figures averaged over seeds, and paired differences.

All of them are judged on the same resamples of the patients, so a difference has an interval of its own, narrower than
those of its two sides suggest.

Shape legend: N recordings of all tasks together, n those of one task, C classes, B resamples, K figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from physioclr.evaluation.bootstrap import Interval, intervals
from physioclr.evaluation.ranked import RankedScores, mean_of_defined

Floats = NDArray[np.float64]
METRICS = ("auroc", "auprc")


@dataclass(frozen=True)
class Outcomes:
    """What is true of one task: `y` bool [n, C] of the recordings `rows` int [n] out of N."""

    y: NDArray[np.bool_]
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class Compared:
    """One method in one column: figures by metric, averaged over seeds; each seed's; differences to the reference.

    `difference` is over the seeds that both have, and empty for the reference and where they have none in common.
    """

    figures: dict[str, Interval]
    by_seed: dict[str, tuple[float, ...]]
    difference: dict[str, Interval]


Key = tuple[str, str]  # method, column
MEAN = "mean"  # the column of the mean over all others


def compare(
    columns: Mapping[str, Outcomes],
    scores: Mapping[Key, Mapping[int, ArrayLike]],
    patients: ArrayLike,
    reference: str,
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> dict[Key, Compared]:
    """Judge `scores` by (method, column), then by seed: [n, C] for the rows of that column. `patients` [N].

    A method with every column also gets a column `MEAN`. Raises ValueError when shapes do not fit.
    """
    keys = sorted(key for key, seeds in scores.items() if seeds)
    ranked = {
        key: {number: RankedScores(columns[key[1]].y, one) for number, one in scores[key].items()} for key in keys
    }
    complete = [
        method for method in dict.fromkeys(key[0] for key in keys) if all((method, c) in ranked for c in columns)
    ]
    # Seeds that one of the two lacks, as after a cell that failed, would make a difference of their own.
    common = {key: [one for one in ranked[key] if one in ranked.get((reference, key[1]), ())] for key in keys}
    pairs = [key for key in keys if key[0] != reference and common[key]]
    means = [method for method in complete if len(columns) > 1]
    mean_pairs = [method for method in means if all((method, column) in pairs for column in columns)]

    def figures(weights: Floats) -> Floats:
        each = {
            key: {number: _macro(one, weights[:, columns[key[1]].rows]) for number, one in seeds.items()}
            for key, seeds in ranked.items()
        }
        value = {key: np.mean(list(seeds.values()), axis=0) for key, seeds in each.items()}
        gap = {
            key: np.mean([each[key][one] - each[reference, key[1]][one] for one in common[key]], axis=0)
            for key in pairs
        }
        for found, methods in ((value, means), (gap, mean_pairs)):
            for method in methods:
                found[method, MEAN] = np.mean([found[method, column] for column in columns], axis=0)
        return np.concatenate([*value.values(), *gap.values()], axis=1)

    everything = [*keys, *((method, MEAN) for method in means)]
    compared = [*pairs, *((method, MEAN) for method in mean_pairs)]
    found = intervals(figures, patients, seed=seed, resamples=resamples)
    parts = [
        dict(zip(METRICS, found[at : at + len(METRICS)], strict=True)) for at in range(0, len(found), len(METRICS))
    ]
    difference = dict(zip(compared, parts[len(everything) :], strict=True))
    everyone = {column: np.ones((1, len(outcomes.y))) for column, outcomes in columns.items()}
    by_seed = {
        key: np.array([_macro(one, everyone[key[1]])[0] for one in seeds.values()]) for key, seeds in ranked.items()
    }
    return {
        key: Compared(
            part,
            {name: tuple(by_seed[key][:, place].tolist()) for place, name in enumerate(METRICS)}
            if key in by_seed
            else {},
            difference.get(key, {}),
        )
        for key, part in zip(everything, parts, strict=False)
    }


def _macro(ranked: RankedScores, weights: Floats) -> Floats:
    """Macro figures [B, metrics]."""
    return np.asarray(mean_of_defined(ranked.per_class(weights, METRICS)))
