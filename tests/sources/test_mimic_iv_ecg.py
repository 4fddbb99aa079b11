import numpy as np
import pytest

from physioclr.config import SourceConfig
from physioclr.ecg.leads import LEADS
from physioclr.ecg.standardise import standardise
from physioclr.errors import RejectedRecording, SourceError
from physioclr.sources.registry import open_source

STORED = ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6")  # as its headers have them
INDEX = """subject_id,study_id,file_name,ecg_time,path
10000032,40689238,40689238,2180-07-23 08:44:00,files/p1000/p10000032/s40689238/40689238
10000032,44458630,44458630,2180-07-23 09:54:00,files/p1000/p10000032/s44458630/44458630
10000117,48446569,48446569,2181-03-04 17:14:00,files/p1000/p10000117/s48446569/48446569
"""


@pytest.fixture
def archive(tmp_path, write_record, waves):
    def make(index=INDEX):
        (tmp_path / "record_list.csv").write_text(index)
        signal = waves()[[LEADS.index(lead) for lead in STORED]]
        write_record(
            tmp_path / "files/p1000/p10000032/s40689238", "40689238", signal, leads=STORED, gain=200.0,
            comments=["<subject_id>: 10000032"],
        )  # fmt: skip
        signal[3, 77] = np.nan  # stored as -32768
        write_record(tmp_path / "files/p1000/p10000032/s44458630", "44458630", signal, leads=STORED, gain=200.0)
        return open_source(SourceConfig(kind="mimic-iv-ecg", uri=str(tmp_path)))

    return make


def test_listing_names_studies_and_patients(archive):
    refs = archive().list()
    assert [ref.record_id for ref in refs] == [f"mimic-iv-ecg/{study}" for study in (40689238, 44458630, 48446569)]
    assert [ref.patient_id for ref in refs] == ["mimic-iv-ecg/10000032"] * 2 + ["mimic-iv-ecg/10000117"]
    assert not any(ref.labels for ref in refs)


def test_avl_and_avf_change_places_on_the_way_in(archive, waves):
    source = archive()
    recording = source.read(source.list()[0])
    assert recording.leads == STORED
    (window,) = standardise(recording).windows
    np.testing.assert_allclose(window.signal, waves() * 1000, atol=3)


def test_its_value_for_missing_samples_is_missing(archive):
    source = archive()
    with pytest.raises(RejectedRecording, match="nan: lead aVR: 1 samples"):
        standardise(source.read(source.list()[1]))


def test_a_listed_record_that_is_not_there_is_rejected_when_read(archive):
    source = archive()
    with pytest.raises(RejectedRecording, match="unreadable_header"):
        source.read(source.list()[2])


def test_a_row_without_a_patient_is_refused(archive):
    with pytest.raises(SourceError, match="line 5 has no subject_id"):
        archive(INDEX + ",5,5,2180,files/p/5\n").list()
