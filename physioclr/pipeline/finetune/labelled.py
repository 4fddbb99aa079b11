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
from physioclr.evaluation.subsets import PARTS, Split, cross_validation, fixed_split, label_fraction, patient_folds
from physioclr.evaluation.tasks import Task, get_task, label_matrix, own_task
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.prepare.layout import SPLITS
from physioclr.pipeline.selection import Part, Rows, Selection

FACTS = ("record_id", "dataset", "patient_id", "window", "split")
LABELS = ("labels", "statements")
ELSEWHERE = "tested elsewhere"  # split of the rows that another dataset's take the place of


@dataclass(frozen=True)
class Labelled:
    """The n windows of one or two prepared datasets that take part in a task.

    `facts` are their `FACTS`, `y` bool [n, C] their outcomes, `rows` their row numbers over the splits of `datasets`,
    and `split` which of the n belong to which part. Of two datasets, the second is tested on.
    """

    datasets: tuple[PreparedDataset, ...]
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
        return Selection(_parts(self.datasets), self.rows[of])

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

    `dataset` is the one at `config.prepared`; where `config.test` names another, all of its rows are tested on.

    Raises `ConfigError` for an unknown task, and `DatasetError` when no row has a label, a part has no rows, or no
    class has both outcomes in training.
    """
    datasets = (dataset,) if config.test is None else (dataset, PreparedDataset.open(config.test))
    facts = pa.concat_tables(
        each.take(split, np.arange(each.rows(split)), (*FACTS, *LABELS)) for each, split in _parts(datasets)
    )
    if len(datasets) == 2:
        facts = _tested_elsewhere(facts, of_first=sum(dataset.rows(split) for split in SPLITS))
    labels, statements = facts["labels"].to_pylist(), facts["statements"].to_pylist()
    task = _task(config, labels, statements)
    y, in_task = label_matrix(task, labels, statements)
    rows = np.flatnonzero(in_task)
    if not y.any():
        uris = " and ".join(each.uri for each in datasets)
        raise DatasetError(f"{uris} has no labels of task {task.name!r}; choose another task, or prepare with labels.")
    kept = facts.select(FACTS).take(pa.array(rows))
    split = _split(config, kept, y[rows])
    data = Labelled(datasets, task, kept, y[rows], rows, split)
    if len(data.never_seen()) == len(task.classes):
        raise DatasetError(
            f"No class of task {task.name!r} has both recordings with and without it among the "
            f"{len(split.train)} training rows; raise label_fraction, or choose another task."
        )
    return data


def _parts(datasets: tuple[PreparedDataset, ...]) -> tuple[Part, ...]:
    return tuple((dataset, split) for dataset in datasets for split in SPLITS)


def _tested_elsewhere(facts: pa.Table, of_first: int) -> pa.Table:
    """All rows of the second dataset are test rows, and those of the first are not."""
    splits = facts["split"].to_pylist()
    mine = [ELSEWHERE if split == "test" else split for split in splits[:of_first]]
    column = pa.array(mine + ["test"] * (len(splits) - of_first))
    return facts.set_column(facts.schema.get_field_index("split"), "split", column)


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
        # Who of another dataset's patients is in this one too, and whether that is allowed, `check_overlap` says.
        apart = PARTS if config.test is None else ("train", "validation")
        whole = fixed_split(facts["split"].to_pylist(), patients, apart)
    some = label_fraction(
        [patients[row] for row in whole.train], y[whole.train], config.label_fraction, config.subset_seed
    )
    return Split(whole.train[some], whole.validation, whole.test)
