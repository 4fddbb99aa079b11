from __future__ import annotations

import pytest
import torch
from torch import Tensor

from physioclr.baselines import draws
from physioclr.downstream import FinetuneAugment
from physioclr.method.gather import World
from physioclr.method.views import halves
from physioclr.pipeline.finetune.augment import augmented


@pytest.fixture
def signal() -> Tensor:
    """Every value is one of a kind, and none is zero."""
    return 1 + torch.arange(6 * 12 * 5000, dtype=torch.float64).reshape(6, 12, 5000)


def changed(signal: Tensor, generator: torch.Generator | None = None, **values: object) -> Tensor:
    return augmented(signal, FinetuneAugment.model_validate(values), generator or torch.Generator().manual_seed(3))


def test_nothing_is_changed_unless_asked(signal: Tensor) -> None:
    assert torch.equal(changed(signal), halves(signal))


def test_crops_are_five_seconds_of_their_record_that_begin_anywhere(signal: Tensor) -> None:
    found = changed(signal, crops=True)
    first = found[:, 0, 0].long() - 1
    assert torch.equal(first // (12 * 5000), torch.arange(6).repeat_interleave(2)), "of their own record"
    start = first % 5000
    assert start.max() <= 2500
    assert len(start.unique()) > 10, "each begins somewhere else"
    expected = [signal[segment // 2, :, first : first + 2500] for segment, first in enumerate(start.tolist())]
    assert torch.equal(found, torch.stack(expected))


def test_masked_leads_are_zero_and_at_least_one_stays(signal: Tensor) -> None:
    found = changed(signal, mask_leads=0.5)
    zero = (found == 0).all(dim=-1)
    assert torch.equal(zero, (found == 0).any(dim=-1)), "a lead as a whole"
    assert 0.3 < zero.float().mean() < 0.7
    assert torch.where(zero[..., None], found, halves(signal)).equal(found)
    assert not (changed(signal, mask_leads=0.99) == 0).all(dim=-1).all(dim=-1).any()


def test_the_next_step_changes_it_in_another_way(signal: Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    assert not torch.equal(changed(signal, generator, crops=True), changed(signal, generator, crops=True))


def test_a_record_is_changed_alike_whichever_worker_holds_it(signal: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"crops": True, "mask_leads": 0.3}
    whole = changed(signal, **asked)
    parts = []
    for rank in range(3):
        monkeypatch.setattr(draws, "world", lambda rank=rank: World(rank=rank, size=3))
        parts.append(changed(signal[2 * rank : 2 * rank + 2], **asked))
    assert torch.equal(torch.cat(parts), whole)
