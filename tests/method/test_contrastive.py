from __future__ import annotations

import math
from typing import Literal

import pytest
import torch

from physioclr.method.contrastive import contrastive_rows, cosines, masks
from physioclr.method.pairs import Pairs

Form = Literal["released", "supcon"]
FORMS: list[Form] = ["released", "supcon"]


def reference(cosine: list[float], positives: set[int], negatives: set[int], tau: float, form: str) -> float:
    """One anchor, as the formulas are written."""
    e = [math.exp(s / tau) for s in cosine]
    of_negatives = sum(e[n] for n in negatives)
    if form == "released":
        return -math.log(sum(e[p] for p in positives)) + math.log(of_negatives)
    return sum(-math.log(e[p] / (e[p] + of_negatives)) for p in positives) / len(positives)


@pytest.mark.parametrize("form", FORMS)
def test_equals_the_loop(form: Form) -> None:
    generator = torch.Generator().manual_seed(0)
    cosine = torch.rand(6, 9, generator=generator) * 2 - 1
    choice = torch.randint(0, 3, (6, 9), generator=generator)
    positive, negative = choice == 1, choice == 2

    rows, valid = contrastive_rows(cosine, positive, negative, 0.1, form)

    assert valid.all()
    for i in range(6):
        of_positives, of_negatives = (set(m[i].nonzero().flatten().tolist()) for m in (positive, negative))
        expected = reference(cosine[i].tolist(), of_positives, of_negatives, 0.1, form)
        assert rows[i].item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_numbers_worked_by_hand() -> None:
    """exp(s / tau) of the positives: 2 and 4; of the negatives: 1 and 3."""
    cosine = torch.log(torch.tensor([[2.0, 4.0, 1.0, 3.0]])) * 0.5
    positive = torch.tensor([[True, True, False, False]])
    released, _ = contrastive_rows(cosine, positive, ~positive, 0.5, "released")
    supcon, _ = contrastive_rows(cosine, positive, ~positive, 0.5, "supcon")
    assert released.item() == pytest.approx(-math.log(6) + math.log(4), rel=1e-6)
    assert supcon.item() == pytest.approx((math.log(3) + math.log(2)) / 2, rel=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_rows_without_positives_or_negatives_give_neither_value_nor_gradient(form: Form) -> None:
    cosine = torch.rand(4, 5, requires_grad=True)
    positive, negative = torch.zeros(2, 4, 5, dtype=torch.bool)
    positive[0, 0] = negative[0, 1] = True
    positive[1, 0] = True  # no negative
    negative[2, 0] = True  # no positive; row 3 has neither

    rows, valid = contrastive_rows(cosine, positive, negative, 0.1, form)
    rows.sum().backward()

    assert valid.tolist() == [True, False, False, False]
    assert rows[1:].tolist() == [0, 0, 0]
    assert cosine.grad is not None
    assert torch.isfinite(cosine.grad).all()
    assert cosine.grad[0, :2].abs().min() > 0
    assert not cosine.grad[1:].any()
    assert not cosine.grad[0, 2:].any()


@pytest.mark.parametrize("form", FORMS)
def test_stays_finite_at_a_temperature_where_exp_overflows(form: Form) -> None:
    cosine = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], requires_grad=True)
    positive = torch.tensor([[True, False], [True, False]])
    rows, _ = contrastive_rows(cosine, positive, ~positive, 0.001, form)
    rows.sum().backward()
    expected = [-2000.0, 2000.0] if form == "released" else [0.0, 2000.0]
    assert rows.tolist() == pytest.approx(expected)
    assert cosine.grad is not None
    assert torch.isfinite(cosine.grad).all()


def test_the_released_form_is_satisfied_by_one_positive_and_supcon_is_not() -> None:
    """Why `supcon` is the default: a positive far away still pulls when another is close."""
    positive = torch.tensor([[True, True, False]])
    gradients = {}
    for form in FORMS:
        cosine = torch.tensor([[0.9, -0.9, 0.0]], requires_grad=True)
        contrastive_rows(cosine, positive, ~positive, 0.1, form)[0].sum().backward()
        assert cosine.grad is not None
        gradients[form] = -cosine.grad[0, 1].item()
    assert gradients["released"] < 1e-6
    assert gradients["supcon"] > 1


def test_an_anchor_meets_all_originals_and_its_own_view_only() -> None:
    generator = torch.Generator().manual_seed(1)
    anchors, originals, views = (torch.randn(n, 4, generator=generator) for n in (2, 6, 2))
    found = cosines(anchors, originals, views)
    assert found.shape == (2, 7)
    for i in range(2):
        for j in range(6):
            assert found[i, j].item() == pytest.approx(float(anchors[i].dot(originals[j])), rel=1e-5)
        assert found[i, 6].item() == pytest.approx(float(anchors[i].dot(views[i])), rel=1e-5)


def test_similarities_are_float32_under_autocast() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(4, 64), dim=1)
    with torch.autocast("cpu", torch.bfloat16):
        found = cosines(vectors, vectors, vectors)
    assert found.dtype == torch.float32
    assert torch.equal(found, cosines(vectors, vectors, vectors))


def test_a_view_is_a_positive_where_it_was_shuffled_and_never_a_negative() -> None:
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    positive, negative = masks(Pairs(nothing, nothing, ~nothing, torch.tensor([True, False])))
    assert positive.tolist() == [[False, False, False, True], [False] * 4]
    assert negative.tolist() == [[True, True, True, False]] * 2


def weighted(
    cosine: list[float], positives: dict[int, float], negatives: dict[int, float], tau: float, form: str
) -> float:
    """One anchor with the weights of its positives and negatives."""
    e = [math.exp(s / tau) for s in cosine]
    of_negatives = sum(weight * e[n] for n, weight in negatives.items())
    if form == "released":
        return -math.log(sum(weight * e[p] for p, weight in positives.items())) + math.log(of_negatives)
    each = {p: -math.log(e[p] / (e[p] + of_negatives)) for p in positives}
    return sum(positives[p] * each[p] for p in positives) / sum(positives.values())


@pytest.mark.parametrize("form", FORMS)
def test_weights_equal_the_loop_and_pairs_may_be_both(form: Form) -> None:
    generator = torch.Generator().manual_seed(1)
    cosine = torch.rand(5, 8, generator=generator) * 2 - 1
    like, unlike = torch.rand(2, 5, 8, generator=generator).unbind()
    like[like < 0.2] = 0.0
    everyone = torch.ones(5, 8, dtype=torch.bool)
    rows, valid = contrastive_rows(cosine, everyone, everyone, 0.2, form, (like, unlike))
    assert valid.all()
    for i in range(5):
        positives = {p: w for p, w in enumerate(like[i].tolist()) if w}
        expected = weighted(cosine[i].tolist(), positives, dict(enumerate(unlike[i].tolist())), 0.2, form)
        assert rows[i].item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_weights_of_one_change_nothing_and_of_zero_take_a_pair_away(form: Form) -> None:
    cosine = torch.rand(3, 6, generator=torch.Generator().manual_seed(2))
    positive = torch.tensor([True, True, False, False, False, False]).expand(3, -1)
    ones = torch.ones(3, 6)
    plain, _ = contrastive_rows(cosine, positive, ~positive, 0.1, form)
    same, _ = contrastive_rows(cosine, positive, ~positive, 0.1, form, (ones, ones))
    torch.testing.assert_close(plain, same)
    less = ones.clone()
    less[:, 0] = 0
    fewer = positive & (less > 0)
    without, _ = contrastive_rows(cosine, fewer, ~positive, 0.1, form)
    weighed, valid = contrastive_rows(cosine, positive, ~positive, 0.1, form, (less, ones))
    torch.testing.assert_close(without, weighed)
    assert valid.all()
    _, valid = contrastive_rows(cosine, positive, ~positive, 0.1, form, (torch.zeros(3, 6), ones))
    assert not valid.any()
