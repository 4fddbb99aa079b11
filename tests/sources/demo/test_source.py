from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import wfdb

from physioclr.config import SourceConfig
from physioclr.errors import RejectedRecording, SourceError
from physioclr.sources.demo import DemoSource
from physioclr.sources.demo.history import make_history
from physioclr.sources.demo.patient import make_patient
from physioclr.sources.demo.recording import synthesise
from physioclr.sources.demo.source import record_uri, write_patient
from physioclr.storage import read_bytes, remove


def source(uri: object, **parameters: object) -> DemoSource:
    values = {"kind": "demo", "uri": str(uri), "patients": 4, "recordings_per_patient": 3, "seed": 6} | parameters
    return DemoSource(SourceConfig.model_validate(values))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_lists_without_files_and_reads_what_was_synthesised(tmp_path: Path) -> None:
    demo = source(tmp_path)
    refs = demo.list()
    assert not any(tmp_path.iterdir())
    assert [ref.record_id for ref in refs] == [f"demo/D{number:05d}" for number in range(1, 13)]
    assert [ref.patient_id for ref in refs] == [f"demo/{patient}" for patient in (1, 2, 3, 4) for _ in range(3)]
    assert refs[0].uri == f"{tmp_path}/training/demo/g1/D00001"
    demo.write_patient(2)
    history, patient = make_history(6, 2, 3), make_patient(6, 2)
    for recording, ref in enumerate(refs[6:9]):
        signal = synthesise(patient, history.visits[recording], recording).signal
        read = demo.read(ref)
        assert np.array_equal(np.rint(read.signal * 1000), signal)
        assert (read.fs, set(read.units)) == (500, {"mV"})
        assert np.array_equal(wfdb.rdrecord(ref.uri, physical=False).d_signal.T, signal)
        assert (ref.labels, ref.age, ref.sex) == (history.visits[recording].labels, history.age, history.sex)
        comments = wfdb.rdheader(ref.uri).comments
        assert f"Dx: {','.join(ref.labels)}" in comments
        assert f"Sex: {history.sex.capitalize()}" in comments
    with pytest.raises(RejectedRecording, match="not there"):
        demo.read(refs[0])


def test_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    for name, order in (("one", (0, 1, 2, 3)), ("other", (3, 1, 0, 2, 1))):
        for patient in order:
            source(tmp_path / name).write_patient(patient)
    assert len(contents(tmp_path / "one")) == 24
    assert contents(tmp_path / "one") == contents(tmp_path / "other")
    write_patient(str(tmp_path / "seed"), seed=7, patient=0, recordings=3)
    changed = contents(tmp_path / "seed")
    assert all(contents(tmp_path / "one")[name] != data for name, data in changed.items())


@pytest.mark.parametrize("lost", [".hea", ".mat"])
def test_missing_are_the_patients_that_lack_a_file(tmp_path: Path, lost: str) -> None:
    demo = source(tmp_path)
    assert demo.missing() == [0, 1, 2, 3]
    for patient in (0, 1, 3):
        demo.write_patient(patient)
    assert demo.missing() == [2]
    Path(record_uri(str(tmp_path), 4) + lost).unlink()
    assert demo.missing() == [1, 2]
    for patient in demo.missing():
        demo.write_patient(patient)
    assert demo.missing() == []
    assert source(tmp_path, patients=6).missing() == [4, 5]


@pytest.mark.parametrize("parameters", [{"seed": 9}, {"recordings_per_patient": 2}])
def test_recordings_of_other_parameters_are_not_taken_for_its_own(tmp_path: Path, parameters: dict[str, int]) -> None:
    source(tmp_path).write_patient(0)
    with pytest.raises(SourceError, match="seed 6, 3 recordings a patient"):
        source(tmp_path, **parameters).missing()


def test_a_limit_takes_the_first_and_makes_no_others(tmp_path: Path) -> None:
    every, some = source(tmp_path), source(tmp_path, limit=4)
    assert some.list() == every.list()[:4]
    assert some.missing() == [0, 1]


def test_object_storage_serves_as_well() -> None:
    uri = "memory://demo-source-test"
    demo = source(uri, patients=2)
    try:
        for patient in demo.missing():
            demo.write_patient(patient)
        assert demo.missing() == []
        assert read_bytes(f"{demo.list()[0].uri}.mat")[20:24] == b"val\0"
        assert demo.read(demo.list()[-1]).signal.shape == (12, 5000)
    finally:
        remove(uri)


def test_it_travels_to_other_processes() -> None:
    demo = source("somewhere", name="mine")
    assert pickle.loads(pickle.dumps(demo)).list() == demo.list()
    assert demo.list()[0].dataset == "mine"
    assert demo.list()[0].record_id == "mine/D00001"
    assert Path(demo.list()[0].uri).is_absolute()


def test_a_thousand_recordings_fill_a_group() -> None:
    assert record_uri("s3://bucket/demo", 999) == "s3://bucket/demo/training/demo/g1/D01000"
    assert record_uri("s3://bucket/demo", 1000) == "s3://bucket/demo/training/demo/g2/D01001"
    assert record_uri("x", 1_000_000) == "x/training/demo/g1001/D1000001"
