"""Embeddings of an archive on Ray Data: recordings, prepared or as they are, through an exported encoder to Parquet.

URI/embeddings/NAME.parquet  one file a unit of recordings, written whole: what is there is not done again
    rejected.parquet         recordings and windows that could not be used, and why (of `sources` only)
    summary.json             written last: the embeddings are complete
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import torch
from ray.data import ActorPoolStrategy, DataContext, Dataset, TaskPoolStrategy
from rich.console import Console

from physioclr import configfile, storage
from physioclr.config import PrepareConfig, SplitConfig, TokenPool
from physioclr.downstream import EmbedConfig
from physioclr.encoder import load_encoder
from physioclr.errors import DatasetError, RunError
from physioclr.method.encoder import embedding_width
from physioclr.pipeline import cluster
from physioclr.pipeline.dataset import FILES_AT_ONCE, REJECTED_SCHEMA, PreparedDataset, read_table, write_table
from physioclr.pipeline.lease import held
from physioclr.pipeline.prepare.extract import ReadUnit
from physioclr.pipeline.prepare.job import READ_CPUS, plan_recordings, remove_work
from physioclr.pipeline.prepare.layout import Unit, units_of
from physioclr.pipeline.progress import Meter
from physioclr.pipeline.training.batches import segments_of
from physioclr.pipeline.training.packing import signals_of

MACHINE_KEYS = ("uri", "workers", "device")
FACTS = ("record_id", "dataset", "patient_id", "window", "split", "labels", "statements", "age", "sex")
WINDOWS_AT_ONCE = 32
_EMBED_CPUS = 0.9


def embed_archive(config: EmbedConfig, console: Console) -> dict[str, Any]:
    """Embed what `config` names, go on with it, or report it when it is complete; returns the summary.

    Raises a `UserError` when encoder, data or URI do not allow it.
    """
    _check_claim(config)
    alone = held(config.uri, f"The folder of embeddings {config.uri}", console, "uri")
    if storage.exists(storage.join(config.uri, "summary.json")):
        remove_work(config.uri, console, alone)  # left where a job was killed after its summary
        return _complete(config, console)
    with alone:
        _check_claim(config)
        if storage.exists(storage.join(config.uri, "summary.json")):  # by another process, which was waited for
            remove_work(config.uri, console)
            return _complete(config, console)
        return _go_on(config, console)


def _complete(config: EmbedConfig, console: Console) -> dict[str, Any]:
    console.print(f"The embeddings in {config.uri} are complete; nothing to do.", highlight=False)
    return dict(json.loads(storage.read_text(storage.join(config.uri, "summary.json"))))


def _go_on(config: EmbedConfig, console: Console) -> dict[str, Any]:
    """From wherever the embeddings are to their summary."""
    encoder = load_encoder(config.encoder, device="cpu")  # its errors here, in one line, and not from a worker
    cluster.connect()
    units = _units(config, console)
    _claim(config)  # not before: what was refused so far is mended under the same URI
    started, embedded = time.perf_counter(), _embed(config, units, console)
    seconds = time.perf_counter() - started
    summary = {
        "embeddings": storage.join(config.uri, "embeddings"),
        "encoder": config.encoder,
        "width": embedding_width(encoder.width, config.token_pool),
        **_count(config),
        "recordings a second": round(embedded / seconds, 1) if embedded else None,  # of this start of the job
    }
    storage.write_text(storage.join(config.uri, "summary.json"), json.dumps(summary, indent=1) + "\n")
    remove_work(config.uri, console)
    return summary


def _claim(config: EmbedConfig) -> None:
    """Take the URI for `config`."""
    text = json.dumps(config.model_dump(mode="json"), indent=1)
    storage.write_text(storage.join(config.uri, "config.json"), text + "\n")


def _check_claim(config: EmbedConfig) -> None:
    """Raise `RunError` when the URI belongs to another configuration."""
    file = storage.join(config.uri, "config.json")
    if storage.exists(file):
        before = configfile.completed(EmbedConfig, json.loads(storage.read_text(file)))
        keys = configfile.differing_keys(before, config.model_dump(mode="json"), ignore=MACHINE_KEYS)
        if keys:
            raise RunError(
                f"{config.uri} has embeddings of another configuration ({', '.join(keys)} differ); give another uri, "
                "or delete it."
            )


def _units(config: EmbedConfig, console: Console) -> list[Unit]:
    """Everything there is to embed, in units."""
    if config.prepared is not None:
        dataset = PreparedDataset.open(config.prepared)
        sizes: dict[str, int] = {split: dataset.rows(split) for split in config.splits}
    else:
        sizes = plan_recordings(_as_prepare(config), console)
    units = [
        unit
        for name, rows in sizes.items()
        for unit in units_of(name, name.rsplit("-", 1)[0], rows, config.unit_recordings)
    ]
    if not units:
        where = config.prepared or "sources"
        raise DatasetError(f"{where}: there is no recording to embed; give other splits or data.")
    return units


def _as_prepare(config: EmbedConfig) -> PrepareConfig:
    """The plan of reading `sources`: the first step of preparing, with all recordings in one split."""
    return PrepareConfig(
        uri=config.uri,
        sources=config.sources,
        split=SplitConfig(validation=0.0, test=0.0),
        unit_recordings=config.unit_recordings,
    )


def _embed(config: EmbedConfig, units: Sequence[Unit], console: Console) -> int:
    """Run the units whose file is not there yet; returns how many recordings (of `prepared`, windows) that were."""
    written = storage.list_files(storage.join(config.uri, "embeddings"), ".parquet")
    names = {uri.rsplit("/", 1)[1] for uri in written}
    todo = [unit for unit in units if f"{unit.name}.parquet" not in names]
    total = sum(unit.stop - unit.start for unit in units)
    left = sum(unit.stop - unit.start for unit in todo)
    if not todo:
        return 0
    if left < total:
        console.print(f"Going on: {total - left:,} of {total:,} recordings were embedded before.", highlight=False)
    cluster.say_if_busy(READ_CPUS + _EMBED_CPUS, console)
    with Meter("Embedding", total, "recordings", console, done=total - left) as meter:
        for counts in _stream(config, todo).iter_rows():
            meter.advance(int(counts["recordings"]))
    return left


def _stream(config: EmbedConfig, todo: Sequence[Unit]) -> Dataset:
    DataContext.get_current().target_max_block_size = None  # a block is a unit
    gpu, workers = _place(config)
    items = [asdict(unit) for unit in todo]
    read: Any
    if config.prepared is None:
        read = ReadUnit(config.uri, config.sources)
    else:
        read = ReadRows(PreparedDataset.open(config.prepared))
    tables = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        read.__call__,
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=READ_CPUS,
        compute=TaskPoolStrategy(size=cluster.readers() if gpu else workers),
    )
    return tables.map_batches(
        EmbedUnit,
        fn_constructor_args=(config.uri, config.encoder, config.token_pool, gpu),
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=_EMBED_CPUS,
        num_gpus=1 if gpu else 0,
        label_selector=cluster.for_gpus() if gpu else None,
        compute=ActorPoolStrategy(min_size=1, max_size=workers),
    )


def _place(config: EmbedConfig) -> tuple[bool, int]:
    """Whether workers have a GPU each, and how many there are."""
    there = cluster.resources()
    gpu = config.device == "gpu" or (config.device == "auto" and there["GPU"] >= 1)
    if gpu and there["GPU"] < 1:
        raise RunError("device is gpu, but the cluster has no GPU; set device=auto, or add a machine with one.")
    return gpu, config.workers or max(int(there["GPU" if gpu else "CPU"]), 1)


class ReadRows:
    """Reads a unit's rows of a prepared dataset."""

    def __init__(self, dataset: PreparedDataset) -> None:
        self._dataset = dataset

    def __call__(self, block: pa.Table) -> pa.Table:
        """One unit (a row with the fields of `Unit`, whose shard is a split) to its rows."""
        (row,) = block.to_pylist()
        unit = Unit(**row)
        table = self._dataset.take(unit.shard, np.arange(unit.start, unit.stop), (*FACTS, "signal"))
        return table.append_column("unit_name", pa.array([unit.name] * table.num_rows))


class EmbedUnit:
    """Actor: embeds the windows of a unit and writes its file. Returns the unit's counts."""

    def __init__(self, uri: str, encoder: str, token_pool: TokenPool, gpu: bool) -> None:
        self._uri, self._token_pool = uri, token_pool
        self._encoder = load_encoder(encoder, None if gpu else "cpu")  # actors without a GPU would share the first one

    def __call__(self, table: pa.Table) -> pa.Table:
        """A unit's rows; those without a signal are rejected ones. The file holds FACTS and `embedding` [2 x width]."""
        (name,) = set(table["unit_name"].to_pylist())
        kept = table.filter(table["signal"].is_valid())
        embedded = [self._embed(kept.slice(at, WINDOWS_AT_ONCE)) for at in range(0, kept.num_rows, WINDOWS_AT_ONCE)]
        width = 2 * embedding_width(self._encoder.width, self._token_pool)
        values = np.concatenate([np.empty((0, width), np.float32), *embedded])
        column = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), width)
        if "reason" in table.column_names:
            rejected = table.filter(table["signal"].is_null()).select(REJECTED_SCHEMA.names)
            write_table(rejected, _rejected_uri(self._uri, name), row_group_rows=65_536)
        facts = kept.select(FACTS).append_column("embedding", column)
        write_table(facts, storage.join(self._uri, "embeddings", f"{name}.parquet"), row_group_rows=1024)
        recordings = len(set(zip(table["dataset"].to_pylist(), table["record_id"].to_pylist(), strict=True)))
        return pa.Table.from_pylist([{"unit": name, "recordings": recordings, "worker": os.getpid()}])

    @torch.inference_mode()
    def _embed(self, rows: pa.Table) -> np.ndarray[Any, np.dtype[np.float32]]:
        segments = segments_of(signals_of(rows), self._encoder.device)
        embeddings = self._encoder.network.embed(segments, self._token_pool).float().cpu().numpy()
        return np.asarray(embeddings.reshape(rows.num_rows, -1), dtype=np.float32)


def _rejected_uri(uri: str, name: str) -> str:
    return storage.join(uri, "work", "rejected", f"{name}.parquet")


def _count(config: EmbedConfig) -> dict[str, Any]:
    """What there is now: windows and recordings embedded; of `sources` what was rejected, which is listed."""
    windows, recordings = 0, set()
    for facts in read_embeddings(config.uri, ("dataset", "record_id")):
        windows += facts.num_rows
        recordings |= set(zip(facts["dataset"].to_pylist(), facts["record_id"].to_pylist(), strict=True))
    counts: dict[str, Any] = {"recordings": len(recordings), "10 s windows": windows}
    if config.prepared is None:
        parts = storage.list_files(storage.join(config.uri, "work", "rejected"), ".parquet")
        with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
            rejected = pa.concat_tables([REJECTED_SCHEMA.empty_table(), *pool.map(read_table, parts)])
        write_table(rejected, storage.join(config.uri, "rejected.parquet"), row_group_rows=65_536)
        counts["rejected"] = int((rejected["window"].to_numpy() < 0).sum())
        counts["list of the rejected"] = storage.join(config.uri, "rejected.parquet")
    return counts


def read_embeddings(uri: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """The given columns of each file of embeddings at `uri`, in the order of the recordings."""
    files = storage.list_files(storage.join(uri, "embeddings"), ".parquet")
    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        yield from pool.map(lambda file: read_table(file, columns), files)
