import pickle
import traceback

import numpy as np
import pytest

from physioclr.config import SourceConfig
from physioclr.errors import SourceError
from physioclr.sources.registry import open_source

COLUMNS = "ecg_id,patient_id,age,sex,report,scp_codes,heart_axis,strat_fold,filename_lr,filename_hr"
ROWS = [
    """2,13243.0,300.0,0,"sinus, Smith","{'AFIB': 0.0, 'CLBBB': 100.0}",LAD,2,lr,records500/00000/00002_hr""",
    """1,15709.0,56.0,1,normal,"{'NORM': 100.0, 'SR': 0.0}",,3,lr,records500/00000/00001_hr""",
    """10,15709.0,,,normal,"{'STD_': 100.0}",,3,lr,records500/00000/00010_hr""",
]


@pytest.fixture
def archive(tmp_path):
    def make(rows=ROWS, columns=COLUMNS, **config):
        (tmp_path / "ptbxl_database.csv").write_text("\n".join([columns, *rows]) + "\n")
        return open_source(SourceConfig(kind="ptb-xl", uri=str(tmp_path), **config))

    return make


def test_listing_needs_the_database_only(archive):
    first, second, third = archive().list()  # there are no signals at all
    assert [ref.record_id for ref in (first, second, third)] == ["ptb-xl/00001", "ptb-xl/00002", "ptb-xl/00010"]
    assert first.patient_id == third.patient_id == "ptb-xl/15709" != second.patient_id
    assert (first.statements, first.labels) == (("NORM", "SR"), ("426783006",))
    assert (first.age, first.sex) == (56.0, "female")
    assert (second.statements, second.labels) == (("AFIB", "CLBBB"), ("164889003", "733534002", "39732003"))
    assert (second.age, second.sex) == (90.0, "male")  # 300 stands for older than 89
    assert (third.labels, third.age, third.sex) == ((), None, None)


def test_a_record_is_read_from_filename_hr(archive, tmp_path, write_record, waves):
    source = archive(name="ours")
    write_record(tmp_path / "records500/00000", "00001_hr")
    recording = source.read(source.list()[0])
    np.testing.assert_allclose(recording.signal, waves(), atol=0.00051)
    assert (recording.ref.dataset, recording.ref.statements) == ("ours", ("NORM", "SR"))


def test_the_limit_takes_the_first_of_the_sorted_index(archive):
    assert [ref.record_id for ref in archive(limit=2).list()] == ["ptb-xl/00001", "ptb-xl/00002"]


def test_the_source_can_be_sent_to_another_process(archive):
    source = archive()
    assert pickle.loads(pickle.dumps(source)).list() == source.list()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (ROWS[0], "lists 'ptb-xl/00002' twice"),
        ("x,1,1,1,,{},,1,lr,a", "line 5: ecg_id is not a number"),
        ("3,Meier,1,1,,{},,1,lr,a", "line 5: patient_id is not a number"),
        ("3,1,1,1,,NORM,,1,lr,a", "line 5: scp_codes is not a dictionary"),
        ("3,1,1,1,,__import__('os').getcwd(),,1,lr,a", "line 5: scp_codes is not a dictionary"),
        ("3,1,1,1,,{},,1,lr,../../a", "not a path below it"),
        ("3,1,1,1,,{},,1,lr,", "not a path below it"),
    ],
)
def test_a_damaged_index_is_named_with_its_line(archive, row, message):
    with pytest.raises(SourceError, match=message) as caught:
        archive([*ROWS, row]).list()
    assert "Meier" not in "".join(traceback.format_exception(caught.value))


def test_a_missing_column_or_database_is_named(archive, tmp_path):
    with pytest.raises(SourceError, match="no column 'filename_hr'"):
        archive(columns=COLUMNS.replace("filename_hr", "path")).list()
    with pytest.raises(SourceError, match=r"ptbxl_database\.csv is not there"):
        open_source(SourceConfig(kind="ptb-xl", uri=str(tmp_path / "nowhere"))).list()


def test_an_empty_database_is_refused(archive):
    with pytest.raises(SourceError, match="holds no recordings"):
        archive([]).list()
