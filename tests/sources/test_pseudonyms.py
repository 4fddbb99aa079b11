"""Pseudonyms of patients: the same wherever the key is the same, not to be guessed, and no key, no guess."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from physioclr.config import SourceConfig, SourceKind
from physioclr.ecg.record import RecordingRef
from physioclr.errors import SourceError
from physioclr.sources.pseudonyms import FILE_VARIABLE, VARIABLE, PatientKey, key_at_hand, key_name
from physioclr.sources.registry import open_source

KEY, OTHER = "0123456789abcdef" * 4, "fedcba9876543210" * 4
TABLE = "record,patient_id,labels\nr1,4711-0815,x\nr2,4711-0815,x\nr3,,x\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("r1", "r2", "r3"):
        (tmp_path / f"{name}.hea").touch()
    (tmp_path / "labels.csv").write_text(TABLE)
    return tmp_path


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv(FILE_VARIABLE, raising=False)


def listed(folder: Path, name: str = "own", pseudonymise: bool | None = None) -> list[RecordingRef]:
    config = SourceConfig(
        kind="wfdb", uri=str(folder), name=name, labels_csv=str(folder / "labels.csv"), pseudonymise=pseudonymise
    )
    return open_source(config).list()


def test_ids_of_ones_own_archive_are_replaced_and_nothing_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    first, second, third = listed(folder)
    assert first.patient_id == second.patient_id != third.patient_id
    assert {key_name(ref.patient_id) for ref in (first, third)} == {PatientKey(KEY.encode()).name}
    assert "4711" not in repr((first, second, third))
    assert [ref.record_id for ref in (first, second, third)] == ["own/r1", "own/r2", "own/r3"]


def test_a_patient_has_one_pseudonym_in_every_source_and_another_with_another_key(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    here, there = listed(folder, "ward"), listed(folder, "archive")
    assert here[0].patient_id == there[0].patient_id
    assert here[2].patient_id != there[2].patient_id, "whose recording r3 is nobody knows"
    monkeypatch.setenv(VARIABLE, OTHER)
    assert listed(folder, "ward")[0].patient_id != here[0].patient_id


def test_the_pseudonym_is_for_ever() -> None:
    """Others, such as a test set made in another year, are compared with it."""
    key = PatientKey(KEY.encode())
    assert key.name == "key-0fad3f79"
    assert key.of_patient("4711-0815") == "key-0fad3f79/7986b37b70ce1790de68"


def test_without_a_key_it_is_said_how_to_make_one(folder: Path) -> None:
    with pytest.raises(
        SourceError, match=rf"of own are to become .*openssl rand -hex 32.*{VARIABLE}.*pseudonymise=fal"
    ):
        listed(folder)
    assert listed(folder, pseudonymise=False)[0].patient_id == "own/4711-0815"


def test_a_key_that_can_be_guessed_is_refused_and_not_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "hospital-2024")
    with pytest.raises(SourceError, match="shorter than 32 characters") as caught:
        listed(folder)
    assert "hospital" not in str(caught.value)


def test_the_key_can_be_a_file(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "key"))
    assert key_at_hand() == PatientKey(KEY.encode())
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "none"))
    with pytest.raises(SourceError, match="cannot be read"):
        key_at_hand()


def test_the_key_is_neither_shown_nor_sent() -> None:
    key = PatientKey(KEY.encode())
    assert KEY not in repr(key) + str(key)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)


@pytest.mark.parametrize("kind", ["ptb-xl", "mimic-iv-ecg", "challenge-2021", "demo", "wfdb"])
def test_published_databases_and_folders_without_patients_need_no_key(kind: SourceKind) -> None:
    assert not SourceConfig(kind=kind).pseudonymised
    assert SourceConfig(kind=kind, pseudonymise=True).pseudonymised


def test_patients_of_a_published_database_are_nobody_of_ones_own(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    (folder / "labels.csv").write_text("record,patient_id,labels\nr1,1,x\n")
    demo = open_source(SourceConfig(uri=str(tmp_path / "demo"), patients=2, pseudonymise=True)).list()
    assert len({ref.patient_id for ref in demo}) == 2
    assert all(key_name(ref.patient_id) for ref in demo)
    assert listed(folder)[0].patient_id not in {ref.patient_id for ref in demo}
