"""The run's own record of how it goes: `metrics.jsonl` and, made from it, TensorBoard event files.

Rows of kind "step" and "epoch". A run that goes on from a checkpoint drops the rows beyond it first, so that every
step stands there once.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from physioclr import storage

Row = dict[str, Any]


def read_metrics(run_uri: str) -> list[Row]:
    """Rows of the run's metrics.jsonl; none if it has not begun. NaN is stored as null and comes back as None."""
    uri = storage.join(run_uri, "metrics.jsonl")
    if not storage.exists(uri):
        return []
    return [json.loads(line) for line in storage.read_text(uri).splitlines()]


class MetricsLog:
    """Collects rows and writes them to storage when told; only rank 0 has one."""

    def __init__(self, run_uri: str, from_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # takes seconds, and most who read metrics write none

        self._run_uri = run_uri
        self._rows = [row for row in read_metrics(run_uri) if row["step"] <= from_step]
        self._events = Path(tempfile.mkdtemp(prefix="physioclr-events-"))
        self._writer = SummaryWriter(str(self._events))
        storage.remove(storage.join(run_uri, "tensorboard"))
        for row in self._rows:
            self._to_tensorboard(row)

    def add(self, row: Row) -> None:
        """Add a row; it must have `kind`, `step`, and otherwise numbers or words."""
        clean = {key: _finite(value) for key, value in row.items()}
        self._rows.append(clean)
        self._to_tensorboard(clean)

    def merge(self, rows: Iterable[Row]) -> None:
        """Add the rows that are not there yet."""
        for row in rows:
            if row not in self._rows:
                self.add(row)

    @property
    def last(self) -> Row:
        """The row added last."""
        return self._rows[-1]

    def _to_tensorboard(self, row: Row) -> None:
        for key, value in row.items():
            if isinstance(value, int | float) and key not in ("step", "epoch"):
                self._writer.add_scalar(f"{row['kind']}/{key}", value, row["step"])

    def writing(self) -> Callable[[], None]:
        """What writes the rows so far to storage, now or later and in any thread."""
        text = "".join(json.dumps(row) + "\n" for row in self._rows)
        self._writer.flush()

        def write() -> None:
            storage.write_text(storage.join(self._run_uri, "metrics.jsonl"), text)
            storage.upload(self._events, storage.join(self._run_uri, "tensorboard"))

        return write


def _finite(value: Any) -> Any:
    """JSON has no NaN: missing is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
