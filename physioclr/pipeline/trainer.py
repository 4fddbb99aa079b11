"""The training loop that each Ray Train worker runs. Which samples come when is the plan's business (`order.py`)."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray.train
import ray.train.torch
import torch
from ray.train import Checkpoint
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from physioclr.config import PretrainConfig
from physioclr.method.objective import ObjectiveOutput, PhysioCLR
from physioclr.pipeline.batches import reducer_tensors, to_segments
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.metrics_log import MetricsLog, read_metrics
from physioclr.pipeline.monitor import Monitor
from physioclr.pipeline.order import Plan
from physioclr.pipeline.packing import Grain, unpack
from physioclr.pipeline.state import TrainState, make_optimiser

UNTRAINED = "untrained"  # kind of the metrics row that holds the figures before the first step


@dataclass(frozen=True)
class Job:
    """What every worker is told."""

    config: PretrainConfig
    run_uri: str
    dataset: PreparedDataset
    plan: Plan
    threads: int
    board: Any


def train_worker(settings: dict[str, Any]) -> None:
    """Entry point of a Ray Train worker; `settings["job"]` is a `Job`."""
    Worker(settings["job"]).run()


class Worker:
    """One of the workers, from a checkpoint (or the beginning) to the end of the plan."""

    def __init__(self, job: Job) -> None:
        self.job, self.config = job, job.config
        context = ray.train.get_context()
        self.rank, self.world = context.get_world_rank(), context.get_world_size()
        self.device = ray.train.torch.get_device()
        torch.set_num_threads(job.threads)
        torch.manual_seed(self.config.training.seed)  # the same first weights on every worker
        self.objective = PhysioCLR(self.config.model, self.config.objective).to(self.device)
        steps = job.plan.epochs * job.plan.steps_per_epoch
        optimiser, schedule = make_optimiser(self.objective, self.config.optimiser, steps)
        self.state = TrainState(self.objective, optimiser, schedule, self.config.training.seed)
        self._restore()
        self.model = self._wrapped()
        self.reducer = reducer_tensors(job.dataset.reducer.tensors(), self.device)
        self.monitor = Monitor(job.dataset, self.config, self.reducer, self.rank, self.world)
        self.log = MetricsLog(job.run_uri, self.state.step) if self.rank == 0 else None
        self.untrained: dict[str, float] = {}

    def _restore(self) -> None:
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is not None:
            with checkpoint.as_directory() as folder:
                self.state.load(Path(folder))

    def _wrapped(self) -> nn.Module:
        model: nn.Module = self.objective
        if self.config.training.compile:
            model.compile()  # in place: the names in the checkpoint stay as they are
        if self.world > 1:
            model = DistributedDataParallel(model, device_ids=[self.device] if self.device.type == "cuda" else None)
        return model

    def run(self) -> None:
        """Train to the end of the plan, measuring and saving at the end of each epoch."""
        plan, checkpoint = self.job.plan, self.config.checkpoint
        self._measure_untrained()
        grains = self.grains()
        while self.state.step < plan.epochs * plan.steps_per_epoch:
            started = time.perf_counter()
            terms = self.step(grains)
            self._count(terms, time.perf_counter() - started)
            if self.state.step % plan.steps_per_epoch == 0:
                self._end_epoch()
            elif checkpoint.every_steps and self.state.step % checkpoint.every_steps == 0:
                self._save(self.state.means())

    def grains(self) -> Iterator[Grain]:
        """This worker's micro-batches. Each must start where the plan says, or the data went out of order."""
        shard = ray.train.get_dataset_shard("train")
        grain_size = self.config.training.batch_size // (self.config.training.accumulate * self.world)
        expected = self.state.samples_seen + self.rank * grain_size
        for batch in shard.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=2):
            grain = unpack(batch)
            if grain.position[0] != expected or len(grain.position) != grain_size:
                raise RuntimeError(f"sample {grain.position[0]} came where {expected} was due: blocks out of order")
            yield grain
            expected += grain_size * self.world

    def step(self, grains: Iterator[Grain]) -> dict[str, Tensor]:
        """One optimiser step over all workers; returns its terms, averaged over the micro-batches."""
        training = self.config.training
        self._seed_step()
        generator = torch.Generator().manual_seed(_mix(training.seed, self.state.step, 0))
        sums: dict[str, Tensor] = {}
        for micro in range(training.accumulate):
            batch = to_segments(next(grains), self.reducer, self.device)
            with self._sync_only_if(micro == training.accumulate - 1), self._autocast():
                output: ObjectiveOutput = self.model(batch, generator)
                (output.loss / training.accumulate).backward()
            for name, value in output.terms.items():
                sums[name] = sums.get(name, 0.0) + value / training.accumulate
        limit = self.config.optimiser.clip_norm
        norm = nn.utils.clip_grad_norm_(self.objective.parameters(), limit if limit is not None else torch.inf)
        self.state.optimiser.step()
        self.state.optimiser.zero_grad(set_to_none=True)
        self.state.schedule.step()
        self.state.step += 1
        self.state.samples_seen += training.batch_size
        return {**sums, "gradient_norm": norm.detach()}

    def _seed_step(self) -> None:
        """Dropout differs between workers and steps, and is the same when a step is done again after a restart."""
        torch.manual_seed(_mix(self.config.training.seed, self.state.step, self.rank + 1))

    def _sync_only_if(self, last: bool) -> AbstractContextManager[Any]:
        if isinstance(self.model, DistributedDataParallel) and not last:
            return self.model.no_sync()
        return nullcontext()

    def _autocast(self) -> AbstractContextManager[Any]:
        precision = self.config.training.precision
        low = precision == "bfloat16" or (precision == "auto" and self.device.type == "cuda")
        return torch.autocast(self.device.type, dtype=torch.bfloat16) if low else nullcontext()

    def _count(self, terms: dict[str, Tensor], seconds: float) -> None:
        """Add a step to the epoch's sums, and now and then to the log and the driver's progress."""
        values = dict(zip(terms, torch.stack([value.float() for value in terms.values()]).tolist(), strict=True))
        self.state.add(values)
        if self.log is None:
            return
        self.job.board.tell.remote(self.state.samples_seen, f"loss {values['loss']:.3f}")
        if self.state.step % self.config.training.log_every_steps == 0:
            rate = self.config.training.batch_size / seconds
            learning_rate = self.state.schedule.get_last_lr()[0]
            row = {"kind": "step", "step": self.state.step, "samples": self.state.samples_seen, **values}
            self.log.add({**row, "learning_rate": learning_rate, "samples_per_second": rate})

    def _measure_untrained(self) -> None:
        """The figures of the untrained encoder, to compare with: measured once, and found again in the log."""
        earlier = [row for row in read_metrics(self.job.run_uri) if row["kind"] == UNTRAINED]
        if self.state.step and earlier:
            self.untrained = earlier[0]
        elif self.state.step == 0:
            figures = self.monitor.measure(self.objective.encoder, self.device)
            self.untrained = figures
            if self.log is not None:
                self.log.add({"kind": UNTRAINED, "step": 0, "epoch": 0, **figures})

    def _end_epoch(self) -> None:
        plan = self.job.plan
        means = self.state.means()
        figures = self.monitor.measure(self.objective.encoder, self.device)
        if self.log is not None:
            if "probe_auroc" in figures:
                figures["probe_auroc_random"] = self.untrained.get("probe_auroc", float("nan"))
            epoch = self.state.step // plan.steps_per_epoch
            row = {"kind": "epoch", "epoch": epoch, "step": self.state.step, "samples": self.state.samples_seen}
            self.log.add({**row, **means, **figures})
        self.state.sums, self.state.counts = {}, {}
        self._save({**means, **figures})

    def _save(self, metrics: dict[str, float]) -> None:
        """Upload a checkpoint (from rank 0; all weights are equal) and register it with Ray Train."""
        facts = {"step": self.state.step, "samples_seen": self.state.samples_seen}
        metric, mode = self.config.checkpoint.metric, self.config.checkpoint.mode
        worst = np.inf if mode == "min" else -np.inf
        score = metrics.get(metric, worst)
        reported = {**facts, metric: score if np.isfinite(score) else worst}
        if self.rank:
            ray.train.report(reported)
            return
        assert self.log is not None
        self.log.flush()
        with tempfile.TemporaryDirectory() as folder:
            self.state.save(Path(folder), self.config.model_dump(mode="json"))
            name = f"step-{self.state.step:08d}"
            ray.train.report(reported, checkpoint=Checkpoint.from_directory(folder), checkpoint_dir_name=name)


def _mix(seed: int, step: int, stream: int) -> int:
    """One 63-bit seed out of three numbers, such that neighbouring steps and workers have nothing in common."""
    return int(np.random.SeedSequence([seed, step, stream]).generate_state(1, np.uint64)[0] >> 1)
