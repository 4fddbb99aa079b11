"""Gathers what the report of a pretraining run shows: a recording, its neighbours, a map, curves and facts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from physioclr import storage
from physioclr.baselines.registry import Objective
from physioclr.config import PretrainConfig
from physioclr.ecg.snomed import SCORED_CLASSES
from physioclr.evaluation.tasks import choose_task, label_matrix
from physioclr.method.batch import SegmentBatch
from physioclr.method.objective import PhysioCLR
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.pretrain.pairing import Pairing
from physioclr.pipeline.training.batches import reducer_tensors, to_segments
from physioclr.pipeline.training.metrics_log import read_metrics
from physioclr.pipeline.training.packing import COLUMNS_READ, grain_of
from physioclr.report.html import Anchor, DatasetFacts, PretrainReport, Table, render_pretrain_report
from physioclr.report.neighbours import Neighbour

RECORDINGS = 400  # of the validation split, on the map and among the neighbours
NEIGHBOURS = 3  # of each kind
CHUNK = 32
ABBREVIATIONS = {scored.codes[0]: scored.abbreviation for scored in SCORED_CLASSES}


@dataclass(frozen=True)
class Seen:
    """Validation segments as the trained encoder sees them; everything on the CPU."""

    table: Any
    batch: SegmentBatch
    embedding_SW: torch.Tensor
    projected_SD: torch.Tensor

    def record_id(self, segment: int) -> str:
        """The recording that a segment is of."""
        return str(self.table["record_id"][segment // 2].as_py())


def write_report(
    config: PretrainConfig,
    run_uri: str,
    dataset: PreparedDataset,
    pairing: Pairing,
    objective: Objective,
    summary: dict[str, Any],
) -> None:
    """Write `report.html` into the run's folder; `summary` is what its first table shows."""
    manifest = dataset.manifest
    facts = DatasetFacts(
        found=manifest.found,
        kept=manifest.kept,
        rejected=manifest.rejected_by_reason,
        note=", ".join(
            f"{split}: {manifest.rows[split]:,} windows of {manifest.patients[split]:,} patients"
            for split in manifest.rows
        ),
    )
    content: dict[str, Any] = {
        "name": config.name,
        "config": config.model_dump(mode="json"),
        "dataset": facts,
        "summary": Table(("", ""), tuple(summary.items())),
        "metrics": read_metrics(run_uri),
    }
    split = "validation" if dataset.rows("validation") else "train"
    seen = _look(dataset, pairing, objective, split)
    anchor = _choose_anchor(seen)
    content |= {
        "anchor": _anchor(seen, anchor, objective),
        "neighbours": _neighbours(seen, anchor, config.objective.delta),
        "embeddings": seen.embedding_SW.numpy(),
        "labels": _labels(seen, config.monitor.probe),
    }
    storage.write_text(storage.join(run_uri, "report.html"), render_pretrain_report(PretrainReport(**content)))


@torch.inference_mode()
def _look(dataset: PreparedDataset, pairing: Pairing, objective: Objective, split: str) -> Seen:
    table = dataset.head(split, RECORDINGS, (*COLUMNS_READ, "record_id", "labels", "statements"))
    numbers = np.arange(table.num_rows)
    device = torch.device("cpu")
    batch = to_segments(grain_of(table, numbers, numbers), reducer_tensors(pairing.tensors(), device), device)
    objective.eval()
    embedding_SW = torch.cat([objective.encoder.embed(part) for part in batch.signal_SLT.split(CHUNK)]).clone()
    # in the space where PhysioCLR pulls and pushes; other methods have none, or another for each of their parts
    compared = objective.projection(embedding_SW) if isinstance(objective, PhysioCLR) else embedding_SW
    projected_SD = functional.normalize(compared, dim=1)
    return Seen(table, batch, embedding_SW, projected_SD)


def _choose_anchor(seen: Seen) -> int:
    """A segment with many waves found, so that there is something to see: the one with the most intervals."""
    found = (seen.batch.intervals_SI2[:, :, 0] >= 0).sum(dim=1) * seen.batch.has_features_S
    return int(found.argmax())


@torch.inference_mode()
def _anchor(seen: Seen, segment: int, objective: Objective) -> Anchor:
    signal_1LT = seen.batch.signal_SLT[segment : segment + 1]
    flat = np.array(seen.table["intervals"][segment // 2].as_py()[segment % 2], dtype=np.int64).reshape(-1, 3)
    return Anchor(
        record_id=seen.record_id(segment),
        half=segment % 2,
        signal=signal_1LT[0].numpy(),
        intervals=flat[:, 1:],
        interval_kinds=flat[:, 0],
        reconstruction=(
            objective.decoder(objective.encoder(signal_1LT))[0].numpy() if isinstance(objective, PhysioCLR) else None
        ),
    )


def _neighbours(seen: Seen, anchor: int, delta: float) -> list[Neighbour]:
    """The feature positives of other recordings nearest to the anchor, and the most similar negatives."""
    batch = seen.batch
    similarity_S = seen.projected_SD @ seen.projected_SD[anchor]
    cosine_S = functional.cosine_similarity(batch.features_SK, batch.features_SK[anchor : anchor + 1], dim=1)
    other_S = (batch.record_S != batch.record_S[anchor]) & batch.has_features_S
    neighbours = []
    for relation, which_S in (("positive", other_S & (cosine_S >= delta)), ("negative", other_S & (cosine_S < delta))):
        ranked = similarity_S.masked_fill(~which_S, -torch.inf).argsort(descending=True)[:NEIGHBOURS].tolist()
        neighbours += [
            Neighbour(
                record_id=seen.record_id(segment),
                half=segment % 2,
                signal=batch.signal_SLT[segment].numpy(),
                relation=relation,  # type: ignore[arg-type]
                similarity=float(similarity_S[segment]),
                feature_cosine=float(cosine_S[segment]),
            )
            for segment in ranked
            if which_S[segment]
        ]
    return neighbours


def _labels(seen: Seen, wanted: str) -> list[str] | None:
    """One word a segment: its class of the monitored task, `several`, or `none`; None when there are no labels."""
    labels, statements = seen.table["labels"].to_pylist(), seen.table["statements"].to_pylist()
    task = choose_task(wanted, labels, statements) if wanted != "none" else None
    if task is None:
        return None
    y, _ = label_matrix(task, labels, statements)
    classes = tuple(ABBREVIATIONS.get(name, name) for name in task.classes)
    return [word for row in y for word in [_word(row, classes)] * 2]


def _word(row: NDArray[np.bool_], classes: tuple[str, ...]) -> str:
    named = [name for name, is_set in zip(classes, row, strict=True) if is_set]
    return named[0] if len(named) == 1 else "several" if named else "none"
