"""Embeddings of a prepared dataset's rows in this process, a few row groups at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from physioclr.method.encoder import Encoder
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.training.batches import reducer_tensors, to_segments
from physioclr.pipeline.training.packing import COLUMNS_READ, grain_of

FACTS = ("labels", "statements")
ROWS_AT_ONCE = 64


@dataclass(frozen=True)
class Embedded:
    """n rows of a split: embeddings float32 [n, 2, width], features float32 [n, 2, 150], and who they are of."""

    embeddings: NDArray[np.float32]
    features: NDArray[np.float32]
    patient: list[str]
    labels: list[list[str]]
    statements: list[list[str]]


@torch.inference_mode()
def embed_split(dataset: PreparedDataset, split: str, network: Encoder) -> Embedded:
    """Every row of a split through `network` in eval mode, in the order of the dataset."""
    network.eval()
    device = next(network.parameters()).device
    reducer = reducer_tensors(dataset.reducer.tensors(), device)
    embeddings, features, facts = [], [], []
    for table in _tables(dataset, split):
        numbers = np.arange(table.num_rows)
        grain = grain_of(table, numbers, numbers)
        segments = to_segments(grain, reducer, device).signal_SLT
        embeddings.append(network.embed(segments).float().cpu().numpy().reshape(table.num_rows, 2, -1))
        features.append(grain.features)
        facts.append(table.select(["patient_id", "labels", "statements"]))
    known = pa.concat_tables(facts)
    columns = {name: known[name].to_pylist() for name in known.column_names}
    return Embedded(
        np.concatenate(embeddings),
        np.concatenate(features),
        columns["patient_id"],
        columns["labels"],
        columns["statements"],
    )


def _tables(dataset: PreparedDataset, split: str) -> Iterator[pa.Table]:
    for start in range(0, dataset.rows(split), ROWS_AT_ONCE):
        rows = np.arange(start, min(start + ROWS_AT_ONCE, dataset.rows(split)))
        yield dataset.take(split, rows, (*COLUMNS_READ, *FACTS))
