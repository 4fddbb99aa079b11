"""The rows that a task is trained, chosen and tested on, with their outcomes. Only ids and labels are read here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from physioclr.downstream import FinetuneConfig, FoldsConfig
from physioclr.errors import DatasetError
from physioclr.evaluation.metrics import both_outcomes
from physioclr.evaluation.subsets import Split, cross_validation, fixed_split, label_fraction, patient_folds
from physioclr.evaluation.tasks import Task, get_task, label_matrix, own_task
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.layout import SPLITS
from physioclr.pipeline.selection import Rows, Selection

FACTS = ("record_id", "dataset", "patient_id", "window", "split")
LABELS = ("labels", "statements")
PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Labelled:
    """The n windows of a prepared dataset that take part in a task.

    `facts` are their `FACTS`, `y` bool [n, C] their outcomes, `rows` their row numbers over the dataset's splits, and
    `split` which of the n belong to which part.
    """

    dataset: PreparedDataset
    task: Task
    facts: pa.Table
    y: NDArray[np.bool_]
    rows: Rows
    split: Split

    def part(self, name: str) -> Rows:
        """Which of the n are in a part: ascending."""
        return np.asarray(getattr(self.split, name))

    def selection(self, of: Rows) -> Selection:
        """Those of the n, ascending, as rows that can be read."""
        return Selection(self.dataset, SPLITS, self.rows[of])

    def column(self, name: str, of: Rows) -> NDArray[Any]:
        """One of `FACTS` of those of the n."""
        return np.asarray(self.facts[name].take(pa.array(of)).to_pylist())

    def record(self, of: Rows) -> NDArray[np.int64]:
        """A number for each recording, the same for its windows."""
        names = [f"{a}\0{b}" for a, b in zip(self.column("dataset", of), self.column("record_id", of), strict=True)]
        return np.unique(np.array(names, dtype=np.str_), return_inverse=True)[1].astype(np.int64)

    def counts(self) -> dict[str, dict[str, int]]:
        """Recordings, windows and patients of each part."""
        counted = {}
        for name in PARTS:
            of = self.part(name)
            counted[name] = {
                "recordings": len(np.unique(self.record(of))),
                "windows": len(of),
                "patients": len(set(self.column("patient_id", of).tolist())),
            }
        return counted

    def never_seen(self) -> tuple[str, ...]:
        """Classes that have not both outcomes among the training rows: nothing can be learned of them."""
        usable = both_outcomes(self.y[self.split.train])
        return tuple(name for name, there in zip(self.task.classes, usable, strict=True) if not there)


def read_labelled(config: FinetuneConfig, dataset: PreparedDataset) -> Labelled:
    """The rows of `config.task`, split as it says, and of the training patients the fraction it asks for.

    Raises `ConfigError` for an unknown task, and `DatasetError` when no row has a label, a part has no rows, or no
    class has both outcomes in training.
    """
    facts = pa.concat_tables(dataset.take(split, np.arange(dataset.rows(split)), (*FACTS, *LABELS)) for split in SPLITS)
    labels, statements = facts["labels"].to_pylist(), facts["statements"].to_pylist()
    task = _task(config, labels, statements)
    y, in_task = label_matrix(task, labels, statements)
    rows = np.flatnonzero(in_task)
    if not y.any():
        raise DatasetError(
            f"{dataset.uri} has no labels of task {task.name!r}; choose another task, or prepare with labels."
        )
    kept = facts.select(FACTS).take(pa.array(rows))
    split = _split(config, kept, y[rows])
    data = Labelled(dataset, task, kept, y[rows], rows, split)
    if len(data.never_seen()) == len(task.classes):
        raise DatasetError(
            f"No class of task {task.name!r} has both recordings with and without it among the "
            f"{len(split.train)} training rows; raise label_fraction, or choose another task."
        )
    return data


def _task(config: FinetuneConfig, labels: list[list[str]], statements: list[list[str]]) -> Task:
    if config.own is None:
        return get_task(config.task)
    own = config.own
    values = labels if own.column == "labels" else statements
    return own_task("own", own.column, values, classes=own.classes, minimum=own.minimum)


def _split(config: FinetuneConfig, facts: pa.Table, y: NDArray[np.bool_]) -> Split:
    patients = facts["patient_id"].to_pylist()
    if isinstance(config.split, FoldsConfig):
        folds = patient_folds(patients, y, config.split.folds, config.split.seed)
        whole = cross_validation(folds, config.split.fold)
    else:
        whole = fixed_split(facts["split"].to_pylist(), patients)
    some = label_fraction(
        [patients[row] for row in whole.train], y[whole.train], config.label_fraction, config.subset_seed
    )
    return Split(whole.train[some], whole.validation, whole.test)
