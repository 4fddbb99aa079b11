"""A unit's features are those of its recordings, however many are measured at once."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from physioclr.config import FeatureConfig, NoiseConfig, SourceConfig
from physioclr.ecg.standardise import standardise
from physioclr.features.extract import FeatureExtractor
from physioclr.pipeline.compare.noisy import keys_of, with_noise
from physioclr.pipeline.dataset import read_table
from physioclr.pipeline.prepare import extract
from physioclr.sources.demo import DemoSource


def rows(folder: Path) -> list[dict[str, Any]]:
    """Three kept windows and, between them, a rejected recording, as `ReadUnit` gives them."""
    source = DemoSource(SourceConfig(uri=str(folder), patients=3, recordings_per_patient=1))
    for patient in source.missing():
        source.write_patient(patient)
    made = []
    for ref in source.list():
        (window,) = standardise(source.read(ref)).windows
        common = {"record_id": ref.record_id, "dataset": "demo", "unit_name": "train-00000-0000", "window": 0}
        made.append({**common, "signal": window.signal.astype("<i2").tobytes()})
    rejected = {**made[0], "record_id": "bad", "signal": None, "reason": "flat", "window": -1}
    return [made[0], rejected, *made[1:]]


@pytest.mark.parametrize("at_once", [2, 64])
def test_every_window_gets_its_own_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(extract, "WINDOWS_AT_ONCE", at_once)
    given = rows(tmp_path)
    table = pa.Table.from_pylist(given, schema=extract.READ_SCHEMA)
    counts = extract.ExtractUnit(str(tmp_path), FeatureConfig())(table).to_pylist()[0]
    assert (counts["recordings"], counts["rejected"]) == (4, 1)

    written = read_table(extract.unit_uri(str(tmp_path), counts["unit"])).to_pylist()
    assert [row["record_id"] for row in written] == [row["record_id"] for row in given]
    extractor = FeatureExtractor()
    for row in written:
        if row["reason"] is not None:
            assert row["features"] is row["feature_status"] is row["r_peaks"] is row["intervals"] is None
            continue
        (halves,) = extractor(np.frombuffer(row["signal"], dtype="<i2").reshape(1, 12, -1))
        np.testing.assert_array_equal(
            np.array(row["features"], np.float32), np.concatenate([half.features for half in halves])
        )
        assert row["feature_status"] == [half.status for half in halves]
        assert row["feature_quality"] == pytest.approx([half.quality for half in halves])
        assert row["r_peaks"] == [half.r_peaks.tolist() for half in halves]
        assert row["intervals"] == [half.intervals.ravel().tolist() for half in halves]


def test_with_noise_only_the_features_are_of_the_noisy_copy(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(rows(tmp_path), schema=extract.READ_SCHEMA)
    written = []
    for name, noise in (("clean", None), ("noisy", NoiseConfig(kind="muscle", db=6.0))):
        counts = extract.ExtractUnit(str(tmp_path / name), FeatureConfig(noise=noise))(table).to_pylist()[0]
        found = read_table(extract.unit_uri(str(tmp_path / name), counts["unit"])).to_pylist()
        written.append([row for row in found if row["reason"] is None])
    extractor = FeatureExtractor()
    for clean, noisy in zip(*written, strict=True):
        for key in ("signal", "r_peaks", "intervals", "record_id"):
            assert clean[key] == noisy[key]
        stored = np.frombuffer(clean["signal"], dtype="<i2").reshape(1, 12, -1)
        (halves,) = extractor(with_noise(stored, keys_of([clean]), NoiseConfig(kind="muscle", db=6.0)))
        np.testing.assert_array_equal(
            np.array(noisy["features"], np.float32), np.concatenate([half.features for half in halves])
        )
        assert not np.array_equal(clean["features"], noisy["features"], equal_nan=True)
