"""From the predictions of a comparison's cells to figures: recordings lined up, then judged on the same resamples."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from physioclr import storage
from physioclr.errors import RunError
from physioclr.evaluation.comparison import Compared, Key, Outcomes, compare
from physioclr.evaluation.metrics import record_mean
from physioclr.pipeline.compare.cells import AnswerCell
from physioclr.pipeline.dataset import read_table

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Predicted:
    """Test recordings of a cell: names, patients, outcomes [n, C] and mean scores [n, C], sorted by name; classes."""

    names: list[str]
    patients: list[str]
    classes: list[str]
    y: NDArray[np.bool_]
    scores: Floats


def prediction_file(cell: AnswerCell) -> str:
    """Where the predictions of a cell are."""
    return storage.join(cell.uri, "predictions.parquet")


def judge(
    scored: Sequence[tuple[Key, int, Predicted]], wanted: Collection[str], reference: str, resamples: int
) -> tuple[list[str], dict[Key, Compared]]:
    """Predictions by (method, column) and seed, to the `wanted` columns that there are, and figures."""
    everyone: dict[str, str] = {}  # recordings of all columns, and whose they are
    for _, _, one in scored:
        everyone |= dict(zip(one.names, one.patients, strict=True))
    names = sorted(everyone)
    place = {name: at for at, name in enumerate(names)}
    columns: dict[str, Outcomes] = {}
    scores: dict[Key, dict[int, Floats]] = {}
    for (method, column), seed, one in scored:
        rows = np.array([place[name] for name in one.names])
        columns.setdefault(column, Outcomes(one.y, rows))
        if not (np.array_equal(columns[column].rows, rows) and np.array_equal(columns[column].y, one.y)):
            raise RunError(
                f"{method} on {column} was tested on other recordings or labels than the methods before it: the data "
                "were prepared anew in between; give the comparison another output."
            )
        scores.setdefault((method, column), {})[seed] = one.scores
    columns = {name: columns[name] for name in columns if name in wanted}
    found = compare(columns, scores, [everyone[name] for name in names], reference, resamples=resamples)
    return list(columns), found


def read_predicted(file: str) -> Predicted:
    """The test recordings in a file of predictions."""
    table = read_table(file)
    table = table.filter(pc.equal(table["split"], "test"))
    named = zip(table["dataset"].to_pylist(), table["record_id"].to_pylist(), strict=True)
    name = np.array([f"{dataset}/{record}" for dataset, record in named])
    unique, record = np.unique(name, return_inverse=True)
    classes = [column.removeprefix("true_") for column in table.column_names if column.startswith("true_")]
    values = np.stack([table[f"score_{each}"].to_numpy() for each in classes], axis=1)
    first, means = record_mean(values, record)
    y = np.stack([table[f"true_{each}"].to_numpy(zero_copy_only=False) for each in classes], axis=1)[first]
    order = np.argsort(name[first])
    patients = np.array(table["patient_id"].to_pylist())[first][order]
    return Predicted(unique.tolist(), patients.tolist(), classes, y[order], means[order])
