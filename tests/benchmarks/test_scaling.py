"""The rate of a run from its own record."""

from __future__ import annotations

from physioclr.benchmarks.scaling import rate_of


def test_the_rate_leaves_out_warming_up() -> None:
    slow = [{"kind": "step", "samples": 8 * step, "time": 100.0 * step} for step in (1, 2)]
    steady = [{"kind": "step", "samples": 8 * step, "time": 300.0 + 2 * step} for step in range(3, 11)]
    assert rate_of([*slow, {"kind": "epoch", "samples": 80, "time": 0.0}, *steady]) == 4.0
