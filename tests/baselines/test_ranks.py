"""Two real processes over gloo against one process with the joined batch, for every method.

The processes run this very file, so that they need neither pytest nor the name under which it imported this module.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from physioclr.baselines.config import MethodConfig
from physioclr.baselines.registry import open_objective
from physioclr.config import ObjectiveConfig
from physioclr.method.batch import SegmentBatch
from tests.small import SMALL

RANKS = 2
CASES: dict[str, dict[str, Any]] = {
    "simclr": {"name": "simclr"},
    "cmsc": {"name": "cmsc"},
    "cmsc, record": {"name": "cmsc", "positives": "record"},
    "3kg": {"name": "3kg"},
    "3kg, segment": {"name": "3kg", "positives": "segment", "residual": "dropped"},
    "masked": {"name": "masked"},
    "w2v": {"name": "w2v-cmsc-rlm", "entries": 6, "distractors": 5, "mask_span": 20, "diversity_weight": 1.0},
}
ALONE = ("masked",)  # nothing is compared across segments: each rank by itself has the same mean


def joined_batch() -> SegmentBatch:
    """8 records; patient 1 has some on both ranks."""
    count = 16
    return SegmentBatch(
        signal_SLT=torch.randn(count, 12, 2500, generator=torch.Generator().manual_seed(0)),
        r_peaks_SR=torch.full((count, 1), -1),
        intervals_SI2=torch.full((count, 1, 2), -1),
        features_SK=torch.zeros(count, 2),
        has_features_S=torch.zeros(count, dtype=torch.bool),
        record_S=torch.arange(count) // 2,
        patient_S=torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4]),
    )


def make(method: dict[str, Any]) -> torch.nn.Module:
    torch.manual_seed(0)
    return open_objective(SMALL, ObjectiveConfig(), TypeAdapter(MethodConfig).validate_python(method))


def train_once(model: torch.nn.Module, batch: SegmentBatch) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(9)
    output = model(batch, generator)
    output.loss.backward()
    gradients = {name.removeprefix("module."): p.grad for name, p in model.named_parameters()}
    return {
        "loss": output.loss.detach(),
        "terms": output.terms,
        "gradients": gradients,
        "buffers": {name.removeprefix("module."): value for name, value in model.named_buffers()},
    }


def rank_main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=RANKS)
    own = joined_batch().rows(8 * rank, 8 * rank + 8)
    results = {name: train_once(DistributedDataParallel(make(method)), own) for name, method in CASES.items()}
    torch.save(results, folder / f"rank{rank}.pt")
    distributed.destroy_process_group()
    os._exit(0)  # gloo's threads may still hold tensors, and abort a process whose interpreter is being taken down


def test_two_processes_equal_one_on_the_joined_batch(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, __file__, str(tmp_path)]
    processes = [subprocess.Popen([*command, str(rank)], env=environment) for rank in range(RANKS)]
    assert [process.wait(timeout=120) for process in processes] == [0] * RANKS
    ranks = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=False) for rank in range(RANKS)]

    torch.set_num_threads(1)
    for name, method in CASES.items():
        one = train_once(make(method), joined_batch())
        losses = torch.stack([rank[name]["loss"] for rank in ranks])
        torch.testing.assert_close(losses.mean(), one["loss"], rtol=1e-5, atol=1e-6, msg=name)
        assert losses[0] != losses[1]  # the ranks really held different work
        for rank in ranks:
            torch.testing.assert_close(rank[name]["terms"], one["terms"], rtol=1e-4, atol=1e-6)
            torch.testing.assert_close(rank[name]["buffers"], one["buffers"])
            for parameter, gradient in one["gradients"].items():
                torch.testing.assert_close(
                    rank[name]["gradients"][parameter], gradient, rtol=2e-3, atol=1e-5, msg=f"{name}: {parameter}"
                )
        if name not in ALONE:
            apart = [train_once(make(method), joined_batch().rows(8 * r, 8 * r + 8))["loss"] for r in range(RANKS)]
            assert (torch.stack(apart).mean() - one["loss"]).abs() > 1e-3, name


if __name__ == "__main__":
    rank_main(int(sys.argv[2]), Path(sys.argv[1]))
