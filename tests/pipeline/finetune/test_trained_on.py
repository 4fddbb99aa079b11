"""Who an encoder was trained on: every row, the same however it was read, and found again under another name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.finetune import trained_on
from physioclr.pipeline.finetune.trained_on import identities_of, overlap_of, read_trained_on, write_trained_on
from physioclr.pipeline.prepare.layout import SPLITS
from physioclr.pipeline.selection import Selection


def test_every_row_is_there_whoever_read_it(
    demo_dataset: PreparedDataset, console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    selection = Selection.of(demo_dataset, ("train",))
    here = identities_of(selection, console)
    assert here["record_id"].to_pylist() == selection.take(np.arange(len(selection)), ["record_id"])[0].to_pylist()
    monkeypatch.setattr(trained_on, "ROWS_AT_ONCE", 16)
    assert identities_of(selection, console).equals(here), "in Ray tasks"
    write_trained_on(here, str(tmp_path))
    assert read_trained_on(str(tmp_path)).equals(here)
    assert read_trained_on(str(tmp_path / "elsewhere")) is None
    assert identities_of(Selection.of(demo_dataset, SPLITS, np.array([], dtype=np.int64)), console).num_rows == 0


def test_a_recording_is_found_by_its_signal_under_another_name(demo_dataset: PreparedDataset, console: Console) -> None:
    known = identities_of(Selection.of(demo_dataset, ("train",)), console)
    test = identities_of(Selection.of(demo_dataset, ("test",)), console)
    assert len(overlap_of(known, test).rows) == 0
    renamed = [pa.array([f"other-{name}" for name in known[key].to_pylist()]) for key in trained_on.NAMES]
    stranger = pa.table([*renamed, known["fingerprint"]], schema=known.schema).slice(3, 2)
    overlap = overlap_of(known, pa.concat_tables([test, stranger]))
    assert overlap.contents.tolist() == [test.num_rows, test.num_rows + 1]
    assert overlap.twins.tolist() == [3, 4]
