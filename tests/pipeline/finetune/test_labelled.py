"""Which rows a task is trained and tested on: patient-wise, the same for every method, and read by their own number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rich.console import Console

from physioclr.config import PrepareConfig, SourceConfig
from physioclr.downstream import FinetuneConfig
from physioclr.errors import DatasetError, UserError
from physioclr.evaluation.subsets import PARTS
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.finetune.job import check_overlap
from physioclr.pipeline.finetune.labelled import Labelled, read_labelled
from physioclr.pipeline.prepare.job import prepare


def labelled(dataset: PreparedDataset, **values: Any) -> Labelled:
    config = FinetuneConfig.model_validate({"prepared": dataset.uri, "task": "afib", **values})
    return read_labelled(config, dataset)


def patients(data: Labelled, part: str) -> set[str]:
    return set(data.column("patient_id", data.part(part)).tolist())


def test_fixed_parts_are_the_splits_and_rows_are_read_by_their_number(demo_dataset: PreparedDataset) -> None:
    data = labelled(demo_dataset)
    for part in PARTS:
        of = data.part(part)
        taken = data.selection(of).take(np.arange(len(of)), ("record_id", "split", "labels"))
        assert set(taken["split"].to_pylist()) == {part}
        assert taken["record_id"].to_pylist() == data.column("record_id", of).tolist()
        has = ["164889003" in row for row in taken["labels"].to_pylist()]
        assert data.y[of, 0].tolist() == has


@pytest.fixture(scope="module")
def elsewhere(ray_here: None, tmp_path_factory: pytest.TempPathFactory, console: Console) -> PreparedDataset:
    """Recordings of other patients under another name."""
    folder = tmp_path_factory.mktemp("elsewhere")
    source = SourceConfig(
        uri=str(folder / "recordings"), name="elsewhere", patients=8, recordings_per_patient=1, seed=5
    )
    return prepare(PrepareConfig(uri=str(folder / "prepared"), sources=(source,)), console)


def test_another_dataset_is_tested_on_as_a_whole(demo_dataset: PreparedDataset, elsewhere: PreparedDataset) -> None:
    at_home, away = labelled(demo_dataset), labelled(demo_dataset, test=elsewhere.uri)
    for part in ("train", "validation"):
        assert away.part(part).tolist() == at_home.part(part).tolist()
    tested = away.part("test")
    assert len(tested) == elsewhere.manifest.kept
    assert set(away.column("dataset", tested)) == {"elsewhere"}
    taken = away.selection(tested).take(np.arange(len(tested)), ("record_id", "dataset", "labels"))
    assert taken["record_id"].to_pylist() == away.column("record_id", tested).tolist()
    assert away.y[tested, 0].tolist() == ["164889003" in row for row in taken["labels"].to_pylist()]
    everyone = np.arange(len(away.rows))
    mixed = away.selection(everyone).take(everyone[::-1], ("record_id", "dataset"))
    assert mixed["record_id"].to_pylist() == away.column("record_id", everyone).tolist()[::-1]


def test_patients_who_come_back_in_another_dataset_are_for_the_overlap_to_judge(demo_dataset: PreparedDataset) -> None:
    """Two years of one hospital share some: what is to be done is refused or allowed in one place, `check_overlap`."""
    data = labelled(demo_dataset, test=demo_dataset.uri)
    assert len(data.split.test) == sum(demo_dataset.rows(part) for part in PARTS)
    with pytest.raises(UserError, match=r"^Training has seen .* or set allow_overlap=true"):
        check_overlap(FinetuneConfig(mode="scratch", encoder=None), data, Console(quiet=True))


@pytest.mark.parametrize("fold", [0, 3])
def test_folds_share_out_all_patients_and_leave_none_in_two_parts(demo_dataset: PreparedDataset, fold: int) -> None:
    data = labelled(demo_dataset, split={"folds": 4, "fold": fold})
    found = [patients(data, part) for part in PARTS]
    assert sum(map(len, found)) == len(set.union(*found)) == 24
    assert sorted(np.concatenate([data.part(part) for part in PARTS]).tolist()) == list(range(len(data.rows)))
    tested = [patients(labelled(demo_dataset, split={"folds": 4, "fold": one}), "test") for one in range(4)]
    assert sum(map(len, tested)) == len(set.union(*tested)) == 24


def test_a_fraction_is_of_training_patients_and_the_same_for_every_method(demo_dataset: PreparedDataset) -> None:
    whole = labelled(demo_dataset)
    half = labelled(demo_dataset, label_fraction=0.5)
    assert half.split.validation.tolist() == whole.split.validation.tolist()
    assert half.split.test.tolist() == whole.split.test.tolist()
    assert len(patients(half, "train")) == round(0.5 * len(patients(whole, "train")))
    for values in ({"mode": "probe"}, {"mode": "scratch", "encoder": None}, {"training": {"seed": 9, "workers": 1}}):
        other = labelled(demo_dataset, label_fraction=0.5, **values)
        assert other.split.train.tolist() == half.split.train.tolist()
    seeds = {tuple(labelled(demo_dataset, label_fraction=0.5, subset_seed=one).split.train) for one in range(4)}
    assert len(seeds) > 1


def test_own_labels_are_a_task(demo_dataset: PreparedDataset) -> None:
    data = labelled(demo_dataset, task="own", own={"classes": ["164889003", "426783006"]})
    assert data.task.classes == ("164889003", "426783006")
    common = labelled(demo_dataset, task="own", own={"minimum": 6})
    assert (common.y.sum(axis=0) >= 6).all()


def test_a_class_that_training_never_sees_is_named_and_not_fatal_beside_others(demo_dataset: PreparedDataset) -> None:
    data = labelled(demo_dataset, task="challenge-26")
    positives = data.y[data.split.train].sum(axis=0)
    assert set(data.never_seen()) >= {
        name for name, count in zip(data.task.classes, positives, strict=True) if not count
    }
    assert 0 < len(data.never_seen()) < 26
    with pytest.raises(DatasetError, match="patients cannot fill"):
        labelled(demo_dataset, split={"folds": 60, "fold": 1})
