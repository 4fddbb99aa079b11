"""Rows that a stage works on: a split, or any rows of several splits of datasets, as if they were one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from physioclr.pipeline.dataset import PreparedDataset, in_one_piece

Rows = NDArray[np.int64]
Part = tuple[PreparedDataset, str]  # a dataset's split


@dataclass(frozen=True)
class Selection:
    """`rows` are ascending row numbers over `parts`, splits of datasets one behind the other; None is all of them.

    The stage counts the selected rows from 0; these are its own row numbers, in `take` and in a `Plan`.
    """

    parts: tuple[Part, ...]
    rows: Rows | None = None

    @classmethod
    def of(cls, dataset: PreparedDataset, splits: Sequence[str], rows: Rows | None = None) -> Selection:
        """Rows over splits of one dataset."""
        return cls(tuple((dataset, split) for split in splits), rows)

    def __post_init__(self) -> None:
        if self.rows is not None and (np.diff(self.rows) <= 0).any():
            raise ValueError("the rows of a selection must be ascending, each once")

    def __len__(self) -> int:
        return sum(dataset.rows(split) for dataset, split in self.parts) if self.rows is None else len(self.rows)

    def group_rows(self) -> Rows:
        """How many selected rows lie in each row group, in order; groups without any are left out."""
        groups = np.concatenate([dataset.group_rows(split) for dataset, split in self.parts])
        if self.rows is None:
            return groups
        place = np.searchsorted(np.cumsum(groups), self.rows, side="right")
        counts = np.bincount(place, minlength=len(groups))
        return counts[counts > 0]

    def take(self, rows: Rows, columns: Sequence[str]) -> pa.Table:
        """The given selected rows in the given order, in one piece."""
        wanted = rows if self.rows is None else self.rows[rows]
        parts: list[pa.Table] = []
        order: list[Rows] = []
        start = 0
        for dataset, split in self.parts:
            count = dataset.rows(split)
            places = np.flatnonzero((wanted >= start) & (wanted < start + count))
            if len(places) or not parts:
                parts.append(dataset.take(split, wanted[places] - start, columns))
                order.append(places)
            start += count
        if len(parts) == 1:
            return parts[0]
        return in_one_piece(parts, np.concatenate(order))
