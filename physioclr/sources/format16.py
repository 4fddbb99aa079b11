"""The commonest WFDB layout decoded at once: all signals as 16-bit samples in turn in one file (PTB-XL, MIMIC-IV-ECG,
Challenge 2021). It gives what the `wfdb` package gives, which stays the reader of every other layout; `wfdb` takes
several milliseconds a header, and that would be most of the time of preparing a recording."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physioclr.sources.wfdb_header import Header

_INVALID = -32768
# gain, (baseline), unit, ADC resolution and zero, first sample, checksum, block size, name: all of them given
_PLAIN = re.compile(
    r"(?P<gain>\d+(?:\.\d*)?)(?:\((?P<baseline>-?\d+)\))?/(?P<unit>[\w^?%/-]+) +\d+ +(?P<zero>-?\d+) +-?\d+ +"
    r"(?P<checksum>-?\d+) +0 +(?P<name>\S+)",
    re.ASCII,
)


@dataclass(frozen=True)
class Decoded:
    """`physical` float64 [signals, T] in `units`, invalid samples NaN; 16-bit `sums` of what is stored, and those that
    the header tells."""

    physical: NDArray[np.float64]
    names: tuple[str, ...]
    units: tuple[str, ...]
    sums: tuple[int, ...]
    told: tuple[int | None, ...]


def decode(header: Header, files: list[bytes], samples: int) -> Decoded | None:
    """The signals of a record, or None where its layout is another one, or a field of its header is left out."""
    lines = [_PLAIN.fullmatch(signal.rest) for signal in header.signals]
    plain = all(s.format == "16" and s.per_frame == 1 and not s.skew for s in header.signals)
    if not plain or len(files) != 1 or any(line is None or float(line["gain"]) == 0 for line in lines):
        return None
    facts = [line for line in lines if line is not None]
    count, offset = len(facts), header.signals[0].offset
    stored = np.frombuffer(files[0], dtype="<i2", count=samples * count, offset=offset).reshape(samples, count).T
    baseline = np.array([[float(line["baseline"] or line["zero"])] for line in facts])
    gain = np.array([[float(line["gain"])] for line in facts])
    physical = (stored.astype(np.float64, order="C") - baseline) / gain
    physical[stored == _INVALID] = np.nan
    return Decoded(
        physical,
        tuple(line["name"] for line in facts),
        tuple(line["unit"] for line in facts),
        tuple((stored.sum(axis=1, dtype=np.int64) % 65536).tolist()),
        tuple(int(line["checksum"]) for line in facts),
    )
