from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from physioclr.baselines import augmentations
from physioclr.baselines.draws import SegmentDraws

Augmentation = Callable[[Tensor, float, SegmentDraws], Tensor]
NOISES: list[Augmentation] = [augmentations.powerline, augmentations.muscle, augmentations.wander]
MASKS: list[Augmentation] = [augmentations.mask_leads, augmentations.mask_time]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def draws(segments: int, seed: int = 0) -> SegmentDraws:
    return SegmentDraws(segments, torch.Generator().manual_seed(seed))


def signal(segments: int = 4) -> Tensor:
    return torch.randn(segments, 12, 2500, generator=torch.Generator().manual_seed(1))


def noise(function: Augmentation, strength: float, segments: int = 4, seed: int = 0) -> Tensor:
    return function(torch.zeros(segments, 12, 2500), strength, draws(segments, seed))


@pytest.mark.parametrize("function", NOISES + MASKS)
def test_what_every_one_keeps_to(function: Augmentation) -> None:
    view = function(signal(), 0.5, draws(4))
    assert view.shape == signal().shape
    assert view.dtype == torch.float32
    assert torch.isfinite(view).all()
    assert not torch.equal(view, signal())
    assert torch.equal(view, function(signal(), 0.5, draws(4)))
    assert not torch.equal(view, function(signal(), 0.5, draws(4, seed=1)))
    assert torch.equal(function(signal(), 0.0, draws(4)), signal())


@pytest.mark.parametrize("function", NOISES)
def test_a_noise_is_added_and_grows_with_its_strength(function: Augmentation) -> None:
    torch.testing.assert_close(function(signal(), 0.5, draws(4)) - signal(), noise(function, 0.5), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(noise(function, 1.0), 2 * noise(function, 0.5))
    largest = noise(function, 0.5, segments=40).std(dim=2).max().item()
    assert 0.2 < largest < 1


def test_powerline_is_one_tone_of_50_or_60_hz() -> None:
    spectrum = torch.fft.rfft(noise(augmentations.powerline, 0.5, segments=20)).abs()  # 0.2 Hz a bin
    peak = spectrum.argmax(dim=2)
    assert set(peak.flatten().tolist()) == {250, 300}
    assert (peak == peak[:, :1]).all(), "one frequency a segment"
    assert (spectrum.amax(dim=2) > 100 * spectrum.scatter(2, peak[:, :, None], 0).amax(dim=2)).all()


def test_muscle_is_white_and_of_each_lead() -> None:
    one = noise(augmentations.muscle, 0.5)[0]
    power = torch.fft.rfft(one).abs().square()
    assert power[:, 1:600].mean() == pytest.approx(power[:, 600:1200].mean().item(), rel=0.15)
    assert torch.corrcoef(one).fill_diagonal_(0).abs().max() < 0.1


def test_wander_is_slow_and_differs_between_leads() -> None:
    many = noise(augmentations.wander, 0.5, segments=20)
    # Over 5 s waves of up to 0.2 Hz turn round twice at most; three of them, twice or three times.
    turns = (many[:, :, ::50].diff(dim=2).sign().diff(dim=2) != 0).sum(dim=2)
    assert turns.max() <= 4
    assert (many.std(dim=2).max(dim=1).values > 1.2 * many.std(dim=2).min(dim=1).values).all()


def test_leads_are_masked_whole_and_one_always_stays() -> None:
    view = augmentations.mask_leads(signal(200), 0.5, draws(200))
    gone = (view == 0).all(dim=2)
    assert torch.equal(view[~gone], signal(200)[~gone])
    assert gone.float().mean() == pytest.approx(0.5, abs=0.03)
    nearly_all = (augmentations.mask_leads(signal(50), 0.999999, draws(50)) == 0).all(dim=2)
    assert nearly_all.sum(dim=1).tolist() == [11] * 50


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_time_is_masked_in_one_window_a_lead(share: float) -> None:
    view = augmentations.mask_time(signal(30), share, draws(30))
    gone = view == 0
    assert (gone.sum(dim=2) == int(share * 2500)).all()
    assert torch.equal(view[~gone], signal(30)[~gone])
    begins = gone & ~gone.roll(1, dims=2)
    assert (begins.sum(dim=2) == 1).all(), "one window, which may go on at the start"
    assert len(begins.float().argmax(dim=2).unique()) > 300, "each lead has its own"
