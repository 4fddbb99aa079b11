from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from physioclr.ecg.leads import LEADS
from physioclr.sources.demo.challenge_files import header_text, mat_bytes


def write(folder: Path, signal: NDArray[np.int16]) -> str:
    (folder / "D00007.mat").write_bytes(mat_bytes(signal))
    header = header_text("D00007", signal, 61, "female", ("164889003", "733534002"), "generator 1")
    (folder / "D00007.hea").write_text(header)
    return str(folder / "D00007")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("challenge")


@given(signal=arrays(np.int16, (12, 50), elements=st.integers(-32767, 32767)))
@settings(max_examples=25, deadline=None)
def test_wfdb_and_matlab_read_what_was_written(folder: Path, signal: NDArray[np.int16]) -> None:
    name = write(folder, signal)
    record = wfdb.rdrecord(name, physical=False)
    assert np.array_equal(record.d_signal.T, signal)
    assert [stored % 2**16 for stored in record.checksum] == record.calc_checksum()
    assert record.init_value == signal[:, 0].tolist()
    assert np.array_equal(scipy.io.loadmat(f"{name}.mat")["val"], signal)


def test_the_header_is_the_challenges(folder: Path) -> None:
    name = write(folder, np.arange(12 * 5000, dtype=np.int16).reshape(12, 5000))
    record = wfdb.rdrecord(name)
    assert (record.fs, record.sig_len, record.n_sig) == (500, 5000, 12)
    assert record.sig_name == list(LEADS)
    assert set(record.units) == {"mV"}
    assert set(record.adc_gain) == {1000.0}
    assert record.byte_offset == [24] * 12
    assert record.fmt == ["16"] * 12
    assert record.comments[:3] == ["Age: 61", "Sex: Female", "Dx: 164889003,733534002"]
    assert Path(f"{name}.mat").stat().st_size == 24 + 2 * 12 * 5000
    assert record.p_signal[10, 0] == pytest.approx(0.010)
