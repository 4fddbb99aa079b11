import pytest

from physioclr.config import SourceConfig
from physioclr.ecg.standardise import standardise
from physioclr.errors import SourceError
from physioclr.sources.registry import open_source


@pytest.fixture
def archive(tmp_path, write_challenge_record):
    training = tmp_path / "training"
    write_challenge_record(training / "chapman_shaoxing/g1", "JS00001", dx="164889003,59118001,164931005")
    write_challenge_record(training / "chapman_shaoxing/g2", "JS00001", dx="426177001")  # same name, other group
    write_challenge_record(training / "georgia/g1", "E00001")
    write_challenge_record(training / "st_petersburg_incart/g1", "I0001", seconds=35.0, fs=257)
    return tmp_path


def source(uri, **config):
    return open_source(SourceConfig(kind="challenge-2021", uri=str(uri), **config))


IDS = [
    "challenge-2021/chapman_shaoxing/g1/JS00001",
    "challenge-2021/chapman_shaoxing/g2/JS00001",
    "challenge-2021/georgia/g1/E00001",
    "challenge-2021/st_petersburg_incart/g1/I0001",
]


def test_recordings_are_named_by_source_and_are_patients_of_their_own(archive):
    refs = source(archive).list()
    assert [ref.record_id for ref in refs] == [ref.patient_id for ref in refs] == IDS
    assert [ref.dataset for ref in refs][1:] == [
        "challenge-2021/chapman_shaoxing",
        "challenge-2021/georgia",
        "challenge-2021/st_petersburg_incart",
    ]


def test_the_uri_may_be_any_level_of_the_archive(archive):
    assert source(archive / "training").list() == source(archive).list()
    assert [ref.record_id for ref in source(archive / "training/georgia").list()] == IDS[2:3]
    assert [ref.record_id for ref in source(archive / "training/georgia/g1").list()] == IDS[2:3]


def test_the_index_of_the_archive_is_used_where_it_is(archive):
    (archive / "RECORDS").write_text("training/chapman_shaoxing/g2/\ntraining/georgia/g1/\n")
    (archive / "training/georgia/g1/RECORDS").write_text("E00001\nE00002\n")
    refs = source(archive).list()
    assert [ref.record_id for ref in refs] == [IDS[1], IDS[2], "challenge-2021/georgia/g1/E00002"]


def test_labels_come_from_the_header_with_equivalents_merged_and_none_dropped(archive):
    challenge = source(archive)
    recording = challenge.read(challenge.list()[0])
    assert recording.ref.labels == ("164889003", "713427006", "164931005")
    assert (recording.ref.age, recording.ref.sex) == (31.0, "male")


def test_a_long_recording_at_257_hz_becomes_windows(archive):
    challenge = source(archive)
    recording = challenge.read(challenge.list()[3])
    assert recording.fs == 257.0
    assert [window.index for window in standardise(recording).windows] == [0, 1, 2]


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(SourceError, match="holds no recordings"):
        source(tmp_path).list()
