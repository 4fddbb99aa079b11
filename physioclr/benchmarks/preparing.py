"""The rate at which recordings become a prepared dataset, with so many workers."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.table import Table

from physioclr import storage
from physioclr.config import FeatureConfig, PrepareConfig, SourceConfig
from physioclr.pipeline.prepare import job as prepare

MEGABYTE = 1_000_000


def measure_preparing(
    uri: str, sources: tuple[SourceConfig, ...], features: FeatureConfig, workers: int, console: Console
) -> dict[str, Any]:
    """Prepare everything, anew, to `uri`. The rate leaves out each worker's first unit: its imports."""
    storage.remove(uri)
    settings = PrepareConfig(uri=uri, sources=sources, features=features, workers=workers)
    started = time.perf_counter()
    plan = prepare.plan_recordings(settings, console)
    done: list[tuple[float, int]] = []
    peaks: dict[int, int] = {}
    for counts in prepare.unit_counts(settings, prepare.units_to_do(settings, plan)):
        done.append((time.perf_counter(), int(counts["recordings"])))
        peaks[int(counts["worker"])] = int(counts["peak_bytes"])
    steady = done[workers:]
    seconds = done[-1][0] - done[workers - 1][0]
    prepare.prepare(settings, console)
    return {
        "recordings": sum(plan.values()),
        "recordings_per_second": round(sum(count for _, count in steady) / seconds, 2),
        "seconds_with_start": round(time.perf_counter() - started, 1),
        "peak_megabytes_of_each_worker": sorted(round(peak / MEGABYTE) for peak in peaks.values()),
    }


def preparing_table(figures: dict[int, dict[str, Any]]) -> Table:
    """A row a number of workers; ratios are to the first row."""
    base = next(iter(figures.values()))["recordings_per_second"]
    table = Table(title=f"Preparing {next(iter(figures.values()))['recordings']} recordings", title_justify="left")
    for column in ("workers", "recordings/s", "ratio", "seconds with start", "peak MB of each worker"):
        table.add_column(column)
    for count, of_count in figures.items():
        rate = of_count["recordings_per_second"]
        peaks = ", ".join(str(peak) for peak in of_count["peak_megabytes_of_each_worker"])
        table.add_row(str(count), f"{rate:.2f}", f"{rate / base:.2f}", str(of_count["seconds_with_start"]), peaks)
    return table
