"""Rows of a prepared dataset through an exported encoder or classifier, on Ray Data with a pool of actors.

A few rows are done in this process, with the same result but for rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import torch
from numpy.typing import NDArray
from ray.data import ActorPoolStrategy, DataContext, TaskPoolStrategy
from rich.console import Console

from physioclr.classifier import load_classifier
from physioclr.config import NoiseConfig, TokenPool
from physioclr.ecg.record import WINDOW_SAMPLES
from physioclr.encoder import load_encoder
from physioclr.pipeline import cluster
from physioclr.pipeline.compare.noisy import KEY, by_kind, keys_of, with_levels
from physioclr.pipeline.prepare.job import READ_CPUS
from physioclr.pipeline.progress import Meter
from physioclr.pipeline.selection import Selection
from physioclr.pipeline.training.batches import segments_of
from physioclr.pipeline.training.packing import signals_of

ROWS_AT_ONCE = 64
ROWS_HERE = 512  # so many windows are done in this process, sooner than others would have started
_SCORE_CPUS = 0.9


def embeddings_of(
    selection: Selection, encoder: str, token_pool: TokenPool, gpu: bool, console: Console
) -> NDArray[np.float32]:
    """Embeddings [n, 2, d] of both halves of the selected rows."""
    return _through(selection, _Network(encoder, token_pool), gpu, console, [[]])[0][0]


def scores_of(selection: Selection, classifier: str, gpu: bool, console: Console) -> NDArray[np.float32]:
    """Probabilities [n, 2, C] of both halves of the selected rows."""
    return _through(selection, _Network(classifier, None), gpu, console, [[]])[0][0]


def under_noise(
    selection: Selection,
    uri: str,
    token_pool: TokenPool | None,
    gpu: bool,
    levels: Sequence[NoiseConfig],
    console: Console,
) -> dict[NoiseConfig, NDArray[np.float32]]:
    """`embeddings_of`, or with None for `token_pool` `scores_of`, of the rows at each level of noise."""
    if not levels:
        return {}
    groups = by_kind(levels)
    found = _through(selection, _Network(uri, token_pool), gpu, console, groups)
    return {
        level: one
        for group, values in zip(groups, found, strict=True)
        for level, one in zip(group, values, strict=True)
    }


@dataclass(frozen=True)
class _Network:
    """An exported encoder and how its tokens are pooled; with None a classifier, which knows that itself."""

    uri: str
    token_pool: TokenPool | None


def _through(
    selection: Selection, network: _Network, gpu: bool, console: Console, groups: Sequence[Sequence[NoiseConfig]]
) -> list[NDArray[np.float32]]:
    """For each of `groups`, levels of one noise, or none for the rows as they are: [levels, n, 2, values]."""
    starts = range(0, len(selection), ROWS_AT_ONCE)
    items = [{"start": start, "group": group} for group in range(len(groups)) for start in starts]
    if len(selection) * sum(max(len(group), 1) for group in groups) <= ROWS_HERE:
        read, score = _ReadRows(selection, groups), _Score(network, gpu)
        found = {_place(item): _array(score(read(pa.Table.from_pylist([item]))).to_pylist()[0]) for item in items}
    else:
        found = _on_ray_data(selection, items, network, gpu, console, groups)
    return [np.concatenate([found[start, group] for start in starts], axis=1) for group in range(len(groups))]


def _place(item: dict[str, Any]) -> tuple[int, int]:
    return int(item["start"]), int(item["group"])


def _array(chunk: dict[str, Any]) -> NDArray[np.float32]:
    return np.frombuffer(chunk["values"], dtype=np.float32).reshape(int(chunk["copies"]), int(chunk["rows"]), 2, -1)


def _on_ray_data(
    selection: Selection,
    items: list[dict[str, Any]],
    network: _Network,
    gpu: bool,
    console: Console,
    groups: Sequence[Sequence[NoiseConfig]],
) -> dict[tuple[int, int], NDArray[np.float32]]:
    DataContext.get_current().target_max_block_size = None  # a block is a chunk of rows
    there = cluster.resources()
    most = min(max(int(there["GPU" if gpu else "CPU"]), 1), len(items))
    read: Any = _ReadRows(selection, groups)
    outcome = (
        ray.data.from_items(items, override_num_blocks=len(items))
        .map_batches(
            read.__call__,
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=READ_CPUS,
            compute=TaskPoolStrategy(size=cluster.readers()),
        )
        .map_batches(
            _Score,
            fn_constructor_args=(network, gpu),
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=_SCORE_CPUS,
            num_gpus=1 if gpu else 0,
            label_selector=cluster.for_gpus() if gpu else None,
            compute=ActorPoolStrategy(min_size=1, max_size=most),
        )
    )
    cluster.say_if_busy(READ_CPUS + _SCORE_CPUS, console)
    parts = {}
    windows = len(selection) * sum(max(len(group), 1) for group in groups)
    with Meter("Embedding" if network.token_pool else "Scoring", windows, "windows", console) as meter:
        for row in outcome.iter_rows():
            parts[_place(row)] = _array(row)
            meter.advance(int(row["rows"]) * int(row["copies"]))
    return parts


class _ReadRows:
    """Reads a chunk of the selection as one packed row; of a group of levels, one behind the other."""

    def __init__(self, selection: Selection, groups: Sequence[Sequence[NoiseConfig]]) -> None:
        self._selection, self._groups = selection, groups

    def __call__(self, block: pa.Table) -> pa.Table:
        start, group = _place(block.to_pylist()[0])
        levels = self._groups[group]
        rows = np.arange(start, min(start + ROWS_AT_ONCE, len(self._selection)))
        table = self._selection.take(rows, (*KEY, "signal") if levels else ("signal",))
        signals = signals_of(table)
        if levels:
            signals = with_levels(signals, keys_of(table.select(KEY).to_pylist()), levels)
        packed = pa.array([signals.tobytes()], type=pa.large_binary())
        facts = pa.table({"start": [start], "group": [group], "rows": [len(rows)], "copies": [max(len(levels), 1)]})
        return facts.append_column("signal", packed)


class _Score:
    """Actor: scores, or embeddings, of a chunk."""

    def __init__(self, network: _Network, gpu: bool) -> None:
        device = None if gpu else "cpu"  # None: a GPU if there is one here
        self._classifier = None if network.token_pool else load_classifier(network.uri, device)
        self._encoder = self._classifier.encoder if self._classifier else load_encoder(network.uri, device)
        self._token_pool = self._classifier.token_pool if self._classifier else network.token_pool or "mean"

    @torch.inference_mode()
    def __call__(self, block: pa.Table) -> pa.Table:
        whole = np.frombuffer(block["signal"][0].as_buffer(), dtype="<i2").reshape(-1, 12, WINDOW_SAMPLES)
        values = [self._values(whole[at : at + ROWS_AT_ONCE]) for at in range(0, len(whole), ROWS_AT_ONCE)]
        packed = pa.array([np.concatenate(values).tobytes()], type=pa.large_binary())
        return block.drop_columns(["signal"]).append_column("values", packed)

    def _values(self, signal: NDArray[np.int16]) -> NDArray[np.float32]:
        embedding_SW = self._encoder.network.embed(segments_of(signal, self._encoder.device), self._token_pool)
        values = embedding_SW if self._classifier is None else self._classifier.scores(embedding_SW)
        return np.asarray(values.float().cpu().numpy())
