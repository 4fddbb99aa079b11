"""What a fine-tuning run decides before it trains: its batches, and whether its test rows are known already."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from physioclr.downstream import FinetuneConfig
from physioclr.errors import ConfigError, RunError, UserError
from physioclr.evaluation.overlap import BITS
from physioclr.pipeline.finetune import job
from physioclr.pipeline.finetune.job import NO_WEIGHTS, check_overlap, with_batches_that_fit
from physioclr.pipeline.finetune.trained_on import SCHEMA
from physioclr.pipeline.run import check_inputs


def scratch(**values: Any) -> FinetuneConfig:
    return FinetuneConfig.model_validate({"mode": "scratch", "encoder": None, **values})


def batch_of(rows: int, console: Console, **training: Any) -> int:
    config = scratch(training={"batch_size": 48, **training})
    return with_batches_that_fit(config, rows, console).training.batch_size


def test_the_batch_of_a_small_subset_does_not_depend_on_the_workers(console: Console) -> None:
    """A stopped run may go on with another number of them, and its samples have their places."""
    for rows, batch in ((48, 48), (47, 24), (23, 16), (13, 12)):
        assert {batch_of(rows, console, workers=workers) for workers in (1, 2, 4)} == {batch}
    assert batch_of(11, console, accumulate=4) == 8


def test_workers_that_cannot_share_a_small_subset_are_refused(console: Console) -> None:
    with pytest.raises(ConfigError, match=r"23 training rows .* a batch of 16 cannot be shared by training.workers 3"):
        batch_of(23, console, workers=3)
    with pytest.raises(ConfigError, match=r"in training.accumulate 4 micro-batches; lower these, or raise label_fr"):
        batch_of(3, console, workers=1, accumulate=4)


def test_a_run_does_not_go_on_with_data_that_were_made_anew(tmp_path: Path) -> None:
    """Under the old name there may be other patients in the test part, of whom the weights know already."""
    config = scratch(name="mine", output=str(tmp_path))
    check_inputs(config, {"s3://a": "one", "s3://encoder": "two"})
    check_inputs(config, {"s3://a": "one", "s3://encoder": "two"})
    with pytest.raises(RunError, match=r"^s3://a has been made anew since the run 'mine' in .* another name, or del"):
        check_inputs(config, {"s3://a": "other", "s3://encoder": "two"})


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows whose signals have been read: each is a recording of its own, of the patient with half its number."""
    seen: list[int] = []

    def identities_of(rows: np.ndarray, console: Console) -> pa.Table:
        seen.extend(rows.tolist())
        prints = [np.random.default_rng(row).bytes(BITS // 8) for row in rows]
        names = [["archive"] * len(rows), [f"r{row}" for row in rows], [f"p{row // 2}" for row in rows]]
        return pa.table([*names, prints], schema=SCHEMA)

    monkeypatch.setattr(job, "identities_of", identities_of)
    return seen


def rows(train: list[int], validation: list[int], test: list[int], datasets: int) -> Any:
    split = SimpleNamespace(train=np.array(train), validation=np.array(validation), test=np.array(test))
    return SimpleNamespace(datasets=("one", "other")[:datasets], split=split, selection=lambda of: of)


def test_training_rows_are_looked_for_in_another_dataset_that_is_tested_on(read: list[int], console: Console) -> None:
    config, data = scratch(), rows([0, 1, 2], [5], [3, 8, 9], datasets=2)
    with pytest.raises(UserError, match=r"^Training has seen 1 of the 3 test recordings or their patients .* allow_ov"):
        check_overlap(config, data, console)
    found = check_overlap(config.model_copy(update={"allow_overlap": True}), data, console).stated
    assert found["overlap"] == NO_WEIGHTS
    assert (found["overlap_with_training"]["found"], found["overlap_with_training"]["by_patient"]) == (1, 1)


def test_validation_rows_are_looked_for_too_as_they_choose(read: list[int], console: Console) -> None:
    with pytest.raises(UserError, match=r"^Training has seen 1 of the 2 test recordings or their patients"):
        check_overlap(scratch(), rows([0, 1], [2], [3, 8], datasets=2), console)


def test_nothing_is_read_where_nothing_can_overlap(read: list[int], console: Console) -> None:
    """Of one dataset, split by patient, and without pretrained weights."""
    stated = check_overlap(scratch(), rows([0, 1, 2], [6], [4, 5], datasets=1), console).stated
    assert stated == {"overlap": NO_WEIGHTS, "overlap_with_training": None}
    assert read == []
