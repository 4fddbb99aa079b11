"""The arithmetic of a pretraining step, counted and not timed: what a machine's speed is divided by."""

from __future__ import annotations

from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from physioclr.baselines.registry import open_objective
from physioclr.benchmarks.config import FlopsBenchmark
from physioclr.config import ModelConfig, ModelSize
from physioclr.ecg.record import SEGMENT_SAMPLES
from physioclr.method.batch import LEAD_COUNT, SegmentBatch

RECORDINGS = 2  # of which the convolutions and the transformer do the same whatever their number
R_PEAKS = torch.arange(200, 2400, 450)  # five beats
GIGA = 1e9


def flops_benchmark(config: FlopsBenchmark, console: Console) -> dict[str, Any]:
    """Print the table and return its figures, by size."""
    figures: dict[str, Any] = {size: flops_of(config, size) for size in config.sizes}
    table = Table("size", "parameters", "GFLOP a recording", title="A step of pretraining, forward and backward")
    for size, found in figures.items():
        table.add_row(size, f"{found['parameters']:,}", f"{found['gflop_a_recording']:,}")
    console.print(table)
    return figures


def flops_of(config: FlopsBenchmark, size: ModelSize) -> dict[str, Any]:
    """Of one size: parameters that are trained, and floating-point operations a recording; a multiply-add is two."""
    model = open_objective(ModelConfig(size=size), config.objective, config.method)
    with FlopCounterMode(display=False) as counter:
        model(_batch(), torch.Generator().manual_seed(0)).loss.backward()
    return {
        "parameters": sum(one.numel() for one in model.parameters()),
        "gflop_a_recording": round(counter.get_total_flops() / RECORDINGS / GIGA, 2),
    }


def _batch() -> SegmentBatch:
    """Noise with beats in it: what is computed does not depend on what is measured."""
    segments = 2 * RECORDINGS
    r_peaks = R_PEAKS.repeat(segments, 1)
    return SegmentBatch(
        signal_SLT=torch.randn(segments, LEAD_COUNT, SEGMENT_SAMPLES),
        r_peaks_SR=r_peaks,
        intervals_SI2=torch.stack((r_peaks - 30, r_peaks + 30), dim=-1),
        features_SK=torch.randn(segments, 50),
        has_features_S=torch.ones(segments, dtype=torch.bool),
        record_S=torch.arange(segments) // 2,
        patient_S=torch.arange(segments) // 2,
    )
