"""Pretraining on a Ray Train worker: the objective, and what is measured of its encoder (its loop: `training/`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from physioclr.baselines.registry import Objective, open_objective
from physioclr.config import PretrainConfig
from physioclr.method.objective import ObjectiveOutput
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.pretrain.monitor import Monitor
from physioclr.pipeline.pretrain.pairing import Pairing
from physioclr.pipeline.training.batches import reducer_tensors, to_segments
from physioclr.pipeline.training.fit import Start
from physioclr.pipeline.training.loop import Loop
from physioclr.pipeline.training.metrics_log import read_metrics
from physioclr.pipeline.training.order import Plan
from physioclr.pipeline.training.packing import Grain

UNTRAINED = "untrained"  # kind of the metrics row that holds the figures before the first step


@dataclass(frozen=True)
class Job:
    """What every worker is told."""

    config: PretrainConfig
    run_uri: str
    dataset: PreparedDataset
    pairing: Pairing
    plan: Plan
    threads: int
    board: Any
    start: Start | None = None


def train_worker(settings: dict[str, Any]) -> None:
    """Entry point of a Ray Train worker; `settings["job"]` is a `Job`."""
    Worker(settings["job"]).run()


class Worker(Loop):
    """One of the workers that pretrain."""

    objective: Objective

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.reducer = reducer_tensors(job.pairing.tensors(), self.device)
        self.monitor = Monitor(job.dataset, self.config, self.reducer, self.rank, self.world)
        self.untrained: dict[str, float] = {}

    def build(self) -> nn.Module:
        """The objective with its encoder."""
        self.objective = open_objective(self.config.model, self.config.objective, self.config.method)
        return self.objective

    def forward(self, grain: Grain, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective of a micro-batch, with pairs over all workers."""
        output: ObjectiveOutput = self.model(to_segments(grain, self.reducer, self.device), generator)
        return output.loss, output.terms

    def begin(self) -> None:
        """The figures of the untrained encoder, to compare with: measured once, and found again in the log."""
        earlier = [row for row in read_metrics(self.job.run_uri) if row["kind"] == UNTRAINED]
        if self.state.step and earlier:
            self.untrained = earlier[0]
        elif self.state.step == 0:
            figures = self.monitor.measure(self.objective.encoder, self.device)
            self.untrained = figures
            if self.log is not None:
                self.log.add({"kind": UNTRAINED, "step": 0, "epoch": 0, **figures})

    def measure(self) -> dict[str, float]:
        """The monitor's figures, on rank 0."""
        figures = self.monitor.measure(self.objective.encoder, self.device)
        if "probe_auroc" in figures:
            figures["probe_auroc_random"] = self.untrained.get("probe_auroc", float("nan"))
        return figures
