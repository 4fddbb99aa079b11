"""What a mode freezes stays as it is, to the last buffer; the rates of layer-wise decay; the loss and its scores."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from physioclr.config import ModelConfig, TokenPool
from physioclr.method.classifier import Classifier
from physioclr.method.encoder import Encoder

TINY = ModelConfig(size="tiny", width=16, depth=2, heads=2, feedforward=32, conv_channels=8, position_groups=4)


def classifier(classes: int = 3, dropout: float = 0.5, weight: torch.Tensor | None = None) -> Classifier:
    torch.manual_seed(0)
    return Classifier(Encoder(TINY), classes, dropout, weight)


def train_a_little(one: Classifier, mode: str, decay: float = 1.0) -> dict[str, torch.Tensor]:
    """Three steps; returns everything stored before them."""
    before = {name: value.clone() for name, value in one.state_dict().items()}
    groups = one.trainable(mode, decay)  # type: ignore[arg-type]
    optimiser = torch.optim.AdamW([{"params": list(g.parameters), "lr": 0.01 * g.scale} for g in groups])
    one.train()
    for _ in range(3):
        logits = one(torch.randn(4, 12, 2500))
        one.loss(logits, torch.randint(0, 2, logits.shape).float()).backward()
        optimiser.step()
        optimiser.zero_grad()
    return before


@pytest.mark.parametrize(
    ("mode", "frozen"), [("probe", "encoder."), ("finetune", "encoder.convolutions."), ("all", "-"), ("scratch", "-")]
)
def test_what_is_not_trained_does_not_change_and_the_rest_does(mode: str, frozen: str) -> None:
    one = classifier()
    # Statistics that an update in training would change: none of our layers has any, and one that had must be safe.
    one.encoder.convolutions.extra = nn.BatchNorm1d(8)
    original = one.encoder.convolutions.forward
    one.encoder.convolutions.forward = lambda x: one.encoder.convolutions.extra(  # type: ignore[method-assign]
        original(x).transpose(1, 2)
    ).transpose(1, 2)
    before = train_a_little(one, mode)
    changed = {name for name, value in one.state_dict().items() if not torch.equal(value, before[name])}
    expected = {name for name in before if not name.startswith(frozen) and name != "positive_weight"}
    assert changed == expected


def test_a_head_that_is_set_gives_the_probabilities_that_it_stands_for() -> None:
    """Whatever positive outcomes count in the loss; a class that is certain stays one that can be trained."""
    one = classifier(weight=torch.tensor([1.0, 7.0, 3.0])).eval()
    weight, bias = torch.randn(3, 16), torch.tensor([0.5, -1.0, -torch.inf])
    one.set_head(weight, bias)
    signal = torch.randn(4, 12, 2500)
    scores = one.scores(one(signal))
    expected = torch.sigmoid(one.encoder.embed(signal) @ weight.T + bias)
    torch.testing.assert_close(scores[:, :2], expected[:, :2])
    weight[2] = 0
    one.set_head(weight, bias)
    assert 0 < one.scores(one(signal))[0, 2].item() < 1e-4


def test_frozen_parts_stay_in_eval_mode_and_the_others_do_not() -> None:
    one = classifier()
    one.trainable("finetune")
    one.train()
    frozen = set(one.encoder.convolutions.modules())
    for module in one.modules():
        assert module.training == (module not in frozen)
    one.eval()
    assert not any(module.training for module in one.modules())
    one.trainable("probe")
    one.train()
    assert not any(module.training for module in one.encoder.modules())
    assert one.head.training
    assert one.dropout.training


def test_layers_have_rates_that_decay_from_the_head_to_the_signal() -> None:
    one = classifier()
    groups = one.trainable("all", 0.5)
    assert [(group.name, group.scale) for group in groups] == [
        ("head", 1.0),
        ("layer 1", 0.5),
        ("layer 0", 0.25),
        ("tokens", 0.125),
        ("convolutions", 0.0625),
    ]
    listed = [parameter for group in groups for parameter in group.parameters]
    assert len(listed) == len({id(parameter) for parameter in listed})
    assert {id(parameter) for parameter in listed} == {id(parameter) for parameter in one.parameters()}
    assert {group.scale for group in one.trainable("scratch", 0.5)} == {1.0}
    assert [group.name for group in one.trainable("finetune", 0.5)] == ["head", "layer 1", "layer 0", "tokens"]
    assert [group.name for group in one.trainable("probe")] == ["head"]


def test_the_loss_is_the_weighted_cross_entropy_of_each_segment_and_class() -> None:
    weight = torch.tensor([1.0, 4.0, 9.0])
    one = classifier(weight=weight)
    logits = torch.tensor([[0.3, -1.0, 2.0], [-0.2, 0.5, -3.0]])
    outcomes = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    expected = 0.0
    for row in range(2):
        for column in range(3):
            p = 1 / (1 + math.exp(-float(logits[row, column])))
            likelihood = p if outcomes[row, column] else 1 - p
            expected -= math.log(likelihood) * (float(weight[column]) if outcomes[row, column] else 1.0) / 6
    assert float(one.loss(logits, outcomes)) == pytest.approx(expected, rel=1e-5)


def test_scores_are_the_share_of_positives_where_the_weighted_loss_is_least() -> None:
    """One segment, seen positive once in ten: the best logit with weight 9 is that of one half, the score is 0.1."""
    one = classifier(classes=1, weight=torch.tensor([9.0]))
    outcomes = torch.tensor([[1.0]] + [[0.0]] * 9)
    logit = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.SGD([logit], lr=1.0)
    logit.data += 2.0
    for _ in range(200):
        optimiser.zero_grad()
        one.loss(logit.expand(10, 1), outcomes).backward()
        optimiser.step()
    assert float(one.scores(logit.detach())) == pytest.approx(0.1, abs=1e-3)


@pytest.mark.parametrize("token_pool", ["mean", "statistics"])
def test_without_dropout_it_is_the_head_on_the_embedding(token_pool: TokenPool) -> None:
    one = Classifier(Encoder(TINY), 3, 0.1, token_pool=token_pool).eval()
    signal = torch.randn(2, 12, 2500)
    expected = one.encoder.embed(signal, token_pool) @ one.head.weight.T + one.head.bias
    torch.testing.assert_close(one(signal), expected)
