"""Arithmetic that is counted, beside what can be reckoned by hand."""

from __future__ import annotations

from physioclr.benchmarks.config import FlopsBenchmark
from physioclr.benchmarks.flops import flops_of
from physioclr.config import ObjectiveConfig


def test_a_shuffled_view_is_encoded_too() -> None:
    with_views, without = (
        flops_of(FlopsBenchmark(objective=ObjectiveConfig(shuffle_positives=shuffled)), "tiny")
        for shuffled in (True, False)
    )
    assert with_views["parameters"] == without["parameters"]
    # twice as many segments through the encoder; the decoder sees the originals only
    assert 1.7 < with_views["gflop_a_recording"] / without["gflop_a_recording"] < 2.0
