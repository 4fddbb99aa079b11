"""What is measured at the end of each epoch on a fixed set of recordings, shared out among the workers.

Answers the questions that a loss does not: do feature pairs agree with labels, is the embedding collapsing (on a point,
or on the patient's identity), and what would a linear probe make of it?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from physioclr.config import PretrainConfig
from physioclr.evaluation import health
from physioclr.evaluation.metrics import auroc
from physioclr.evaluation.probe import fit_probe
from physioclr.evaluation.tasks import choose_task, label_matrix
from physioclr.method.encoder import Encoder
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.training.batches import to_segments
from physioclr.pipeline.training.packing import COLUMNS_READ, Grain, grain_of

CHUNK = 32  # recordings embedded at once
PROBE_C = (0.01,)  # one fixed penalty: nothing is chosen on the labels it is then measured on
LABEL_COLUMNS = ("labels", "statements")


@dataclass(frozen=True)
class Labels:
    """Labels of the monitored recordings for one task: y bool [n, C], and which of the n take part."""

    task: str
    classes: tuple[str, ...]
    y: NDArray[np.bool_]
    in_task: NDArray[np.bool_]


def in_order(parts: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """What the workers have seen, by record, the same whatever their number; with few recordings some saw nothing."""
    seen = [part for part in parts if part]
    joined = {key: torch.cat([part[key] for part in seen]) for key in seen[0]}
    order = joined["record"].argsort(stable=True)
    return {key: value[order] for key, value in joined.items()}


class Monitor:
    """Holds this worker's share of the monitored recordings (int16) and, on rank 0, all their labels."""

    def __init__(
        self, dataset: PreparedDataset, config: PretrainConfig, reducer: dict[str, torch.Tensor], rank: int, world: int
    ) -> None:
        monitor = config.monitor
        asked = {"train": monitor.train_recordings, "validation": monitor.validation_recordings}
        sizes = {split: min(count, dataset.rows(split)) for split, count in asked.items()}
        self._is_training = np.repeat([True, False], [sizes["train"], sizes["validation"]])
        self._reducer, self._delta, self._rank, self._world = reducer, config.objective.delta, rank, world
        mine = {split: np.arange(count)[rank::world] for split, count in sizes.items()}
        before = {"train": 0, "validation": sizes["train"]}  # one numbering of both
        self._share = [
            grain_of(dataset.take(split, rows, COLUMNS_READ), rows, rows + before[split])
            for split, rows in mine.items()
            if len(rows)
        ]
        labelled = [dataset.head(split, count, LABEL_COLUMNS) for split, count in sizes.items()] if rank == 0 else []
        self._labels = _labels(labelled, monitor.probe) if rank == 0 else None

    def measure(self, encoder: Encoder, device: torch.device) -> dict[str, float]:
        """Figures of the epoch on rank 0 (the other ranks only embed, and get an empty dict)."""
        encoder.eval()
        mine = self._embed(encoder, device)
        encoder.train()
        parts: list[dict[str, torch.Tensor]] = [mine]
        if self._world > 1:
            parts = [{} for _ in range(self._world)]
            dist.all_gather_object(parts, mine)
        if self._rank:
            return {}
        return self._figures(in_order(parts))

    @torch.inference_mode()
    def _embed(self, encoder: Encoder, device: torch.device) -> dict[str, torch.Tensor]:
        parts: dict[str, list[torch.Tensor]] = {"embedding": [], "features": [], "has": [], "record": [], "patient": []}
        for grain in self._share:
            for start in range(0, len(grain.record), CHUNK):
                batch = to_segments(_rows(grain, slice(start, start + CHUNK)), self._reducer, device)
                parts["embedding"].append(encoder.embed(batch.signal_SLT).float().cpu())
                parts["features"].append(batch.features_SK.cpu())
                parts["has"].append(batch.has_features_S.cpu())
                parts["record"].append(batch.record_S.cpu())
                parts["patient"].append(batch.patient_S.cpu())
        return {key: torch.cat(values) for key, values in parts.items() if values}

    def _figures(self, seen: dict[str, torch.Tensor]) -> dict[str, float]:
        embedding, record, patient = seen["embedding"], seen["record"], seen["patient"]
        patients = health.patient_retrieval(embedding, record, patient)
        records = health.record_retrieval(embedding, record)
        figures = {
            "effective_rank": health.effective_rank(embedding),
            "uniformity": health.uniformity(embedding),
            "record_alignment": health.alignment(embedding, record),
            "patient_retrieval": patients.share,
            "patient_retrieval_chance": patients.chance,
            "patient_retrieval_queries": float(patients.queries),
            "record_retrieval": records.share,
            "record_retrieval_chance": records.chance,
        }
        if self._labels is not None:
            figures |= self._pair_figures(seen, self._labels) | self._probe_figures(embedding, self._labels)
        return figures

    def _pair_figures(self, seen: dict[str, torch.Tensor], labels: Labels) -> dict[str, float]:
        y = torch.from_numpy(np.repeat(labels.y & labels.in_task[:, None], 2, axis=0))
        pairs = health.pair_agreement(seen["features"], seen["has"], y, self._delta, seen["patient"])
        return {
            "pair_agreement": pairs.share,
            "pair_agreement_chance": pairs.chance,
            "pair_agreement_pairs": float(pairs.feature_pairs),
        }

    def _probe_figures(self, embedding: torch.Tensor, labels: Labels) -> dict[str, float]:
        """Macro-AUROC on validation recordings of a probe fitted on training recordings' mean embeddings."""
        x = embedding.reshape(-1, 2, embedding.shape[1]).mean(dim=1).numpy()
        fit, check = labels.in_task & self._is_training, labels.in_task & ~self._is_training
        if not fit.any() or not check.any():
            return {}
        probe = fit_probe(x[fit], labels.y[fit], x[check], labels.y[check], grid=PROBE_C)
        result = auroc(labels.y[check], probe.scores(x[check]), labels.classes)
        return {"probe_auroc": result.macro, "probe_classes": float(result.counted)}


def _labels(tables: Sequence[pa.Table], wanted: str) -> Labels | None:
    if wanted == "none":
        return None
    labels = [row for table in tables for row in table["labels"].to_pylist()]
    statements = [row for table in tables for row in table["statements"].to_pylist()]
    task = choose_task(wanted, labels, statements)
    if task is None:
        return None
    y, in_task = label_matrix(task, labels, statements)
    return Labels(task.name, task.classes, y, in_task)


def _rows(grain: Grain, rows: slice) -> Grain:
    return Grain(**{name: value[rows] for name, value in vars(grain).items()})
