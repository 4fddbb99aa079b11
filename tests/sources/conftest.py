"""Small WFDB files for the tests of sources, written with the `wfdb` package."""

from pathlib import Path

import numpy as np
import pytest
import wfdb
from scipy.io import savemat

from physioclr.ecg.leads import LEADS


def twelve_waves(seconds=10.0, fs=500, amplitude=1.0):
    """12 sines [12, T] in mV of 1 to 12 Hz, so that every lead is told by its frequency; none sums to zero."""
    time = np.arange(round(seconds * fs)) / fs
    number = np.arange(1, 13)[:, None]
    return amplitude * (np.sin(2 * np.pi * number * time) + 0.013 * number)


@pytest.fixture
def waves():
    return twelve_waves


@pytest.fixture
def write_record():
    """A function that writes one record and returns its URI without `.hea`."""

    def write(folder: Path, name="r1", signal=None, fs=500, leads=LEADS, unit="mV", fmt="16", gain=1000.0, comments=()):
        folder.mkdir(parents=True, exist_ok=True)
        signal = twelve_waves(fs=fs) if signal is None else signal
        count = len(signal)
        wfdb.wrsamp(
            name,
            fs=fs,
            units=[unit] * count,
            sig_name=list(leads)[:count],
            p_signal=signal.T,
            fmt=[fmt] * count,
            adc_gain=[gain] * count,
            baseline=[0] * count,
            comments=list(comments),
            write_dir=str(folder),
        )
        return str(folder / name)

    return write


@pytest.fixture
def write_challenge_record():
    """A function that writes one record as the Challenge 2021 does: MATLAB 4 matrix, labels in the header."""

    def write(folder: Path, name: str, dx="426783006", age="31", sex="Male", seconds=10.0, fs=500):
        folder.mkdir(parents=True, exist_ok=True)
        stored = np.rint(twelve_waves(seconds, fs) * 1000).astype(np.int16)
        savemat(folder / f"{name}.mat", {"val": stored}, format="4")
        lines = [f"{name} 12 {fs} {stored.shape[1]}"]
        for lead, row in zip(LEADS, stored, strict=True):
            checksum = int(row.sum(dtype=np.int64).astype(np.int16))
            lines.append(f"{name}.mat 16+24 1000/mV 16 0 {row[0]} {checksum} 0 {lead}")
        lines += [f"#Age: {age}", f"#Sex: {sex}", f"#Dx: {dx}", "#Rx: Unknown", "#Hx: Unknown", "#Sx: Unknown"]
        (folder / f"{name}.hea").write_text("\n".join(lines) + "\n")
        return str(folder / name)

    return write
