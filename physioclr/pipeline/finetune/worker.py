"""Fine-tuning on a Ray Train worker: the classifier, its loss, and the validation scores that all workers share."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from physioclr import storage
from physioclr.classifier import load_classifier
from physioclr.config import ModelConfig
from physioclr.downstream import FinetuneConfig
from physioclr.encoder import load_encoder
from physioclr.errors import RunError
from physioclr.evaluation.metrics import auroc, record_mean
from physioclr.method.classifier import Classifier
from physioclr.method.encoder import Encoder
from physioclr.method.views import decode
from physioclr.pipeline.finetune.augment import augmented
from physioclr.pipeline.selection import Selection
from physioclr.pipeline.training.batches import segments_of, to_device
from physioclr.pipeline.training.loop import Loop
from physioclr.pipeline.training.order import Plan
from physioclr.pipeline.training.packing import Grain, signals_of

ROWS_AT_ONCE = 64
LATER = 1e-9  # what an epoch costs: of epochs that are equally good the first is best


@dataclass(frozen=True)
class Judged:
    """Validation rows: outcomes bool [n, C] and the recording of each, int [n]."""

    selection: Selection
    y: NDArray[np.bool_]
    record: NDArray[np.int64]


@dataclass(frozen=True)
class FinetuneJob:
    """What every worker is told. `outcomes` bool [n, C] are those of the n training rows."""

    config: FinetuneConfig
    run_uri: str
    model: ModelConfig
    classes: tuple[str, ...]
    outcomes: NDArray[np.bool_]
    positive_weight: Tensor
    validation: Judged
    plan: Plan
    threads: int
    board: Any


def finetune_worker(settings: dict[str, Any]) -> None:
    """Entry point of a Ray Train worker; `settings["job"]` is a `FinetuneJob`."""
    FinetuneWorker(settings["job"]).run()


def beginning(run_uri: str) -> str:
    """Where the classifier is that training begins as, if it is not one with a random head."""
    return storage.join(run_uri, "probe")


def new_classifier(config: FinetuneConfig, run_uri: str, model: ModelConfig, positive_weight: Tensor) -> Classifier:
    """The classifier before its first step, on the CPU."""
    if config.mode == "scratch" or config.encoder is None:
        network = Encoder(model)
    else:
        network = load_encoder(config.encoder, device="cpu").network
    classifier = Classifier(network, len(positive_weight), config.dropout, positive_weight, config.token_pool)
    if config.begins_as_probe:
        probe = load_classifier(beginning(run_uri), device="cpu")
        classifier.set_head(probe.weight, probe.bias)
    return classifier


class FinetuneWorker(Loop):
    """One of the workers that fine-tune."""

    classifier: Classifier

    def build(self) -> nn.Module:
        """Encoder and head; what the mode does not train is frozen."""
        self.classifier = new_classifier(self.config, self.job.run_uri, self.job.model, self.job.positive_weight)
        self._groups = self.classifier.trainable(self.config.mode, self.config.optimiser.layer_decay)
        return self.classifier.train()

    def parameters(self) -> list[dict[str, Any]]:
        """Groups from the head down; the schedule is that of the head."""
        rate = self.config.optimiser.learning_rate
        return [{"params": list(group.parameters), "lr": rate * group.scale} for group in self._groups]

    def begin(self) -> None:
        """A probe is judged before it is trained: if no epoch is better it is what remains."""
        if self.config.begins_as_probe and not self.state.history:
            self.end_epoch()

    def forward(self, grain: Grain, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted cross-entropy of both halves of the micro-batch's recordings."""
        outcomes = np.repeat(self.job.outcomes[grain.record], 2, axis=0).astype(np.float32)
        signal_NLT = decode(to_device(grain.signal, self.device))
        logits_SC = self.model(augmented(signal_NLT, self.config.augment, generator))
        loss = self.classifier.loss(logits_SC.float(), torch.from_numpy(outcomes).to(self.device))
        total = loss.detach().clone()
        if self.world > 1:
            dist.all_reduce(total)
        return loss, {"loss": total / self.world}

    def measure(self) -> dict[str, float]:
        """Macro-AUROC of the validation recordings and their loss, the same on every worker, which all decide by it."""
        self.classifier.eval()
        parts: list[NDArray[np.float32]] = [self._my_logits()]
        self.classifier.train()
        if self.world > 1:
            mine = parts[0]
            parts = [mine] * self.world
            dist.all_gather_object(parts, mine)
        judged = self.job.validation
        figures = judge(self.classifier, np.concatenate(parts), judged, self.job.classes)
        self.state.history.append(figures["judged_by"])
        figures["judged_by"] -= LATER * len(self.state.history)
        return figures

    @torch.inference_mode()
    def _my_logits(self) -> NDArray[np.float32]:
        """Logits [m, 2, C] of this worker's share of the validation rows, read while the last ones are scored."""
        share = np.array_split(np.arange(len(self.job.validation.selection)), self.world)[self.rank]
        parts = [np.empty((0, 2, len(self.job.classes)), dtype=np.float32)]
        for signal in _signals(self.job.validation.selection, share):
            logits = self.classifier(segments_of(signal, self.device)).float().cpu().numpy()
            parts.append(logits.reshape(len(signal), 2, -1))
        return np.concatenate(parts)

    def ended(self) -> bool:
        """Whether `training.patience` epochs brought nothing better."""
        patience, history = self.config.training.patience, self.state.history
        return patience is not None and bool(history) and len(history) - 1 - int(np.argmax(history)) >= patience


def judge(
    classifier: Classifier, logits: NDArray[np.float32], judged: Judged, classes: tuple[str, ...]
) -> dict[str, float]:
    """Figures of logits [n, 2, C]. `judged_by` is the macro-AUROC of recordings, or the loss below 0 where no class has
    both outcomes. Raises `RunError` where training has left the numbers.
    """
    if not np.isfinite(logits).all():
        raise RunError("Training diverged: validation scores are not numbers; lower optimiser.learning_rate.")
    flat = torch.from_numpy(logits.reshape(-1, logits.shape[-1])).to(classifier.positive_weight.device)
    outcomes = torch.from_numpy(np.repeat(judged.y, 2, axis=0).astype(np.float32)).to(flat.device)
    loss = float(classifier.loss(flat, outcomes))
    first, scores = record_mean(classifier.scores(flat).cpu().numpy(), np.repeat(judged.record, 2))
    found = auroc(judged.y[first // 2], scores, classes)
    return {
        "validation_loss": loss,
        "validation_auroc": found.macro,
        "validation_classes": float(found.counted),
        "judged_by": found.macro if found.counted else -loss,
    }


def _signals(selection: Selection, rows: NDArray[np.int64]) -> Iterator[NDArray[np.int16]]:
    """Signals int16 [up to ROWS_AT_ONCE, 12, 5000] of the rows, the next ones being read meanwhile."""
    chunks = [rows[start : start + ROWS_AT_ONCE] for start in range(0, len(rows), ROWS_AT_ONCE)]

    def read(chunk: NDArray[np.int64]) -> NDArray[np.int16]:
        return signals_of(selection.take(chunk, ("signal",)))

    with ThreadPoolExecutor(1) as reader:
        waiting = [reader.submit(read, chunk) for chunk in chunks[:1]]
        for index in range(len(chunks)):
            signal = waiting.pop().result()
            waiting += [reader.submit(read, chunk) for chunk in chunks[index + 1 : index + 2]]
            yield signal
