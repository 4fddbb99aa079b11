"""What the features say when pairs are made: the dataset's reducer, or in an experiment what is left of it.

With `ablation.drop` columns are missing in every row and the reducer is fitted without them; with `ablation.random` a
recording has a random vector instead. Both are drawn by the run's seed. Signals, R peaks, waves and labels are as ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from physioclr.config import FeatureConfig, PretrainConfig
from physioclr.features.columns import COLUMNS
from physioclr.features.reducer import Covariance, Moments, Reducer, Scaler
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.prepare.finish import covariance_of, moments_of

_DROP, _RANDOM = 1, 2  # draws of one seed that have nothing to do with each other


@dataclass(frozen=True)
class Pairing:
    """A reducer, the columns that are missing, and the seed of random vectors, if it is these that make pairs."""

    reducer: Reducer
    dropped: tuple[int, ...] = ()
    seed: int | None = None

    def tensors(self) -> dict[str, NDArray[Any]]:
        """`Reducer.tensors()`, and of an ablation what `batches.to_segments` needs beside them."""
        arrays = self.reducer.tensors()
        if self.dropped:
            arrays["dropped"] = np.array(self.dropped, dtype=np.int64)
        if self.seed is not None:
            arrays["seed"] = np.array(self.seed, dtype=np.int64)
            arrays["spread"] = np.sqrt(self.reducer.explained).astype(np.float32)
        return arrays


def pairing_of(config: PretrainConfig, dataset: PreparedDataset) -> Pairing:
    """Of a pretraining. Reads the training split's features twice where columns are dropped."""
    ablation = config.ablation
    if ablation is None:
        return Pairing(dataset.reducer)
    dropped = dropped_columns(ablation.drop, config.training.seed)
    reducer = _fit_without(dropped, dataset) if dropped else dataset.reducer
    return Pairing(reducer, dropped, config.training.seed if ablation.random else None)


def dropped_columns(share: float, seed: int) -> tuple[int, ...]:
    """So many of the 150 columns, ascending. A larger share of the same seed has all columns of a smaller one."""
    order = np.random.default_rng([seed, _DROP]).permutation(len(COLUMNS))
    return tuple(sorted(order[: round(share * len(COLUMNS))].tolist()))


def _fit_without(dropped: tuple[int, ...], dataset: PreparedDataset) -> Reducer:
    """The dataset's reducer fitted anew. Here and not in tasks: other runs may hold all CPUs, and it is little work."""
    features = FeatureConfig.model_validate(dataset.manifest.config["features"])
    shards = [shard.name for shard in dataset.split_shards("train")]
    moments = reduce(Moments.merge, (moments_of(dataset.uri, shard, features.marked, dropped) for shard in shards))
    scaler = Scaler.from_moments(moments, features.clip)
    parts = (covariance_of(dataset.uri, shard, features.marked, scaler, dropped) for shard in shards)
    return Reducer.from_covariance(scaler, reduce(Covariance.merge, parts), features.components, features.marked)


def random_features(record: NDArray[np.int64], patient: NDArray[np.int64], seed: int, spread_K: Tensor) -> Tensor:
    """Vectors [2n, K] of n recordings, both halves alike, with the spread of the reduced features in each dimension.

    So about as many pairs have a cosine above delta as there would be, and who is paired says nothing. A recording is
    known by its row and its patient: its vector is the same in every epoch and on every worker.
    """
    drawn = [
        np.random.default_rng([seed, _RANDOM, *pair]).standard_normal(len(spread_K))
        for pair in zip(patient.tolist(), record.tolist(), strict=True)
    ]
    vectors_NK = torch.from_numpy(np.asarray(drawn, dtype=np.float32).reshape(len(record), len(spread_K)))
    return (vectors_NK.to(spread_K.device) * spread_K).repeat_interleave(2, dim=0)
