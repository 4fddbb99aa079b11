"""A WFDB header (header(5) of the WFDB manual) checked before anything acts on it.

Headers come from strangers: one can name any file, ask for terabytes, and carry a patient's name. So only what is
understood here goes on, file names must be plain, sizes are bounded, and no text of a header gets into an error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from physioclr.ecg.snomed import merge_labels
from physioclr.errors import RejectedRecording
from physioclr.sources.person import parse_age, parse_sex

MAX_HEADER_BYTES = 65_536
MAX_SIGNALS = 256
MAX_SAMPLES = 2**27  # of all signals together: six hours of 12 leads at 500 Hz
MAX_REST = 2**20  # bytes before the samples of a file, and after them: PhysioNet pads some to whole blocks
# Bytes per sample; formats above 500 are FLAC, whose size does not follow from its length
_SAMPLE_BYTES = {
    "8": 1,
    "16": 2,
    "24": 3,
    "32": 4,
    "61": 2,
    "80": 1,
    "160": 2,
    "212": 3 / 2,
    "310": 4 / 3,
    "311": 4 / 3,
}
_COMPRESSED = ("508", "516", "524")
_COMPRESSED_BYTES = 4  # what FLAC makes of noise is about as long as the noise

_FILE_NAME = re.compile(r"[\w+=@()-][\w.+=@()-]*")  # no separators, no drive, no "~", nothing hidden
_FORMAT = re.compile(r"(\d{1,3})(?:x(\d{1,4}))?(?::(\d{1,9}))?(?:\+(\d{1,9}))?")
_RATE = re.compile(r"\d{1,9}(?:\.\d{0,9})?")
_SNOMED = re.compile(r"\d{6,18}")


@dataclass(frozen=True, slots=True)
class SignalLine:
    """One signal: the file it is in, and its format; `rest` is gain, unit, checksum and name as in the header."""

    file: str
    format: str
    per_frame: int  # samples of this signal for each tick of the record's rate
    skew: int
    offset: int  # bytes before the first sample
    rest: str

    @property
    def layout(self) -> tuple[str, str, int]:
        """What signals in the same file must have in common."""
        return self.file, self.format, self.offset


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says. `samples` is 0 where it leaves the length to the signal file."""

    fs: float
    samples: int
    signals: tuple[SignalLine, ...]
    labels: tuple[str, ...]
    age: float | None
    sex: str | None

    @property
    def files(self) -> tuple[str, ...]:
        """Signal files, each once, in the order of the header."""
        return tuple(dict.fromkeys(signal.file for signal in self.signals))

    def bytes_for(self, file: str, samples: int) -> int | None:
        """How many bytes `samples` of the signals in `file` take, or None when it is compressed."""
        held = [signal for signal in self.signals if signal.file == file]
        if held[0].format in _COMPRESSED:
            return None
        return held[0].offset + math.ceil(_frame(held) * samples * _SAMPLE_BYTES[held[0].format])

    def most_bytes(self, file: str) -> int:
        """The longest that `file` may be: more is never read, since a file may be larger than memory."""
        samples = self.samples or MAX_SAMPLES // _frame(self.signals)
        needed = self.bytes_for(file, samples)
        if needed is None:
            needed = _frame([signal for signal in self.signals if signal.file == file]) * samples * _COMPRESSED_BYTES
        return needed + MAX_REST


def _frame(signals: Sequence[SignalLine]) -> int:
    """Samples that `signals` have together for each tick of the record's rate."""
    return sum(signal.per_frame for signal in signals)


def parse_header(data: bytes) -> Header:
    """Read the bytes of a `.hea` file. Raises `RejectedRecording`; the detail quotes nothing but numbers."""
    if len(data) > MAX_HEADER_BYTES:
        raise RejectedRecording("unreadable_header", f"more than the {MAX_HEADER_BYTES} bytes that a header may have")
    lines = [line.strip() for line in _decode(data).splitlines()]
    plain = [line for line in lines if line and not line.startswith("#")]
    if not plain:
        raise RejectedRecording("unreadable_header", "the header is empty")
    fs, count, samples = _record_line(plain[0])
    if len(plain) - 1 != count:
        raise RejectedRecording("header_mismatch", f"{count} signals are announced and {len(plain) - 1} described")
    signals = tuple(_signal_line(line, number) for number, line in enumerate(plain[1:], start=1))
    _check_layout(signals, samples)
    labels, age, sex = _comments([line for line in lines if line.startswith("#")])
    return Header(fs, samples, signals, labels, age, sex)


def _decode(data: bytes) -> str:
    """Text with one spelling of the micro sign, which comes in UTF-8 and in Latin-1."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.replace("µ", "u").replace("μ", "u")


def _record_line(line: str) -> tuple[float, int, int]:
    """Rate, number of signals and length from `name[/segments] signals rate[/counter] length [time [date]]`."""
    name, *fields = line.split()
    if "/" in name:
        raise RejectedRecording("unreadable_header", "records in several segments are not read; join them first")
    if not fields or not re.fullmatch(r"\d{1,4}", fields[0]):
        raise RejectedRecording("unreadable_header", "the first line does not say how many signals there are")
    count = int(fields[0])
    if not 1 <= count <= MAX_SIGNALS:
        raise RejectedRecording("unreadable_header", f"{count} signals are not between 1 and {MAX_SIGNALS}")
    rate = _RATE.match(fields[1]) if len(fields) > 1 else None
    if rate is None or float(rate.group()) <= 0:
        raise RejectedRecording("bad_sampling_rate", "the header gives no sampling rate")
    length = fields[2] if len(fields) > 2 else "0"
    if not re.fullmatch(r"\d{1,12}", length):
        raise RejectedRecording("unreadable_header", "the length in the first line is not a number")
    return float(rate.group()), count, int(length)


def _signal_line(line: str, number: int) -> SignalLine:
    file, _, described = line.partition(" ")
    format_field, _, rest = described.strip().partition(" ")
    if not _FILE_NAME.fullmatch(file) or ".." in file:
        raise RejectedRecording("unsafe_path", f"signal {number} is in a file whose name is not a plain one")
    found = _FORMAT.fullmatch(format_field)
    if found is None or found[1] not in (*_SAMPLE_BYTES, *_COMPRESSED):
        raise RejectedRecording("unreadable_header", f"signal {number} has no format that WFDB knows")
    return SignalLine(file, found[1], int(found[2] or 1), int(found[3] or 0), int(found[4] or 0), rest.strip())


def _check_layout(signals: tuple[SignalLine, ...], samples: int) -> None:
    """Refuse what would make a reader reserve absurd amounts of memory, or read one file in two ways."""
    if samples * _frame(signals) > MAX_SAMPLES:
        raise RejectedRecording("unreadable_signal", f"more than {MAX_SAMPLES} samples are announced")
    if any(signal.skew > max(samples, 1) for signal in signals) or any(signal.per_frame < 1 for signal in signals):
        raise RejectedRecording("header_mismatch", "a signal's skew or samples per frame cannot be right")
    if any(signal.offset > MAX_REST for signal in signals):
        raise RejectedRecording("header_mismatch", f"more than {MAX_REST} bytes are announced before the samples")
    if len({signal.layout for signal in signals}) != len({signal.file for signal in signals}):
        raise RejectedRecording("header_mismatch", "signals in the same file differ in format or offset")


def _comments(lines: list[str]) -> tuple[tuple[str, ...], float | None, str | None]:
    """SNOMED CT codes, age and sex from comments such as `#Dx: 426783006,251146004` (Challenge 2021)."""
    facts: dict[str, str] = {}
    for line in lines:
        key, _, value = line.lstrip("# ").partition(":")
        facts.setdefault(key.strip("<> ").lower(), value.strip())  # LUDB writes `#<age>: 71`
    codes = [code.strip() for code in facts.get("dx", "").split(",")]
    labels = merge_labels(code for code in codes if _SNOMED.fullmatch(code))
    return labels, parse_age(facts.get("age")), parse_sex(facts.get("sex"))
