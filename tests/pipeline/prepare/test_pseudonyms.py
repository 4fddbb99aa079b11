"""What preparing leaves of patient ids: pseudonyms of one key, from the plan on, and no key."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from physioclr.config import PrepareConfig, SourceConfig
from physioclr.errors import DatasetError, SourceError
from physioclr.pipeline.dataset import FORMAT, Manifest
from physioclr.pipeline.prepare.extract import ReadUnit
from physioclr.pipeline.prepare.job import plan_recordings, prepare, units_to_do
from physioclr.pipeline.prepare.layout import split_of
from physioclr.sources.demo import DemoSource
from physioclr.sources.pseudonyms import VARIABLE, PatientKey
from tests.secrets import files_with

KEY, OTHER = "0123456789abcdef" * 4, "fedcba9876543210" * 4
ID = "4711-0815"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PrepareConfig:
    """An archive of three recordings, two of them of one patient."""
    monkeypatch.setenv(VARIABLE, KEY)
    demo = DemoSource(SourceConfig(uri=str(tmp_path / "archive"), patients=3, recordings_per_patient=1))
    for patient in demo.missing():
        demo.write_patient(patient)
    names = [ref.uri.removeprefix(f"{tmp_path}/archive/") for ref in demo.list()]
    rows = [f"{names[0]},{ID},x", f"{names[1]},{ID},x", f"{names[2]},{ID}-2,x"]
    (tmp_path / "labels.csv").write_text("\n".join(["record,patient_id,labels", *rows]))
    return PrepareConfig(uri=str(tmp_path / "prepared"), sources=(source(tmp_path, "own"),))


def source(folder: Path, name: str) -> SourceConfig:
    return SourceConfig(kind="wfdb", uri=str(folder / "archive"), labels_csv=str(folder / "labels.csv"), name=name)


def test_neither_plan_nor_rows_have_ids_or_key(config: PrepareConfig, console: Console) -> None:
    plan = plan_recordings(config, console)
    rows = [
        row
        for unit in units_to_do(config, plan)
        for row in ReadUnit(config.uri, config.sources)(pa.Table.from_pylist([vars(unit)])).to_pylist()
    ]
    assert len(rows) == 3
    assert len({row["patient_id"] for row in rows}) == 2
    assert all(row["patient_id"].startswith(f"{PatientKey(KEY.encode()).name}/") for row in rows)
    assert all(row["split"] == split_of(row["patient_id"], config.split) for row in rows)
    assert ID not in str([{**row, "signal": None} for row in rows])
    assert files_with(Path(config.uri), ID, KEY) == []
    assert files_with(Path(config.uri), "own/training"), "what is looked for would be found"


def test_workers_need_no_key(config: PrepareConfig, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_recordings(config, console)
    monkeypatch.delenv(VARIABLE)
    (unit, *_) = units_to_do(config, plan)
    assert ReadUnit(config.uri, config.sources)(pa.Table.from_pylist([vars(unit)])).num_rows


def finished(config: PrepareConfig, patient_key: str | None) -> None:
    """As if the dataset of `config` had been prepared with that key."""
    manifest = Manifest(
        format=FORMAT,
        config=config.model_dump(mode="json"),
        patient_key=patient_key,
        found=0,
        kept=0,
        rejected=0,
        rejected_by_reason={},
        rejected_windows=0,
        rows={},
        patients={},
        feature_status={},
        shards=(),
    )
    Path(config.uri).mkdir()
    Path(config.uri, "manifest.json").write_text(manifest.model_dump_json())


def half_prepared(config: PrepareConfig, patient_key: str | None) -> None:
    index = Path(config.uri, "work/plan/index.json")
    index.parent.mkdir(parents=True)
    index.write_text(json.dumps({"config": config.model_dump(mode="json"), "patient_key": patient_key, "shards": {}}))


@pytest.mark.parametrize(("left", "again"), [(finished, prepare), (half_prepared, plan_recordings)])
def test_going_on_takes_the_same_key_or_none(
    config: PrepareConfig,
    console: Console,
    monkeypatch: pytest.MonkeyPatch,
    left: Callable[[PrepareConfig, str | None], None],
    again: Callable[[PrepareConfig, Console], object],
) -> None:
    left(config, PatientKey(KEY.encode()).name)
    again(config, console)
    monkeypatch.delenv(VARIABLE)
    again(config, console)
    monkeypatch.setenv(VARIABLE, OTHER)
    with pytest.raises(DatasetError, match=r"has pseudonyms made with key-\w{8}, and the key in .* is key-") as caught:
        again(config, console)
    assert OTHER not in str(caught.value)


def test_ids_that_were_stored_before_are_not_mixed_with_pseudonyms(config: PrepareConfig, console: Console) -> None:
    finished(config, None)
    with pytest.raises(DatasetError, match="was prepared with patient ids as they are"):
        prepare(config, console)
    assert prepare(config.model_copy(update={"sources": ()}), console).manifest.patient_key is None


def test_a_patient_of_two_sources_is_in_one_split(config: PrepareConfig, tmp_path: Path, console: Console) -> None:
    two = config.model_copy(update={"sources": (source(tmp_path, "ward"), source(tmp_path, "archive"))})
    plan_recordings(two, console)
    tables = [pq.read_table(path) for path in Path(two.uri).rglob("plan/*.parquet")]
    assert sum(table.num_rows for table in tables) == 6
    places = [set(table["patient_id"].to_pylist()) for table in tables]
    assert sum(map(len, places)) == 2, "no patient is in two shards"


def test_a_missing_key_is_said_before_ray_is_started(
    config: PrepareConfig, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr("physioclr.pipeline.cluster.connect", lambda: pytest.fail("Ray was started"))
    with pytest.raises(SourceError, match="there is no key for that"):
        prepare(config, console)


def test_processes_that_ray_starts_do_not_get_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    import ray

    from physioclr.pipeline import cluster

    seen: list[str | None] = []
    monkeypatch.setenv(VARIABLE, KEY)
    monkeypatch.setattr(ray, "is_initialized", lambda: bool(seen))
    monkeypatch.setattr(ray, "init", lambda **_: seen.append(os.environ.get(VARIABLE)))
    monkeypatch.setattr(cluster, "quiet", lambda: None)
    cluster.connect()
    assert seen == [None]
    assert os.environ[VARIABLE] == KEY
