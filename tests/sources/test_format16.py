"""The commonest layout, decoded at once, is what the `wfdb` package reads, to the last bit."""

import os
from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.sources import format16
from physioclr.sources.wfdb_header import parse_header
from physioclr.sources.wfdb_reader import _decode_any


def written(folder: Path, stored: np.ndarray, gains: list[float], baselines: list[int], offset: int) -> str:
    """A record of integers [T, signals] as `wfdb` writes it, with `offset` bytes before the samples; its URI."""
    count = stored.shape[1]
    wfdb.wrsamp(
        "r", 500, ["mV"] * count, [f"L{i}" for i in range(count)], d_signal=stored, fmt=["16"] * count,
        adc_gain=gains, baseline=baselines, write_dir=str(folder),
    )  # fmt: skip
    if offset:
        header, signal = folder / "r.hea", folder / "r.dat"
        header.write_text(header.read_text().replace(".dat 16 ", f".dat 16+{offset} "))
        signal.write_bytes(bytes(offset) + signal.read_bytes())
    return str(folder / "r")


def both(uri: str) -> tuple[format16.Decoded | None, format16.Decoded]:
    header = parse_header(Path(f"{uri}.hea").read_bytes())
    files = [Path(uri).with_name(name).read_bytes() for name in header.files]
    return format16.decode(header, files, header.samples), _decode_any(header, files, header.samples)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    signals=st.integers(1, 13),
    gain=st.floats(0.5, 1e5, allow_nan=False).map(lambda gain: round(gain, 3)),
    baseline=st.integers(-2000, 2000),
    offset=st.sampled_from([0, 24]),
)
def test_equals_wfdb(
    tmp_path_factory: pytest.TempPathFactory, seed: int, signals: int, gain: float, baseline: int, offset: int
) -> None:
    rng = np.random.default_rng(seed)
    stored = rng.integers(-32768, 32767, size=(50, signals))  # -32768 is an invalid sample
    stored[rng.integers(50), rng.integers(signals)] = -32768
    gains = [gain, *rng.uniform(1, 5000, signals - 1).round(4).tolist()]
    uri = written(tmp_path_factory.mktemp("r"), stored, gains, [baseline] * signals, offset)
    ours, theirs = both(uri)
    assert ours is not None
    np.testing.assert_array_equal(ours.physical, theirs.physical)
    assert np.isnan(ours.physical).any()
    assert (ours.names, ours.units, ours.sums, ours.told) == (theirs.names, theirs.units, theirs.sums, theirs.told)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (" 16 1000.0(7)/mV", " 16 0(7)/mV"),  # a gain of 0 is "not calibrated"
        (" 16 1000.0(7)/mV", " 16 1000.0(7)"),
        (" 16 1000.0(7)/mV", " 16x1:2 1000.0(7)/mV"),
        (" L1", ""),
    ],
)
def test_what_is_left_out_or_unusual_is_left_to_wfdb(tmp_path: Path, old: str, new: str) -> None:
    uri = written(tmp_path, np.arange(100).reshape(50, 2), [1000.0] * 2, [7] * 2, 0)
    header = Path(f"{uri}.hea")
    text = header.read_text()
    assert old in text
    header.write_text(text.replace(old, new))
    assert both(uri)[0] is None


def test_a_baseline_that_is_not_given_is_the_zero_of_the_converter(tmp_path: Path) -> None:
    uri = written(tmp_path, np.arange(100).reshape(50, 2), [1000.0] * 2, [0] * 2, 0)
    header = Path(f"{uri}.hea")
    header.write_text(header.read_text().replace("1000.0(0)/mV 16 0", "1000/mV 16 12"))
    ours, theirs = both(uri)
    assert ours is not None
    np.testing.assert_array_equal(ours.physical, theirs.physical)
    assert ours.physical[0, 0] == -0.012


@pytest.mark.real
@pytest.mark.parametrize("archive", ["ptb-xl", "challenge-2021", "cinc2011-set-a", "ludb"])
def test_real_recordings_are_read_the_same(archive: str) -> None:
    folder = os.environ.get("PHYSIOCLR_DATA")
    if not folder:
        pytest.skip("set PHYSIOCLR_DATA to the folder of the real recordings")
    headers = sorted(Path(folder, archive).rglob("*.hea"))
    if not headers:
        pytest.skip(f"{archive} is not among the recordings in PHYSIOCLR_DATA")
    taken = 0
    for header in headers[:: max(len(headers) // 25, 1)]:
        ours, theirs = both(str(header.with_suffix("")))
        if ours is not None:
            np.testing.assert_array_equal(ours.physical, theirs.physical)
            assert (ours.names, ours.units, ours.sums) == (theirs.names, theirs.units, theirs.sums)
            taken += 1
    assert taken, "none of them is read at once"
