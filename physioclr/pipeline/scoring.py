"""Rows of a prepared dataset through an exported encoder or classifier, on Ray Data with a pool of actors.

A few rows are done in this process, with the same result but for rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import ray
import torch
from numpy.typing import NDArray
from ray.data import ActorPoolStrategy, DataContext
from rich.console import Console

from physioclr.classifier import load_classifier
from physioclr.encoder import load_encoder
from physioclr.pipeline import cluster
from physioclr.pipeline.batches import segments_of
from physioclr.pipeline.prepare import READ_CPUS
from physioclr.pipeline.progress import Meter
from physioclr.pipeline.selection import Selection

ROWS_AT_ONCE = 64
ROWS_HERE = 512  # so many windows are done in this process, sooner than others would have started
_SCORE_CPUS = 0.9


def embeddings_of(selection: Selection, encoder: str, gpu: bool, console: Console) -> NDArray[np.float32]:
    """Embeddings [n, 2, width] of both halves of the selected rows."""
    return _through(selection, encoder, False, gpu, console)


def scores_of(selection: Selection, classifier: str, gpu: bool, console: Console) -> NDArray[np.float32]:
    """Probabilities [n, 2, C] of both halves of the selected rows."""
    return _through(selection, classifier, True, gpu, console)


def _through(selection: Selection, uri: str, head: bool, gpu: bool, console: Console) -> NDArray[np.float32]:
    starts = range(0, len(selection), ROWS_AT_ONCE)
    if len(selection) <= ROWS_HERE:
        read, score = _ReadRows(selection), _Score(uri, head, gpu)
        chunks = [score(read(pa.table({"start": [start]}))).to_pylist()[0] for start in starts]
        return np.concatenate([_array(chunk) for chunk in chunks])
    return _on_ray_data(selection, starts, uri, head, gpu, console)


def _array(chunk: dict[str, Any]) -> NDArray[np.float32]:
    return np.frombuffer(chunk["values"], dtype=np.float32).reshape(int(chunk["rows"]), 2, -1)


def _on_ray_data(
    selection: Selection, starts: range, uri: str, head: bool, gpu: bool, console: Console
) -> NDArray[np.float32]:
    DataContext.get_current().target_max_block_size = None  # a block is a chunk of rows
    there = cluster.resources()
    most = max(int(there["GPU" if gpu else "CPU"]), 1)
    read: Any = _ReadRows(selection)
    outcome = (
        ray.data.from_items([{"start": start} for start in starts], override_num_blocks=len(starts))
        .map_batches(read.__call__, batch_size=None, batch_format="pyarrow", num_cpus=READ_CPUS)
        .map_batches(
            _Score,
            fn_constructor_args=(uri, head, gpu),
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=_SCORE_CPUS,
            num_gpus=1 if gpu else 0,
            label_selector=cluster.for_gpus() if gpu else None,
            compute=ActorPoolStrategy(min_size=1, max_size=min(most, len(starts))),
        )
    )
    cluster.say_if_busy(READ_CPUS + _SCORE_CPUS, console)
    parts = {}
    with Meter("Scoring" if head else "Embedding", len(selection), "windows", console) as meter:
        for row in outcome.iter_rows():
            parts[int(row["start"])] = _array(row)
            meter.advance(int(row["rows"]))
    return np.concatenate([parts[start] for start in starts])


class _ReadRows:
    """Reads a chunk of the selection as one packed row."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection

    def __call__(self, block: pa.Table) -> pa.Table:
        start = block["start"][0].as_py()
        rows = np.arange(start, min(start + ROWS_AT_ONCE, len(self._selection)))
        signals = self._selection.take(rows, ("signal",))["signal"].to_pylist()
        return pa.table({"start": [start], "rows": [len(rows)], "signal": [b"".join(signals)]})


class _Score:
    """Actor: scores, or embeddings, of a chunk."""

    def __init__(self, uri: str, head: bool, gpu: bool) -> None:
        device = None if gpu else "cpu"  # None: a GPU if there is one here
        loaded = load_classifier(uri, device) if head else None
        self._encoder = loaded.encoder if loaded is not None else load_encoder(uri, device)
        self._classifier = loaded

    @torch.inference_mode()
    def __call__(self, block: pa.Table) -> pa.Table:
        signal = np.frombuffer(block["signal"][0].as_buffer(), dtype="<i2").reshape(block["rows"][0].as_py(), 12, -1)
        embedding_SW = self._encoder.network.embed(segments_of(signal, self._encoder.device))
        values = embedding_SW if self._classifier is None else self._classifier.scores(embedding_SW)
        packed = pa.array([values.float().cpu().numpy().tobytes()], type=pa.large_binary())
        return block.select(["start", "rows"]).append_column("values", packed)
