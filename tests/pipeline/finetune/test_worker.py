"""What a fine-tuning worker computes of a micro-batch and of validation, without Ray Train around it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from physioclr.config import ModelConfig
from physioclr.downstream import FinetuneAugment, FinetuneConfig
from physioclr.errors import RunError
from physioclr.evaluation.metrics import auroc, record_mean
from physioclr.method.classifier import Classifier
from physioclr.method.encoder import Encoder
from physioclr.method.views import decode, halves
from physioclr.pipeline.dataset import PreparedDataset
from physioclr.pipeline.finetune.fit import make_plan
from physioclr.pipeline.finetune.labelled import Labelled, read_labelled
from physioclr.pipeline.finetune.worker import FinetuneWorker, Judged, judge
from physioclr.pipeline.training.feed import ReadSpan
from physioclr.pipeline.training.packing import unpack

MODEL = ModelConfig(width=16, depth=1, heads=2, feedforward=32, conv_channels=8, position_groups=4, position_kernel=16)
CONFIG = FinetuneConfig.model_validate(
    {
        "task": "own",
        "own": {"minimum": 6},
        "label_fraction": 0.5,
        "training": {"batch_size": 6, "patience": 2, "mix_row_groups": 2},
    }
)


@pytest.fixture(scope="module")
def data(demo_dataset: PreparedDataset) -> Labelled:
    return read_labelled(CONFIG, demo_dataset)


def worker(data: Labelled, rank: int = 0, world: int = 1) -> FinetuneWorker:
    torch.manual_seed(0)
    weight = torch.linspace(1.0, 3.0, len(data.task.classes))
    classifier = Classifier(Encoder(MODEL), len(data.task.classes), 0.0, weight)
    check = data.split.validation
    one = object.__new__(FinetuneWorker)
    one.classifier = one.model = classifier.eval()
    one.config, one.rank, one.world, one.device = CONFIG, rank, world, torch.device("cpu")
    one.state = SimpleNamespace(history=[])  # type: ignore[assignment]
    one.job = SimpleNamespace(
        outcomes=data.y[data.split.train],
        classes=data.task.classes,
        validation=Judged(data.selection(check), data.y[check], data.record(check)),
    )
    return one


def test_each_recording_is_trained_on_its_own_outcomes(data: Labelled) -> None:
    one, plan = worker(data), make_plan(CONFIG, data)
    read = ReadSpan(data.selection(data.split.train), plan, 6)
    grain = next(unpack(table) for table in read({"start": np.array([0]), "stop": np.array([6])}))
    loss, terms = one.forward(grain, torch.Generator())

    rows = data.split.train[plan.rows(0, 6)]
    table = data.selection(np.sort(rows)).take(np.argsort(np.argsort(rows)), ("signal", "labels", "statements"))
    expected = []
    for row in table.to_pylist():
        found = data.task.find(row["labels"], row["statements"]) or set()
        y = torch.tensor([float(name in found) for name in data.task.classes])
        stored = np.frombuffer(row["signal"], "<i2").reshape(1, 12, 5000).copy()
        for segment in halves(decode(torch.from_numpy(stored))):
            logits = one.classifier(segment[None])[0]
            weight = one.classifier.positive_weight
            expected.append(functional.binary_cross_entropy_with_logits(logits, y, pos_weight=weight))
    assert float(loss.detach()) == pytest.approx(float(torch.stack(expected).mean()), rel=1e-5)
    assert float(terms["loss"]) == float(loss.detach())
    assert len({tuple(row) for row in data.y[rows].tolist()}) > 1, "or any order of outcomes would do"


def test_what_is_trained_on_is_augmented_and_validation_is_not(data: Labelled) -> None:
    one, plan = worker(data), make_plan(CONFIG, data)
    read = ReadSpan(data.selection(data.split.train), plan, 6)
    grain = next(unpack(table) for table in read({"start": np.array([0]), "stop": np.array([6])}))
    plain, logits = one.forward(grain, torch.Generator().manual_seed(0))[0], one._my_logits()
    one.config = CONFIG.model_copy(update={"augment": FinetuneAugment(crops=True)})
    cropped = [float(one.forward(grain, torch.Generator().manual_seed(seed))[0].detach()) for seed in (0, 0, 1)]
    assert cropped[0] == cropped[1], "a step that is done again"
    assert len({float(plain.detach()), *cropped}) == 3
    np.testing.assert_array_equal(one._my_logits(), logits)


def test_validation_is_of_recordings_and_the_same_however_it_is_shared(
    data: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("physioclr.pipeline.finetune.worker.ROWS_AT_ONCE", 3)
    one = worker(data)
    whole = one._my_logits()
    shares = [worker(data, rank, 3)._my_logits() for rank in range(3)]
    np.testing.assert_allclose(np.concatenate(shares), whole, atol=1e-5)
    figures = one.measure()
    scores = one.classifier.scores(torch.from_numpy(whole)).numpy()
    _, means = record_mean(scores.reshape(-1, scores.shape[-1]), np.repeat(one.job.validation.record, 2))
    y = data.y[data.split.validation]
    assert figures["validation_auroc"] == pytest.approx(auroc(y, means, data.task.classes).macro)
    assert one.classifier.training, "training goes on after it"


def test_windows_of_a_recording_are_judged_together(data: Labelled) -> None:
    one = worker(data)
    logits = np.array([[[9.0], [9.0]], [[-9.0], [-8.0]], [[0.0], [1.0]]], dtype=np.float32)
    classifier = Classifier(one.classifier.encoder, 1, 0.0)
    record = np.array([5, 5, 2])
    figures = judge(classifier, logits, Judged(None, np.array([[True], [True], [False]]), record), ("a",))  # type: ignore[arg-type]
    mean = (2 * torch.sigmoid(torch.tensor(9.0)) + torch.sigmoid(torch.tensor([-9.0, -8.0])).sum()) / 4
    other = torch.sigmoid(torch.tensor([0.0, 1.0])).mean()
    assert figures["validation_auroc"] == float(mean > other)


def test_without_both_outcomes_the_loss_decides_and_what_is_no_number_stops_it(data: Labelled) -> None:
    one = worker(data)
    judged = Judged(one.job.validation.selection, np.zeros((2, 1), dtype=bool), np.arange(2))
    classifier = Classifier(one.classifier.encoder, 1, 0.0)
    figures = judge(classifier, np.zeros((2, 2, 1), dtype=np.float32), judged, ("a",))
    assert figures["judged_by"] == -figures["validation_loss"] == pytest.approx(-np.log(2))
    with pytest.raises(RunError, match=r"lower optimiser\.learning_rate"):
        judge(classifier, np.full((2, 2, 1), np.nan, dtype=np.float32), judged, ("a",))


@pytest.mark.parametrize(
    ("history", "ended"),
    [
        ([], False),
        ([0.5, 0.6], False),
        ([0.6, 0.5, 0.55], True),
        ([0.6, 0.6, 0.6], True),
        ([0.5, 0.7, 0.6, 0.71], False),
    ],
)
def test_it_ends_when_patience_epochs_brought_nothing_better(data: Labelled, history: list[float], ended: bool) -> None:
    one = worker(data)
    one.state.history = history
    assert one.ended() == ended
