"""Two real processes over gloo against one process with the joined batch.

The processes run this very file, so that they need neither pytest nor the name under which it imported this module.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from physioclr.config import ObjectiveConfig
from physioclr.features.columns import COLUMNS
from physioclr.method.batch import SegmentBatch
from physioclr.method.gather import World, gather, reduce_sum, world
from physioclr.method.objective import PhysioCLR
from tests.small import SMALL

RANKS = 2
CASES: dict[str, dict[str, Any]] = {
    "supcon": {"form": "supcon"},
    "released": {"form": "released"},
    "patient": {"form": "supcon", "patient_positives": "patient", "delta": 0.0},
    "no views": {"form": "released", "shuffle_positives": False},
    "quantile": {"choose": "quantile", "quantile": 0.6},
    "nearest": {"choose": "nearest", "nearest": 3},
    "soft and sure": {"choose": "soft", "softness": 0.3, "confidence": True, "form": "released"},
    "learned": {"similarity": "learned", "metric_width": 5, "choose": "quantile", "quantile": 0.5},
    "peak only": {"form": "supcon", "global_weight": 0.0, "peak_weight": 1.0},
}
EMPTY = "no pair anywhere"
CASES[EMPTY] = {"shuffle_positives": False, "patient_positives": "none", "feature_positives": False}


def joined_batch() -> SegmentBatch:
    """8 records. The first rank's half lacks features, intervals and R peaks here and there, the second's hardly.

    Patient 1 has records on both ranks, and the second rank's segments have more R peaks.
    """
    generator = torch.Generator().manual_seed(0)
    count = 16
    r_peaks = torch.arange(60, 2400, 300).expand(count, -1).clone()
    r_peaks[:8, 5:] = -1
    intervals = torch.stack((r_peaks - 20, r_peaks + 40), dim=-1).masked_fill((r_peaks < 0)[..., None], -1)
    has_features = torch.ones(count, dtype=torch.bool)
    has_features[[0, 1, 2, 3, 5, 12]] = False
    intervals[[0, 1, 2, 3, 4, 9]] = -1
    r_peaks[[0, 1, 2]] = -1
    r_peaks[6, 2:] = -1
    return SegmentBatch(
        signal_SLT=torch.randn(count, 12, 2500, generator=generator),
        r_peaks_SR=r_peaks,
        intervals_SI2=intervals,
        features_SK=torch.randn(count, 4, generator=generator),
        has_features_S=has_features,
        record_S=torch.arange(count) // 2,
        patient_S=torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 3, 3, 4, 4]),
        quality_S=torch.rand(count, generator=generator),
        measures_SF=torch.randn(count, len(COLUMNS), generator=generator),
    )


def make(objective: dict[str, Any]) -> PhysioCLR:
    torch.manual_seed(0)
    return PhysioCLR(SMALL, ObjectiveConfig(**objective))


def train_once(model: torch.nn.Module, batch: SegmentBatch) -> dict[str, Any]:
    output = model(batch, torch.Generator().manual_seed(9))
    output.loss.backward()
    gradients = {name.removeprefix("module."): p.grad for name, p in model.named_parameters()}
    return {"loss": output.loss.detach(), "terms": output.terms, "gradients": gradients}


def rank_main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=RANKS)
    whole = joined_batch()
    half = len(whole) // RANKS
    own = whole.rows(rank * half, (rank + 1) * half)
    if rank == 0:  # padded to its own longest segment, as a rank's batch is
        values = {f.name: getattr(own, f.name) for f in fields(own)}
        own = SegmentBatch(**values | {"r_peaks_SR": own.r_peaks_SR[:, :5], "intervals_SI2": own.intervals_SI2[:, :5]})
    results: dict[str, Any] = {
        name: train_once(DistributedDataParallel(make(objective)), own) for name, objective in CASES.items()
    }
    mine = torch.full((2, 3), float(rank + 1), requires_grad=True)
    everyone = gather(mine)
    (everyone * torch.arange(12.0).reshape(4, 3) * (rank + 1)).sum().backward()
    results["gather"] = (world(), everyone.detach(), mine.grad, reduce_sum(torch.tensor([rank + 1.0, 10.0])))
    torch.save(results, folder / f"rank{rank}.pt")
    distributed.destroy_process_group()
    os._exit(0)  # gloo's threads may still hold tensors, and abort a process whose interpreter is being taken down


def test_without_ranks_everything_is_the_identity() -> None:
    rows = torch.randn(3, 2, requires_grad=True)
    assert world() == World(0, 1)
    assert gather(rows) is rows
    assert torch.equal(reduce_sum(rows), rows)
    assert not reduce_sum(rows).requires_grad


def test_two_processes_equal_one_on_the_joined_batch(tmp_path: Path) -> None:
    """Pairs made on each GPU apart, as in the authors' release, give another loss and other gradients."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, __file__, str(tmp_path)]
    processes = [subprocess.Popen([*command, str(rank)], env=environment) for rank in range(RANKS)]
    assert [process.wait(timeout=120) for process in processes] == [0] * RANKS
    ranks = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=False) for rank in range(RANKS)]

    torch.set_num_threads(1)
    for name, objective in CASES.items():
        one = train_once(make(objective), joined_batch())
        losses = torch.stack([rank[name]["loss"] for rank in ranks])
        torch.testing.assert_close(losses.mean(), one["loss"], rtol=1e-5, atol=1e-6)
        for rank in ranks:
            torch.testing.assert_close(rank[name]["terms"], one["terms"], rtol=1e-4, atol=1e-6, equal_nan=True)
            for parameter, gradient in one["gradients"].items():
                torch.testing.assert_close(
                    rank[name]["gradients"][parameter], gradient, rtol=2e-3, atol=1e-5, msg=f"{name}: {parameter}"
                )
        if name != EMPTY:
            assert losses[0] != losses[1]  # the ranks really held different work
            apart = [train_once(make(objective), joined_batch().rows(8 * r, 8 * r + 8))["loss"] for r in range(RANKS)]
            assert (torch.stack(apart).mean() - one["loss"]).abs() > 1e-3

    for rank, (place, everyone, gradient, total) in enumerate(r["gather"] for r in ranks):
        assert place == World(rank, RANKS)
        assert everyone[:, 0].tolist() == [1, 1, 2, 2]
        # Rank 0 weighs row by row 0 .. 11, rank 1 twice that: the sum of both comes back to who made the row.
        assert torch.equal(gradient, 3 * torch.arange(12.0).reshape(4, 3)[2 * rank : 2 * rank + 2])
        assert total.tolist() == [3, 20]


if __name__ == "__main__":
    rank_main(int(sys.argv[2]), Path(sys.argv[1]))
