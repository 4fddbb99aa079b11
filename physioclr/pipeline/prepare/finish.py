"""The last steps of preparing, one task a shard: join units into shards, then fit the features' scaler and PCA.

Partial results are merged in the order of the shards, so they do not depend on how many workers there were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import ray
from numpy.typing import NDArray

from physioclr import storage
from physioclr.config import FeatureConfig
from physioclr.features.delineation import USABLE
from physioclr.features.reducer import Covariance, Moments, Reducer, Scaler, mark_missing
from physioclr.pipeline import cluster
from physioclr.pipeline.dataset import open_parquet, read_table, write_table
from physioclr.pipeline.prepare.extract import kept_and_rejected, unit_uri
from physioclr.pipeline.prepare.layout import units_of
from physioclr.pipeline.progress import Meter


def assemble_shard(uri: str, shard: str, recordings: int, unit_recordings: int, row_group_rows: int) -> dict[str, Any]:
    """Join a shard's units into its Parquet file and return facts about it, with its rejected rows."""
    split = shard.rsplit("-", 1)[0]
    units = units_of(shard, split, recordings, unit_recordings)
    kept, rejected = kept_and_rejected(read_table(unit_uri(uri, unit.name)) for unit in units)
    facts = {
        "name": shard,
        "split": split,
        "rows": kept.num_rows,
        "row_groups": [],
        "bytes": 0,
        "recordings": len(set(zip(kept["dataset"].to_pylist(), kept["record_id"].to_pylist(), strict=True))),
        "patients": sorted(set(kept["patient_id"].to_pylist())),
        "feature_status": Counter(status for pair in kept["feature_status"].to_pylist() for status in pair),
        "rejected": rejected,
    }
    if kept.num_rows:
        target = storage.join(uri, "shards", f"{shard}.parquet")
        facts["bytes"] = write_table(kept, target, row_group_rows)
        facts["row_groups"] = _row_groups(target)
    return facts


def _row_groups(uri: str) -> list[int]:
    with open_parquet(uri) as file:
        metadata: pq.FileMetaData = file.metadata
        return [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]


def usable_features(uri: str, shard: str, dropped: Sequence[int] = ()) -> NDArray[np.float64]:
    """Features [n, 150] of a shard's halves that have a usable status, the columns `dropped` missing in all."""
    table = read_table(storage.join(uri, "shards", f"{shard}.parquet"), ["features", "feature_status"])
    features = table["features"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    status = table["feature_status"].combine_chunks().flatten().to_pylist()
    usable = np.array([word in USABLE for word in status], dtype=bool)
    found = features.reshape(len(status), -1)[usable].astype(np.float64)
    found[:, list(dropped)] = np.nan
    return found


def moments_of(uri: str, shard: str, marked: Sequence[int], dropped: Sequence[int] = ()) -> Moments:
    """Moments of one shard's features, `marked` ones marked where they are missing."""
    return Moments.from_features(mark_missing(usable_features(uri, shard, dropped), marked))


def covariance_of(
    uri: str, shard: str, marked: Sequence[int], scaler: Scaler, dropped: Sequence[int] = ()
) -> Covariance:
    """Covariance of one shard's marked, standardised, imputed and clipped features."""
    return Covariance.from_rows(scaler(mark_missing(usable_features(uri, shard, dropped), marked)))


def fit_reducer(uri: str, shards: Sequence[str], features: FeatureConfig, meter: Meter) -> Reducer:
    """Scaler and PCA over the training `shards`, in two passes over their features alone."""
    moments_task = cluster.task(moments_of)
    covariance_task = cluster.task(covariance_of)
    moments = in_parallel([moments_task.remote(uri, shard, features.marked) for shard in shards], meter)
    scaler = Scaler.from_moments(reduce(Moments.merge, moments), features.clip)
    covariances = in_parallel([covariance_task.remote(uri, shard, features.marked, scaler) for shard in shards], meter)
    return Reducer.from_covariance(scaler, reduce(Covariance.merge, covariances), features.components, features.marked)


def in_parallel(tasks: Sequence[Any], meter: Meter) -> list[Any]:
    """Results of Ray `tasks` in their order, counting them on `meter` as they end."""
    pending = list(tasks)
    while pending:
        finished, pending = ray.wait(pending, num_returns=1)
        ray.get(finished)  # raise an error now rather than after the others
        meter.advance(1)
    return list(ray.get(list(tasks)))
