"""Reading one recording; and, for every reason in REJECTION_REASONS, a file that causes it."""

import traceback
from pathlib import Path

import numpy as np
import pytest
import wfdb
from fsspec.implementations.memory import MemoryFileSystem

from physioclr import storage
from physioclr.ecg.leads import LEADS
from physioclr.ecg.record import REJECTION_REASONS, RecordingRef
from physioclr.ecg.standardise import standardise
from physioclr.errors import RejectedRecording, StorageError
from physioclr.sources.wfdb_reader import read_recording


def ref(uri, **facts):
    return RecordingRef("d/r", "d", str(uri), "d/p", **facts)


def edit(uri, old, new, count=-1):
    """Change the header's text, which then no longer fits the signal."""
    path = Path(f"{uri}.hea")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


def without_checksums(uri):
    """Cut the signal lines after the unit, as headers from many exporters are."""
    path = Path(f"{uri}.hea")
    record, *signals = path.read_text().splitlines()
    path.write_text("\n".join([record, *(" ".join(line.split()[:3]) for line in signals)]) + "\n")


def test_a_record_is_read_in_physical_units(tmp_path, write_record, waves):
    recording = read_recording(ref(write_record(tmp_path)))
    assert (recording.fs, recording.leads, recording.units) == (500.0, LEADS, ("mV",) * 12)
    np.testing.assert_allclose(recording.signal, waves(), atol=0.00051)


@pytest.mark.parametrize("fmt", ["16", "24", "32", "80", "212", "508", "516", "524"])
def test_the_formats_that_wfdb_writes_are_read(tmp_path, write_record, waves, fmt):
    gain = 100.0 if fmt in ("80", "508") else 1000.0  # 8 bits hold less
    uri = write_record(tmp_path, fmt=fmt, gain=gain)
    np.testing.assert_allclose(read_recording(ref(uri)).signal, waves(), atol=0.51 / gain)


@pytest.mark.parametrize(("fmt", "dtype", "offset"), [("61", ">i2", 0), ("160", "<u2", 32768)])
def test_sixteen_bits_stored_otherwise_are_read(tmp_path, write_record, waves, fmt, dtype, offset):
    uri = write_record(tmp_path)
    edit(uri, ".dat 16 ", f".dat {fmt} ")
    stored = np.fromfile(f"{uri}.dat", dtype="<i2").astype(np.int32) + offset
    stored.astype(dtype).tofile(f"{uri}.dat")
    np.testing.assert_allclose(read_recording(ref(uri)).signal, waves(), atol=0.00051)


@pytest.mark.parametrize("gain", [1.5, 200.0, 4880.0])
def test_any_gain_and_baseline_gives_the_same_millivolts(tmp_path, waves, gain):
    wfdb.wrsamp(
        "r", 500, ["mV"] * 12, list(LEADS), p_signal=waves().T * 5, fmt=["16"] * 12,
        adc_gain=[gain] * 12, baseline=[-7] * 12, write_dir=str(tmp_path),
    )  # fmt: skip
    np.testing.assert_allclose(read_recording(ref(tmp_path / "r")).signal, waves() * 5, atol=0.51 / gain)


def test_a_matlab_record_of_the_challenge_is_read_with_its_facts(tmp_path, write_challenge_record, waves):
    uri = write_challenge_record(tmp_path, "JS1", dx="164889003,59118001,55827005", age="77", sex="Female")
    recording = read_recording(ref(uri))
    np.testing.assert_allclose(recording.signal, waves(), atol=0.00051)
    assert recording.ref.labels == ("164889003", "713427006", "55827005")
    assert (recording.ref.age, recording.ref.sex) == (77.0, "female")


def test_what_the_index_knows_goes_before_the_header(tmp_path, write_challenge_record):
    uri = write_challenge_record(tmp_path, "JS1")
    known = ref(uri, labels=("10370003",), age=50.0, sex="female")
    assert read_recording(known).ref == known


def test_the_invalid_sample_value_is_missing(tmp_path, write_record, waves):
    signal = waves(seconds=20.0)
    signal[2, 5100] = np.nan  # stored as -32768
    recording = read_recording(ref(write_record(tmp_path, signal=signal)))
    assert np.argwhere(np.isnan(recording.signal)).tolist() == [[2, 5100]]
    assert [index for index, _, _ in standardise(recording).rejected] == [1]


def test_signals_in_two_files_are_read_together(tmp_path, waves):
    wfdb.wrsamp("a", 500, ["mV"] * 6, list(LEADS[:6]), p_signal=waves()[:6].T, fmt=["16"] * 6, write_dir=str(tmp_path))
    wfdb.wrsamp("b", 500, ["mV"] * 6, list(LEADS[6:]), p_signal=waves()[6:].T, fmt=["212"] * 6, write_dir=str(tmp_path))
    lines = [(tmp_path / f"{name}.hea").read_text().splitlines()[1:] for name in "ab"]
    (tmp_path / "r.hea").write_text("\n".join(["r 12 500 5000", *lines[0], *lines[1]]) + "\n")
    np.testing.assert_allclose(read_recording(ref(tmp_path / "r")).signal, waves(), atol=0.001)


def test_a_header_without_a_length_takes_it_from_the_file(tmp_path, write_record):
    uri = write_record(tmp_path)
    edit(uri, "12 500 5000", "12 500")
    assert read_recording(ref(uri)).signal.shape == (12, 5000)


def test_checksums_that_are_all_zero_were_never_computed(tmp_path, write_record):
    uri = write_record(tmp_path)
    path = Path(f"{uri}.hea")
    record, *lines = path.read_text().splitlines()
    zeroed = [" ".join([*line.split()[:6], "0", *line.split()[7:]]) for line in lines]
    path.write_text("\n".join([record, *zeroed]) + "\n")
    assert read_recording(ref(uri)).signal.shape == (12, 5000)


def test_bytes_after_the_signal_do_not_matter_when_the_checksums_fit(tmp_path, write_record):
    uri = write_record(tmp_path)
    with open(f"{uri}.dat", "ab") as file:
        file.write(b"\0" * 1024)  # PhysioNet pads some files to whole blocks
    assert read_recording(ref(uri)).signal.shape == (12, 5000)


def test_microvolts_come_out_as_microvolts_and_not_as_volts(tmp_path, write_record, waves):
    uri = write_record(tmp_path, signal=waves() * 1000, unit="uV", gain=1.0)
    Path(f"{uri}.hea").write_bytes(Path(f"{uri}.hea").read_bytes().replace(b"/uV", "/µV".encode()))
    (window,) = standardise(read_recording(ref(uri))).windows
    np.testing.assert_allclose(window.signal, waves() * 1000, atol=1.01)


def test_records_are_read_from_other_storage_than_a_disk(tmp_path, write_record, waves):
    memory = MemoryFileSystem()
    memory.put(str(Path(write_record(tmp_path)).parent), "/bucket-of-the-reader/files", recursive=True)
    uri = next(path for path in memory.find("/bucket-of-the-reader") if path.endswith(".hea")).removesuffix(".hea")
    recording = read_recording(ref(f"memory:/{uri}" if uri.startswith("/") else f"memory://{uri}"))
    np.testing.assert_allclose(recording.signal, waves(), atol=0.00051)


def test_an_outage_is_storages_and_not_the_recordings(tmp_path, write_record, monkeypatch):
    uri = write_record(tmp_path)

    def refuse(uri, anonymous=None, most=None):
        raise StorageError("Reading was refused; check the credentials.") from PermissionError()

    monkeypatch.setattr("physioclr.storage.read_bytes", refuse)
    with pytest.raises(StorageError, match="credentials"):
        read_recording(ref(uri))


@pytest.fixture
def longest_read(monkeypatch):
    """A list that gets the length of whatever is read."""
    lengths, read = [], storage.read_bytes

    def noted(*arguments):
        data = read(*arguments)
        lengths.append(len(data))
        return data

    monkeypatch.setattr("physioclr.storage.read_bytes", noted)
    return lengths


@pytest.mark.parametrize(
    ("suffix", "old", "new", "reason"),
    [
        ("hea", "", "", "unreadable_header"),
        ("dat", "", "", "header_mismatch"),
        ("dat", ".dat 16 ", ".dat 516 ", "header_mismatch"),
        ("dat", "12 500 5000", "12 500", "header_mismatch"),
    ],
    ids=["header", "signals", "compressed", "no length"],
)
def test_of_a_file_that_is_far_too_long_no_more_is_read_than_it_may_have(
    tmp_path, write_record, monkeypatch, longest_read, suffix, old, new, reason
):
    """As 60 GB would be, which no memory holds."""
    monkeypatch.setattr("physioclr.sources.wfdb_header.MAX_SAMPLES", 100_000)
    monkeypatch.setattr("physioclr.sources.wfdb_header.MAX_REST", 1_000)
    uri = write_record(tmp_path)
    edit(uri, old, new)
    with open(f"{uri}.{suffix}", "ab") as file:
        file.truncate(10_000_000)
    with pytest.raises(RejectedRecording) as caught:
        read_recording(ref(uri))
    assert caught.value.reason == reason
    assert max(longest_read) < 300_000


def test_reading_writes_nothing_beside_the_recording(tmp_path, write_record):
    uri = write_record(tmp_path)
    before = sorted(tmp_path.iterdir())
    read_recording(ref(uri))
    assert sorted(tmp_path.iterdir()) == before


# One way to break a recording for each reason; `waves` makes 12 leads, `uri` is a good record on disk.


def no_header(uri, write):
    Path(f"{uri}.hea").unlink()


def no_signal_file(uri, write):
    Path(f"{uri}.dat").unlink()


def not_flac(uri, write):
    edit(uri, ".dat 16 ", ".dat 516 ")


def half_the_file(uri, write):
    data = Path(f"{uri}.dat").read_bytes()
    Path(f"{uri}.dat").write_bytes(data[: len(data) // 2])


def empty_file(uri, write):
    Path(f"{uri}.dat").write_bytes(b"")


def changed_sample(uri, write):
    data = bytearray(Path(f"{uri}.dat").read_bytes())
    data[1000] ^= 1
    Path(f"{uri}.dat").write_bytes(data)


def shorter_than_the_file(uri, write):
    edit(uri, "500 5000", "500 4000")


def shorter_without_checksums(uri, write):
    without_checksums(uri)
    edit(uri, "500 5000", "500 4000")


def other_folder(uri, write):
    edit(uri, "r1.dat", "../r1.dat")


def eleven_leads(uri, write):
    write(Path(uri).parent, leads=[*LEADS[:11], "Pleth"])


def names_left_out(uri, write):
    without_checksums(uri)


def pascals(uri, write):
    edit(uri, "/mV", "/Pa")


def no_rate(uri, write):
    edit(uri, "12 500 5000", "12")


def slow(uri, write):
    edit(uri, "12 500 5000", "12 5 5000")


def nine_seconds(uri, write, waves):
    write(Path(uri).parent, signal=waves(seconds=9.0))


def gap(uri, write, waves):
    signal = waves()
    signal[3, 40] = np.nan
    write(Path(uri).parent, signal=signal)


def loose_electrode(uri, write, waves):
    signal = waves()
    signal[3] = 0.0
    write(Path(uri).parent, signal=signal)


def shorted_amplifier(uri, write, waves):
    write(Path(uri).parent, signal=waves(amplitude=80.0), gain=200.0)


CAUSES = [
    (no_header, "unreadable_header"),
    (no_signal_file, "unreadable_signal"),
    (not_flac, "unreadable_signal"),
    (half_the_file, "truncated"),
    (empty_file, "truncated"),
    (changed_sample, "header_mismatch"),
    (shorter_than_the_file, "header_mismatch"),
    (shorter_without_checksums, "header_mismatch"),
    (other_folder, "unsafe_path"),
    (eleven_leads, "missing_leads"),
    (names_left_out, "missing_leads"),
    (pascals, "unknown_units"),
    (no_rate, "bad_sampling_rate"),
    (slow, "bad_sampling_rate"),
    (nine_seconds, "too_short"),
    (gap, "nan"),
    (loose_electrode, "flat_lead"),
    (shorted_amplifier, "absurd_amplitude"),
]


def test_every_reason_has_a_file_that_causes_it():
    assert {reason for _, reason in CAUSES} == set(REJECTION_REASONS)


@pytest.mark.parametrize(("damage", "reason"), CAUSES, ids=lambda value: getattr(value, "__name__", value))
def test_a_damaged_recording_is_rejected_for_its_reason(tmp_path, write_record, waves, damage, reason):
    uri = write_record(tmp_path)
    arguments = (uri, write_record, waves)[: damage.__code__.co_argcount]
    damage(*arguments)
    with pytest.raises(RejectedRecording) as caught:
        standardise(read_recording(ref(uri)))
    assert caught.value.reason == reason


@pytest.mark.parametrize(("damage", "reason"), CAUSES, ids=lambda value: getattr(value, "__name__", value))
def test_no_rejection_shows_text_of_the_header(tmp_path, write_record, waves, damage, reason):
    uri = write_record(tmp_path)
    damage(*(uri, write_record, waves)[: damage.__code__.co_argcount])
    if Path(f"{uri}.hea").exists():
        with open(f"{uri}.hea", "a") as file:
            file.write("# Name: Smith, John\n#Dx: Smith\n#Sex: Smith\n")
        edit(uri, "r1 12", "Smith 12")
        edit(uri, " V1", " Smith") if damage in (eleven_leads, no_rate) else None
        edit(uri, "/Pa", "/Smith") if damage is pascals else None
    with pytest.raises(RejectedRecording) as caught:
        standardise(read_recording(ref(uri)))
    assert "Smith" not in "".join(traceback.format_exception(caught.value))
