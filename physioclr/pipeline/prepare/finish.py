"""The last steps of preparing, one task a shard: join units into shards, then fit the features' scaler and PCA.

Partial results are merged in the order of the shards, so they do not depend on how many workers there were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray
from numpy.typing import NDArray

from physioclr import storage
from physioclr.config import FeatureConfig
from physioclr.features.delineation import USABLE
from physioclr.features.reducer import Covariance, Moments, Reducer, Scaler, mark_missing
from physioclr.pipeline import cluster
from physioclr.pipeline.dataset import PARQUET, read_table
from physioclr.pipeline.prepare.extract import kept_and_rejected, unit_uri
from physioclr.pipeline.prepare.layout import units_of
from physioclr.pipeline.progress import Meter


def assemble_shard(uri: str, shard: str, recordings: int, unit_recordings: int, row_group_rows: int) -> dict[str, Any]:
    """Join a shard's units into its Parquet file and return facts about it, with its rejected rows.

    Holds no more than a few units at a time: a shard of long recordings is larger than memory.
    """
    split = shard.rsplit("-", 1)[0]
    seen: set[tuple[str, str]] = set()
    patients: set[str] = set()
    status: Counter[str] = Counter()
    rejected: list[pa.Table] = []

    def kept_rows() -> Iterator[pa.Table]:
        for unit in units_of(shard, split, recordings, unit_recordings):
            kept, refused = kept_and_rejected(read_table(unit_uri(uri, unit.name)))
            seen.update(zip(kept["dataset"].to_pylist(), kept["record_id"].to_pylist(), strict=True))
            patients.update(kept["patient_id"].to_pylist())
            status.update(word for pair in kept["feature_status"].to_pylist() for word in pair)
            rejected.append(refused)
            yield kept

    target = storage.join(uri, "shards", f"{shard}.parquet")
    row_groups, size = _write(cut(kept_rows(), row_group_rows), target)
    return {
        "name": shard,
        "split": split,
        "rows": sum(row_groups),
        "row_groups": row_groups,
        "bytes": size,
        "recordings": len(seen),
        "patients": sorted(patients),
        "feature_status": status,
        "rejected": pa.concat_tables(rejected),
    }


def cut(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """`tables`, one behind the other, in pieces of `rows` rows; the last one has what is left."""
    waiting = None
    for table in tables:
        waiting = table if waiting is None else pa.concat_tables([waiting, table])
        while waiting.num_rows >= rows:
            yield waiting.slice(0, rows)
            waiting = waiting.slice(rows)
    if waiting is not None and waiting.num_rows:
        yield waiting


def _write(row_groups: Iterator[pa.Table], uri: str) -> tuple[list[int], int]:
    """Rows in each row group, and bytes of the file, which is as `write_table` writes it; none where there are none."""
    group = next(row_groups, None)
    if group is None:
        return [], 0
    rows = []
    with storage.writing(uri) as file:
        with pq.ParquetWriter(file, group.schema, **PARQUET) as writer:
            while group is not None:
                writer.write_table(group)
                rows.append(group.num_rows)
                group = next(row_groups, None)
        return rows, file.tell()


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
