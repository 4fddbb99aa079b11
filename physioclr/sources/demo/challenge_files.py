"""A recording as the PhysioNet/CinC Challenge 2021 stores one: a WFDB header beside a MATLAB v4 file."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from physioclr.ecg.leads import LEADS
from physioclr.ecg.record import FS, INT16_PER_UNIT

MAT_INT16 = 30  # MATLAB v4 type: little-endian, full matrix, 16-bit signed
MAT_NAME = b"val\0"
MAT_HEADER_BYTES = 24  # five 32-bit words and the name; WFDB skips it ("16+24")


def mat_bytes(signal: NDArray[np.int16]) -> bytes:
    """`signal` int16 [12, T] as a MATLAB v4 file of one matrix `val`, stored column by column."""
    leads, samples = signal.shape
    words = struct.pack("<5i", MAT_INT16, leads, samples, 0, len(MAT_NAME))
    return words + MAT_NAME + np.ascontiguousarray(signal.T, dtype="<i2").tobytes()


def header_text(
    record: str, signal: NDArray[np.int16], age: int, sex: str, labels: tuple[str, ...], origin: str
) -> str:
    """The header of `record`: leads with first value and checksum, then the Challenge's comments and `origin`."""
    leads, samples = signal.shape
    checksums = signal.sum(axis=1, dtype=np.int64).astype(np.int16)  # modulo 2**16, as WFDB counts
    lines = [f"{record} {leads} {FS} {samples}"]
    lines += [
        f"{record}.mat 16+{MAT_HEADER_BYTES} {INT16_PER_UNIT}/mV 16 0 {first} {checksum} 0 {lead}"
        for first, checksum, lead in zip(signal[:, 0].tolist(), checksums.tolist(), LEADS, strict=True)
    ]
    lines += [f"#Age: {age}", f"#Sex: {sex.capitalize()}", f"#Dx: {','.join(labels)}"]
    lines += ["#Rx: Unknown", "#Hx: Unknown", "#Sx: Unknown", f"#Demo: {origin}"]
    return "\n".join(lines) + "\n"
