"""The training loop that each Ray Train worker runs, whatever it trains. Which samples come when is the plan's business
(`order.py`); what is trained, on what loss, and what is measured is a subclass's (`pretrain/worker.py`,
`finetune/worker.py`).
"""

from __future__ import annotations

import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import ray.train
import ray.train.torch
import torch
from ray.train import Checkpoint, CheckpointConsistencyMode, CheckpointUploadMode
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from physioclr import storage
from physioclr.errors import RunError
from physioclr.pipeline.training.board import PREEMPTION
from physioclr.pipeline.training.fit import CHECKPOINTS, Start
from physioclr.pipeline.training.memory import keep_freed_memory
from physioclr.pipeline.training.metrics_log import MetricsLog
from physioclr.pipeline.training.notice import Notice
from physioclr.pipeline.training.packing import Grain, unpack
from physioclr.pipeline.training.state import TrainState, make_optimiser


class Loop(ABC):
    """One of the workers, from a checkpoint (or the beginning) to the end of the plan.

    `job` has `config` (with `training`, `optimiser` and `checkpoint`), `run_uri`, `plan`, `threads` and `board`.
    """

    def __init__(self, job: Any) -> None:
        self.job, self.config = job, job.config
        context = ray.train.get_context()
        self.rank, self.world = context.get_world_rank(), context.get_world_size()
        self.device = ray.train.torch.get_device()
        torch.set_num_threads(job.threads)
        if self.device.type == "cpu":
            keep_freed_memory()
        torch.manual_seed(self.config.training.seed)  # the same first weights on every worker
        self.trained = self.build().to(self.device)
        steps = job.plan.epochs * job.plan.steps_per_epoch
        optimiser, schedule = make_optimiser(self.parameters(), self.config.optimiser, steps)
        self.state = TrainState(self.trained, optimiser, schedule, self.config.training.seed)
        self._restore()
        self.model = self._wrapped()
        self.log = MetricsLog(job.run_uri, self.state.step) if self.rank == 0 else None
        self.notice = Notice(self.rank, self.world, self.device)
        self._temporary = tempfile.TemporaryDirectory()  # of a checkpoint until it is uploaded
        self._seconds = {"step_seconds": 0.0, "checkpoint_seconds": 0.0}

    @abstractmethod
    def build(self) -> nn.Module:
        """What is trained, on the CPU."""

    @abstractmethod
    def forward(self, grain: Grain, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a micro-batch by `self.model`, and detached terms over all workers, `loss` among them."""

    @abstractmethod
    def measure(self) -> dict[str, float]:
        """Figures at the end of an epoch; on ranks other than 0 only those that decide how to go on."""

    def parameters(self) -> Any:
        """What the optimiser changes: parameters, or groups of them with learning rates."""
        return self.trained.parameters()

    def begin(self) -> None:  # noqa: B027 - most have nothing to do
        """What is done once before the first step."""

    def ended(self) -> bool:
        """Whether nothing is left to do after this epoch, though the plan goes on; the same on every worker."""
        return False

    def _restore(self) -> None:
        checkpoint = ray.train.get_checkpoint()
        start: Start | None = getattr(self.job, "start", None)
        if checkpoint is not None:
            with checkpoint.as_directory() as folder:
                self.state.load(Path(folder))
        elif start is not None:
            self.state.begin_at(start.uri)

    def _wrapped(self) -> nn.Module:
        model = self.trained
        if self.config.training.compile:
            model.compile()  # in place: the names in the checkpoint stay as they are
        if self.world > 1:
            model = DistributedDataParallel(model, device_ids=[self.device] if self.device.type == "cuda" else None)
        return model

    def run(self) -> None:
        """Train to the end of the plan, measuring and saving at the end of each epoch."""
        plan, checkpoint = self.job.plan, self.config.checkpoint
        # While one is on its way, those steps are lost too that were made before it: twice as often as may be lost.
        between = max(checkpoint.every_steps // 2, 1) if checkpoint.every_steps else None
        if self.log is not None:
            self.log.merge(ray.get(self.job.board.begin.remote(self.state.step, self.state.samples_seen, self.world)))
        self.begin()
        grains = self.grains()
        while self.state.step < plan.epochs * plan.steps_per_epoch and not self.ended():
            started = time.perf_counter()
            terms = self.step(grains)
            seconds = time.perf_counter() - started
            self._seconds["step_seconds"] += seconds
            self._count(terms, seconds)
            notice = self.notice.due()
            if notice and self.log is not None:
                self.job.board.blame.remote(PREEMPTION)
            if self.state.step % plan.steps_per_epoch == 0:
                self.end_epoch()
            elif notice or (between and self.state.step % between == 0):
                at_once = notice or checkpoint.every_steps == 1
                self._save(self.state.means(), waiting=at_once)
                if at_once and self.log is not None:
                    self._until_noted()

    def grains(self) -> Iterator[Grain]:
        """This worker's micro-batches. Each must start where the plan says, or the data went out of order."""
        shard = ray.train.get_dataset_shard("train")
        grain_size = self.job.plan.batch_size // (self.config.training.accumulate * self.world)
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
            grain = next(grains)
            with self._sync_only_if(micro == training.accumulate - 1):
                with self.autocast():
                    loss, terms = self.forward(grain, generator)
                (loss / training.accumulate).backward()  # outside, or what is float32 forward would not be so backward
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value / training.accumulate
        limit = self.config.optimiser.clip_norm
        norm = nn.utils.clip_grad_norm_(self.trained.parameters(), limit if limit is not None else torch.inf)
        self.state.optimiser.step()
        self.state.optimiser.zero_grad(set_to_none=True)
        self.state.schedule.step()
        self.state.step += 1
        self.state.samples_seen += self.job.plan.batch_size
        return {**sums, "gradient_norm": norm.detach()}

    def _seed_step(self) -> None:
        """Dropout differs between workers and steps, and is the same when a step is done again after a restart."""
        torch.manual_seed(_mix(self.config.training.seed, self.state.step, self.rank + 1))

    def _sync_only_if(self, last: bool) -> AbstractContextManager[Any]:
        if isinstance(self.model, DistributedDataParallel) and not last:
            return self.model.no_sync()
        return nullcontext()

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision that `training.precision` asks for."""
        precision = self.config.training.precision
        low = precision == "bfloat16" or (precision == "auto" and self.device.type == "cuda")
        return torch.autocast(self.device.type, dtype=torch.bfloat16) if low else nullcontext()

    def _count(self, terms: dict[str, Tensor], seconds: float) -> None:
        """Add a step to the epoch's sums, and now and then to the log and the driver's progress."""
        values = dict(zip(terms, torch.stack([value.float() for value in terms.values()]).tolist(), strict=True))
        if not np.isfinite([values["loss"], values["gradient_norm"]]).all():  # no weight is a number after this step
            raise RunError(
                f"Training diverged: the loss or its gradient is no number in step {self.state.step:,}; lower "
                "optimiser.learning_rate, and give the run another name."
            )
        self.state.add(values)
        if self.log is None:
            return
        self.job.board.tell.remote(self.state.samples_seen, f"loss {values['loss']:.3f}")
        if self.state.step % self.config.training.log_every_steps == 0:
            rate = self.job.plan.batch_size / seconds
            learning_rate = self.state.schedule.get_last_lr()[0]
            row = {"kind": "step", "step": self.state.step, "samples": self.state.samples_seen, "time": time.time()}
            self.log.add({**row, **values, "learning_rate": learning_rate, "samples_per_second": rate})

    def end_epoch(self) -> None:
        """Measure, and save what there is now."""
        means, figures = self.state.means(), self.measure()
        if self.log is not None:
            epoch = self.state.step // self.job.plan.steps_per_epoch
            row = {"kind": "epoch", "epoch": epoch, "step": self.state.step, "samples": self.state.samples_seen}
            self.log.add({**row, **means, **figures, **self._seconds})
        self._seconds = dict.fromkeys(self._seconds, 0.0)
        self.state.sums, self.state.counts = {}, {}
        self._save({**means, **figures}, waiting=True)
        if self.log is not None:
            self.job.board.add.remote(self.log.last)

    def _save(self, metrics: dict[str, float], waiting: bool) -> None:
        """Upload a checkpoint (from rank 0; all weights are equal) and register it with Ray Train.

        The steps that follow go on meanwhile, unless `waiting`: at the end of an epoch, of which others may hear only
        when they find it in storage, and where the machine will be gone. One at a time: none is begun before the one
        before is in storage and noted by Ray Train, so neither disk nor log can overtake.
        """
        started = time.perf_counter()
        facts = {"step": self.state.step, "samples_seen": self.state.samples_seen}
        metric, better = self.config.checkpoint.metric, self.config.checkpoint.mode
        # Not infinite: Ray Train keeps scores as JSON, where infinity becomes null, and cannot restore those.
        worst = sys.float_info.max if better == "min" else -sys.float_info.max
        score = metrics.get(metric, worst)
        reported = {**facts, metric: score if np.isfinite(score) else worst}
        mode = CheckpointUploadMode.SYNC if waiting else CheckpointUploadMode.ASYNC
        if self.rank:
            ray.train.report(reported, checkpoint_upload_mode=mode)
            return
        assert self.log is not None
        self._until_noted()
        write_log, storing = self.log.writing(), ray.train.get_context().get_storage()

        def upload(checkpoint: Checkpoint, name: str) -> Checkpoint:
            with self._readable():
                write_log()  # first: a run that goes on from a checkpoint has all rows up to it
                stored: Checkpoint = storing.persist_current_checkpoint(checkpoint, name)
                storage.check_arrived(Path(checkpoint.path), storage.join(self.job.run_uri, CHECKPOINTS, name))
            return stored

        name = f"step-{self.state.step:08d}"
        folder = Path(self._temporary.name, name)
        folder.mkdir()
        with self.notice.saving():
            self.state.save(folder, self.config.model_dump(mode="json"))
            ray.train.report(
                reported,
                checkpoint=Checkpoint.from_directory(folder),
                checkpoint_dir_name=name,
                checkpoint_upload_mode=mode,
                checkpoint_upload_fn=upload,
                delete_local_checkpoint_after_upload=True,
            )
        self._seconds["checkpoint_seconds"] += time.perf_counter() - started

    @staticmethod
    def _until_noted() -> None:
        """Wait until what was reported is what Ray Train would go on from. An upload that fails ends the worker."""
        ray.train.get_all_reported_checkpoints(consistency_mode=CheckpointConsistencyMode.COMMITTED)

    def _readable(self) -> AbstractContextManager[None]:
        return storage.readable_errors(storage.join(self.job.run_uri, CHECKPOINTS), "Writing a checkpoint to")


def _mix(seed: int, step: int, stream: int) -> int:
    """One 63-bit seed out of three numbers, such that neighbouring steps and workers have nothing in common."""
    return int(np.random.SeedSequence([seed, step, stream]).generate_state(1, np.uint64)[0] >> 1)
