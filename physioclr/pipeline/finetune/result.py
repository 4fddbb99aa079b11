"""What a fine-tuning run leaves of its scores: a table of predictions, and figures per recording and per segment.

Shape legend: n windows, C classes; scores are [n, 2, C], one row a 5 s segment.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from physioclr.downstream import FinetuneConfig
from physioclr.evaluation.calibration import reliability
from physioclr.evaluation.challenge import choose_thresholds
from physioclr.evaluation.summary import per_recording, summarise
from physioclr.evaluation.tasks import SCORED
from physioclr.pipeline.dataset import write_table
from physioclr.pipeline.finetune.labelled import FACTS, Labelled
from physioclr.pipeline.selection import Rows

Floats = NDArray[np.float64]
SEGMENTS = 2  # of a window
ROW_GROUP_ROWS = 65_536


def write_predictions(data: Labelled, scores: dict[str, Floats], uri: str) -> None:
    """One row a segment of each part in `scores`: `FACTS` (`split` is the part), segment, and for each class
    `true_CLASS` (bool) and `score_CLASS` (probability)."""
    parts = [_predictions(data, name, data.part(name), values) for name, values in scores.items()]
    write_table(pa.concat_tables(parts), uri, ROW_GROUP_ROWS)


def _predictions(data: Labelled, part: str, of: Rows, scores: Floats) -> pa.Table:
    columns: dict[str, Any] = {name: np.repeat(data.column(name, of), SEGMENTS) for name in FACTS}
    columns["split"] = [part] * (SEGMENTS * len(of))
    columns["segment"] = np.tile(np.arange(SEGMENTS, dtype=np.int8), len(of))
    flat = scores.reshape(-1, scores.shape[-1])
    for index, name in enumerate(data.task.classes):
        columns[f"true_{name}"] = np.repeat(data.y[of, index], SEGMENTS)
        columns[f"score_{name}"] = flat[:, index].astype(np.float32)
    return pa.table(columns)


def figures_of(config: FinetuneConfig, data: Labelled, scores: dict[str, Floats]) -> dict[str, Any]:
    """`test` and `validation` figures of recordings (the mean of their segments' scores) and of segments.

    Intervals are over test patients; validation, on which the best was chosen, has none.
    """
    figures: dict[str, Any] = {}
    chosen: dict[str, Floats] = {}
    for part in ("validation", "test"):
        resamples = config.resamples if part == "test" else 0
        figures[part] = {}
        for unit, (y, values, patients) in units(data, data.part(part), scores[part]).items():
            if part == "validation" and data.task.classes == SCORED:
                chosen[unit] = choose_thresholds(y, values)
            found = summarise(
                y,
                values,
                data.task.classes,
                patients,
                seed=config.training.seed,
                thresholds=chosen.get(unit),
                resamples=resamples,
            )
            figures[part][unit] = found.as_dict()
    _, (y, values, _) = next(iter(units(data, data.split.test, scores["test"]).items()))
    errors = {name: curve.error for name, curve in reliability(y, values, data.task.classes).items()}
    figures["test"]["recordings"]["calibration_error"] = errors
    return figures


def units(data: Labelled, of: Rows, scores: Floats) -> dict[str, tuple[NDArray[np.bool_], Floats, NDArray[Any]]]:
    """Outcomes, scores and patients of `recordings` and of `segments`."""
    y = np.repeat(data.y[of], SEGMENTS, axis=0)
    flat = scores.reshape(-1, scores.shape[-1])
    patients = np.repeat(data.column("patient_id", of), SEGMENTS)
    record = np.repeat(data.record(of), SEGMENTS)
    return {"recordings": per_recording(y, flat, patients, record), "segments": (y, flat, patients)}
