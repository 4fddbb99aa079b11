from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from physioclr.method.batch import SegmentBatch


def make(segments: int = 4) -> SegmentBatch:
    return SegmentBatch(
        signal_SLT=torch.randn(segments, 12, 2500),
        r_peaks_SR=torch.full((segments, 3), -1),
        intervals_SI2=torch.full((segments, 5, 2), -1),
        features_SK=torch.randn(segments, 50),
        has_features_S=torch.ones(segments, dtype=torch.bool),
        record_S=torch.arange(segments) // 2,
        patient_S=torch.arange(segments) // 4,
        quality_S=torch.rand(segments),
        measures_SF=torch.randn(segments, 150),
    )


@pytest.mark.parametrize("name", [f.name for f in fields(SegmentBatch)])
def test_a_field_with_another_number_of_segments_is_refused_by_name(name: str) -> None:
    batch = make()
    with pytest.raises(ValueError, match=name if name != "signal_SLT" else "SegmentBatch"):
        replace(batch, **{name: getattr(batch, name)[:3]})


def test_signals_of_another_length_are_refused() -> None:
    batch = make()
    with pytest.raises(ValueError, match=r"\[4, 12, 2500\]"):
        replace(batch, signal_SLT=batch.signal_SLT[..., :2499])


def test_intervals_without_both_ends_are_refused() -> None:
    batch = make()
    with pytest.raises(ValueError, match="intervals_SI2"):
        replace(batch, intervals_SI2=batch.intervals_SI2[..., 0])


def test_what_is_optional_may_be_missing() -> None:
    bare = replace(make(), quality_S=None, measures_SF=None)
    assert bare.rows(0, 2).to("cpu").quality_S is None


def test_rows_and_device() -> None:
    batch = make()
    part = batch.rows(2, 4).to("cpu")
    assert len(batch) == 4
    assert len(part) == 2
    assert all(torch.equal(getattr(part, f.name), getattr(batch, f.name)[2:]) for f in fields(SegmentBatch))
