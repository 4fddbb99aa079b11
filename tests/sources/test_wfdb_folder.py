import pytest

from physioclr.config import SourceConfig
from physioclr.errors import SourceError
from physioclr.sources.registry import open_source


@pytest.fixture
def folder(tmp_path):
    for name in ("a/r1", "a/r2", "r3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.hea").touch()  # listing opens no header
    return tmp_path


def source(folder, csv=None):
    if csv is not None:
        (folder / "labels.csv").write_text(csv)
    labels = None if csv is None else str(folder / "labels.csv")
    return open_source(SourceConfig(kind="wfdb", uri=str(folder), name="own", labels_csv=labels, pseudonymise=False))


def test_without_a_table_every_recording_is_a_patient_of_its_own(folder):
    refs = source(folder).list()
    assert [ref.record_id for ref in refs] == [ref.patient_id for ref in refs] == ["own/a/r1", "own/a/r2", "own/r3"]


def test_the_table_gives_patients_labels_age_and_sex(folder):
    first, second, third = source(
        folder,
        "record,patient_id,labels,age,sex,ward\n"
        "a/r1,p7,59118001; own word |713427006,64,F,3\n"
        "a/r2.hea,p7,,,unknown,3\n",
    ).list()
    assert first.patient_id == second.patient_id == "own/p7"
    assert third.patient_id == "own/r3"  # not in the table: kept, unlabelled
    assert (first.labels, first.age, first.sex) == (("713427006", "own word"), 64.0, "female")
    assert (second.labels, second.age, second.sex, third.labels) == ((), None, None, ())


def test_an_empty_patient_is_the_recording_itself(folder):
    assert source(folder, "record,patient_id,labels\nr3,,x\n").list()[2].patient_id == "own/r3"


@pytest.mark.parametrize("column", ["record", "patient_id", "labels"])
def test_a_missing_column_is_named(folder, column):
    columns = [name for name in ("record", "patient_id", "labels") if name != column]
    with pytest.raises(SourceError, match=rf"labels\.csv has no column '{column}'"):
        source(folder, ",".join(columns) + "\n").list()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("r3,p1,x\nr3,p2,y\n", "line 3 names record 'r3' again"),
        ("r3,p1,x\nr3.hea,p2,y\n", "line 3 names record 'r3' again"),
        ("r3,p1,x\nr4,p1,x\nr5,p1,x\n", r"names 2 records that .* has not \(r4, r5\)"),
        (",p1,x\n", "line 2 names no record"),
    ],
)
def test_records_named_twice_or_unknown_are_refused(folder, rows, message):
    with pytest.raises(SourceError, match=message):
        source(folder, "record,patient_id,labels\n" + rows).list()


def test_a_table_that_is_not_there_is_named(folder):
    config = SourceConfig(kind="wfdb", uri=str(folder), labels_csv=str(folder / "none.csv"), pseudonymise=False)
    with pytest.raises(SourceError, match=r"none\.csv is not there"):
        open_source(config).list()


def test_a_header_is_read_where_the_table_says_nothing(tmp_path, write_record):
    write_record(tmp_path, "r1", comments=["Age: 40", "Sex: F", "Dx: 164889003"])
    own = source(tmp_path, "record,patient_id,labels,age\nr1,p1,own word,41\n")
    ref = own.read(own.list()[0]).ref
    assert (ref.labels, ref.age, ref.sex) == (("own word",), 41.0, "female")
