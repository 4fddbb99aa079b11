from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import wfdb

from physioclr.errors import SourceError
from physioclr.sources.wfdb_annotations import read_waves


def write(folder: Path, marks: list[tuple[str, int]], extension: str = "ii") -> str:
    symbols, samples = zip(*marks, strict=True)
    wfdb.wrann("r1", extension, np.array(samples), list(symbols), write_dir=str(folder))
    return str(folder / "r1")


def test_each_wave_has_onset_peak_and_offset(tmp_path: Path) -> None:
    p_qrs_t = [("(", 60), ("p", 80), (")", 100), ("(", 120), ("N", 140), (")", 160), ("(", 220), ("t", 280), (")", 330)]
    waves = read_waves(write(tmp_path, [*p_qrs_t, ("(", 520), ("N", 540), (")", 560)]), "ii")
    assert waves is not None
    assert waves["P"].tolist() == [[60, 80, 100]]
    assert waves["QRS"].tolist() == [[120, 140, 160], [520, 540, 560]]
    assert waves["T"].tolist() == [[220, 280, 330]]


def test_a_bound_that_is_not_marked_is_missing_and_is_not_taken_from_a_neighbour(tmp_path: Path) -> None:
    marks = [("N", 140), (")", 160), ("(", 220), ("t", 280), ("(", 300), ("p", 310), ("N", 540), (")", 560)]
    waves = read_waves(write(tmp_path, marks), "ii")
    assert waves is not None
    nan = math.nan
    np.testing.assert_array_equal(waves["QRS"], [[nan, 140, 160], [nan, 540, 560]])
    np.testing.assert_array_equal(waves["T"], [[220, 280, nan]])
    np.testing.assert_array_equal(waves["P"], [[300, 310, nan]])


def test_other_symbols_are_passed_over(tmp_path: Path) -> None:
    waves = read_waves(write(tmp_path, [("+", 5), ("V", 50), ("(", 120), ("N", 140), (")", 160)]), "ii")
    assert waves is not None
    assert {name: len(rows) for name, rows in waves.items()} == {"P": 0, "QRS": 1, "T": 0}
    assert waves["P"].shape == (0, 3)


def test_a_lead_without_a_file_has_no_annotations(tmp_path: Path) -> None:
    assert read_waves(write(tmp_path, [("N", 140)]), "v6") is None


def test_a_file_that_is_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "r1.ii").write_bytes(b"404")
    with pytest.raises(SourceError, match=r"r1\.ii is not a WFDB annotation file"):
        read_waves(str(tmp_path / "r1"), "ii")
