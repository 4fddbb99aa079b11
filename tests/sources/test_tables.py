import pytest

from physioclr.errors import SourceError
from physioclr.sources.tables import read_table


def rows(path, text, required=("record",)):
    path.write_text(text, encoding="utf-8")
    return list(read_table(str(path), required, None))


def test_rows_come_with_their_line_and_trimmed_cells(tmp_path):
    text = '\ufeffrecord , labels\r\nr1,"a, b"\r\n\r\nr2\r\n'
    assert rows(tmp_path / "t.csv", text) == [
        (2, {"record": "r1", "labels": "a, b"}),
        (4, {"record": "r2", "labels": ""}),
    ]


@pytest.mark.parametrize("text", ["", "name,labels\n", "record;labels\nr1;a\n"])
def test_a_missing_column_is_named_with_those_that_are_there(tmp_path, text):
    with pytest.raises(SourceError, match=r"t\.csv has no column 'record'"):
        rows(tmp_path / "t.csv", text)


def test_the_columns_that_are_there_are_named_beside_the_missing_one(tmp_path):
    with pytest.raises(SourceError, match=r"no column 'age' \(its comma-separated columns: record, ward\); add it"):
        rows(tmp_path / "t.csv", "record,ward\n", required=("record", "age"))


def test_a_patient_on_the_first_line_is_not_quoted(tmp_path):
    with pytest.raises(SourceError, match=r"its first line is no header with record, labels, separated by") as caught:
        rows(tmp_path / "t.csv", "0001,Meier Anna,164889003\n", required=("record", "labels"))
    assert "Meier" not in str(caught.value)


def test_a_row_with_too_many_cells_is_named(tmp_path):
    with pytest.raises(SourceError, match="line 3 has more cells"):
        rows(tmp_path / "t.csv", "record\nr1\nr2,x\n")


def test_a_missing_file_says_where_it_should_be(tmp_path):
    with pytest.raises(SourceError, match=r"t\.csv is not there"):
        list(read_table(str(tmp_path / "t.csv"), ["record"], None))


def test_a_file_that_is_not_utf_8_is_refused(tmp_path):
    (tmp_path / "t.csv").write_bytes("record\nJörg\n".encode("latin-1"))
    with pytest.raises(SourceError, match="is not a UTF-8 text file"):
        list(read_table(str(tmp_path / "t.csv"), ["record"], None))
