import pytest

from physioclr.errors import SourceError
from physioclr.sources.paths import below, wfdb_paths


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_headers_are_found_where_there_is_no_index(tmp_path):
    touch(tmp_path, "a/r1.hea", "a/r1.dat", "b/c/r2.hea", "notes.txt")
    assert wfdb_paths(str(tmp_path), None) == ["a/r1", "b/c/r2"]


def test_records_is_believed_without_looking_for_the_files(tmp_path):
    (tmp_path / "RECORDS").write_text("a/r1\na/r2\n\na/r1\n")
    touch(tmp_path, "a/other.hea")
    assert wfdb_paths(str(tmp_path), None) == ["a/r1", "a/r2"]


def test_folders_in_records_have_their_own_records_or_are_looked_through(tmp_path):
    (tmp_path / "RECORDS").write_text("training/x/g1/\ntraining/y/g1/\ntraining/gone/g1/\n")
    touch(tmp_path, "training/x/g1/not-listed.hea", "training/y/g1/J2.hea")
    (tmp_path / "training/x/g1/RECORDS").write_text("J1\n")
    assert wfdb_paths(str(tmp_path), None) == ["training/x/g1/J1", "training/y/g1/J2"]


@pytest.mark.parametrize("path", ["../other/r1", "/etc/r1", "a/../../r1", "s3://bucket/r1", "..\\r1", ""])
def test_an_index_cannot_point_outside_its_folder(path):
    with pytest.raises(SourceError, match="not a path below it"):
        below("/data", path)


@pytest.mark.parametrize("line", ["./", "././", "."])
def test_a_folder_in_records_is_not_the_folder_itself(tmp_path, line):
    (tmp_path / "RECORDS").write_text(f"{line}\n")
    with pytest.raises(SourceError, match="not a path below it; correct that line"):
        wfdb_paths(str(tmp_path), None)


def test_a_path_from_here_is_the_path() -> None:
    assert below("/data", "./a/./r1") == "a/r1"
