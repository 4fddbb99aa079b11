"""One recording by URI: header and signal files through storage, decoded in one piece or by the `wfdb` package.

`wfdb` sees a temporary folder with a header that we wrote: plain file names, no dates, no comments. Nothing in a
header decides what is opened outside the recording's own folder, or gets into an error.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import wfdb

from physioclr import storage
from physioclr.ecg.record import Recording, RecordingRef
from physioclr.errors import RejectedRecording, StorageError
from physioclr.sources import format16
from physioclr.sources.format16 import Decoded
from physioclr.sources.paths import is_missing
from physioclr.sources.wfdb_header import MAX_HEADER_BYTES, Header, parse_header

_NAME = "record"  # what the recording is called in the temporary folder


def read_recording(ref: RecordingRef, anonymous: bool | None = None) -> Recording:
    """The recording of `ref`, in physical units; the format's invalid samples (-32768 in format 16) are NaN.

    Labels, age and sex that `ref` has not are taken from the header's comments. Raises `RejectedRecording` for
    everything that is wrong with this one recording, `StorageError` when storage cannot be reached or refuses.
    """
    beginning = _fetch(f"{ref.uri}.hea", MAX_HEADER_BYTES, anonymous, "unreadable_header", "the header")
    header = parse_header(beginning)
    folder = ref.uri.rpartition("/")[0]
    files = [_fetch_signals(header, storage.join(folder, name) if folder else name, anonymous) for name in header.files]
    samples = _length(header, files)
    decoded = format16.decode(header, files, samples) or _decode_any(header, files, samples)
    if not _verify_checksums(decoded, header):
        _refuse_rest(header, files, samples)
    return Recording(
        ref=_with_facts(ref, header),
        signal=decoded.physical,
        fs=header.fs,
        leads=decoded.names,
        units=decoded.units,
    )


def _fetch(uri: str, most: int, anonymous: bool | None, reason: str, what: str) -> bytes:
    """The file at `uri`, or `most` + 1 bytes of one that is too long. One that is not there is this recording's fault,
    everything else is storage's."""
    try:
        return storage.read_bytes(uri, anonymous, most + 1)
    except StorageError as error:
        if is_missing(error):
            raise RejectedRecording(reason, f"{what} is not there") from None
        raise


def _fetch_signals(header: Header, uri: str, anonymous: bool | None) -> bytes:
    """A signal file of the record. Refuses one that is far longer than its header says."""
    most = header.most_bytes(uri.rpartition("/")[2])
    data = _fetch(uri, most, anonymous, "unreadable_signal", "a signal file")
    if len(data) > most:
        raise RejectedRecording("header_mismatch", f"a signal file has more than the {most} bytes that it may have")
    return data


def _length(header: Header, files: list[bytes]) -> int:
    """Samples of the record: as announced, or as many as its first file holds. Refuses files that are too short."""
    samples = header.samples
    if samples == 0:
        start, frame = header.bytes_for(header.files[0], 0), header.bytes_for(header.files[0], 6)  # 6: whole blocks
        if start is None or frame is None:
            raise RejectedRecording("unreadable_header", "the length of a compressed record is not given")
        samples = max(len(files[0]) - start, 0) * 6 // (frame - start)
    for name, data in zip(header.files, files, strict=True):
        needed = header.bytes_for(name, samples)
        if not data or (needed is not None and len(data) < needed):
            raise RejectedRecording("truncated", f"{len(data)} bytes where the header announces {needed}")
    if samples == 0:
        raise RejectedRecording("truncated", "the signal file holds no samples")
    return samples


def _lay_out(folder: Path, header: Header, files: list[bytes], samples: int) -> None:
    """Write the recording into `folder` under names of our own, with nothing of the header but its signals."""
    names = {name: f"signal{number}.dat" for number, name in enumerate(header.files)}
    lines = [f"{_NAME} {len(header.signals)} {header.fs:.9f} {samples}"]
    for signal in header.signals:
        coding = f"{signal.format}x{signal.per_frame}:{signal.skew}+{signal.offset}"
        lines.append(f"{names[signal.file]} {coding} {signal.rest}")
    (folder / f"{_NAME}.hea").write_text("\n".join(lines) + "\n", encoding="ascii", errors="replace")
    for name, data in zip(header.files, files, strict=True):
        (folder / names[name]).write_bytes(data)


def _decode_any(header: Header, files: list[bytes], samples: int) -> Decoded:
    """Let `wfdb` read the signals as stored integers. What it raises may quote the header, so it is not passed on."""
    with tempfile.TemporaryDirectory(prefix="physioclr-") as temporary:
        _lay_out(Path(temporary), header, files, samples)
        try:
            record = wfdb.rdrecord(str(Path(temporary) / _NAME), physical=False)
        except Exception as error:  # wfdb raises bare Exception, and ValueError, IndexError, ... from within
            raise RejectedRecording("unreadable_signal", f"wfdb cannot decode it ({type(error).__name__})") from None
    return Decoded(
        np.ascontiguousarray(record.dac().T, dtype=np.float64),
        tuple(name or "" for name in record.sig_name),
        tuple(record.units),
        tuple(record.calc_checksum()),
        tuple(record.checksum),
    )


def _verify_checksums(decoded: Decoded, header: Header) -> bool:
    """Compare 16-bit sums where the header has them and the samples are as stored; say whether all were compared."""
    if any(signal.per_frame > 1 or signal.skew for signal in header.signals):
        return False
    told = decoded.told
    sums = enumerate(zip(decoded.sums, told, strict=True), start=1)
    wrong = [number for number, (seen, said) in sums if said is not None and (seen - said) % 65536]
    if not any(told) and len(wrong) > len(told) // 2:
        return False  # exporters that compute no checksums write zeros
    if wrong:
        raise RejectedRecording("header_mismatch", f"the checksum of signal {', '.join(map(str, wrong))} is not right")
    return None not in told


def _refuse_rest(header: Header, files: list[bytes], samples: int) -> None:
    """Without checksums that vouch for it, a file longer than announced is a header that does not belong to it."""
    for name, data in zip(header.files, files, strict=True):
        more = header.bytes_for(name, samples + 1)
        if more is not None and len(data) >= more:
            raise RejectedRecording("header_mismatch", f"{len(data)} bytes are more than {samples} samples take")


def _with_facts(ref: RecordingRef, header: Header) -> RecordingRef:
    """`ref` with what its header says where the index said nothing."""
    return replace(
        ref,
        labels=ref.labels or header.labels,
        age=header.age if ref.age is None else ref.age,
        sex=ref.sex or header.sex,
    )
