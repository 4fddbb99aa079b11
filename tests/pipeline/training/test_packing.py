"""Rows to arrays and back: what training sees is what preparing wrote."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pyarrow as pa

from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.training.packing import COLUMNS_READ, MAX_BEATS, PADDING, grain_of, pack, unpack


def rows(dataset: PreparedDataset, count: int = 5) -> pa.Table:
    return dataset.head("train", count, COLUMNS_READ)


def test_a_grain_holds_what_the_rows_hold(demo_dataset: PreparedDataset) -> None:
    table = rows(demo_dataset)
    grain = grain_of(table, np.arange(5), np.arange(5))
    for index, row in enumerate(table.to_pylist()):
        signal = np.frombuffer(row["signal"], dtype="<i2").reshape(12, 5000)
        np.testing.assert_array_equal(grain.signal[index], signal)
        np.testing.assert_array_equal(grain.features[index].ravel(), np.array(row["features"], dtype=np.float32))
        for half in range(2):
            peaks = row["r_peaks"][half]
            assert grain.r_peaks[index, half].tolist() == peaks + [PADDING] * (MAX_BEATS - len(peaks))
            triples = np.array(row["intervals"][half]).reshape(-1, 3)
            found = grain.intervals[index, half]
            np.testing.assert_array_equal(found[: len(triples)], triples[:, 1:])
            assert (found[len(triples) :] == PADDING).all()
    patients = table["patient_id"].to_pylist()
    assert len(set(grain.patient.tolist())) == len(set(patients))


def test_packing_and_unpacking_joins_grains_in_order(demo_dataset: PreparedDataset) -> None:
    table = rows(demo_dataset)
    first, second = (
        grain_of(table.slice(0, 2), np.arange(2), np.arange(2)),
        grain_of(table.slice(2, 3), np.arange(2, 5), np.arange(2, 5)),
    )
    joined = unpack(pa.concat_tables([pack(first), pack(second)]))
    for field in fields(joined):
        expected = np.concatenate([getattr(first, field.name), getattr(second, field.name)])
        np.testing.assert_array_equal(getattr(joined, field.name), expected)


def test_a_row_without_beats_is_all_padding() -> None:
    table = pa.table(
        {
            "patient_id": ["p"],
            "signal": [np.zeros(60_000, dtype="<i2").tobytes()],
            "features": [[float("nan")] * 300],
            "feature_status": [["no_beats", "ok"]],
            "feature_quality": pa.array([[float("nan"), 0.75]], pa.list_(pa.float32())),
            "r_peaks": pa.array([[[], [7]]], pa.list_(pa.list_(pa.int16()))),
            "intervals": pa.array([[[], []]], pa.list_(pa.list_(pa.int16()))),
        }
    )
    grain = grain_of(table, np.arange(1), np.arange(1))
    assert (grain.r_peaks[0, 0] == PADDING).all()
    assert grain.r_peaks[0, 1, :2].tolist() == [7, PADDING]
    assert (grain.intervals == PADDING).all()
    assert grain.usable.tolist() == [[0, 1]]
    assert np.isnan(grain.quality[0, 0])
    assert grain.quality[0, 1] == 0.75
