from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.method.shuffling import KEY_COLUMNS, beat_order, draw_keys, shuffle_beats

SAMPLES = 300
peaks_of_a_segment = st.lists(st.integers(0, SAMPLES - 1), max_size=20, unique=True).map(sorted)


def padded(peaks: list[list[int]]) -> torch.Tensor:
    width = max((len(p) for p in peaks), default=0)
    return torch.tensor([p + [-1] * (width - len(p)) for p in peaks], dtype=torch.int64).reshape(len(peaks), width)


def labelled_signal(segments: int, leads: int = 3, samples: int = SAMPLES) -> torch.Tensor:
    """Each sample says which it is; leads are told apart by an offset."""
    return (torch.arange(samples) + 1000 * torch.arange(leads)[:, None]).float().expand(segments, leads, samples)


def reference(signal: torch.Tensor, peaks: list[int], keys: torch.Tensor) -> torch.Tensor:
    """One segment at a time, with lists."""
    if len(peaks) < 3:
        return signal
    beats = list(range(len(peaks) - 1))
    order = sorted(beats, key=lambda beat: float(keys[beat]))
    if order == beats:
        order = beats[1:] + beats[:1]
    pieces = [signal[:, : peaks[0]]] + [signal[:, peaks[b] : peaks[b + 1]] for b in order] + [signal[:, peaks[-1] :]]
    return torch.cat(pieces, dim=1)


@given(st.lists(peaks_of_a_segment, min_size=1, max_size=5), st.integers(0, 2**31))
@settings(deadline=None, max_examples=150)
def test_equals_the_loop_and_keeps_content_head_and_tail(peaks: list[list[int]], seed: int) -> None:
    signal = labelled_signal(len(peaks))
    keys = draw_keys(len(peaks), torch.Generator().manual_seed(seed))

    view, shuffled = shuffle_beats(signal, padded(peaks), keys)

    assert view.shape == signal.shape
    for i, own in enumerate(peaks):
        assert torch.equal(view[i], reference(signal[i], own, keys[i]))
        assert torch.equal(view[i].sort(dim=1).values, signal[i])  # the same samples, none dropped, none made up
        assert torch.equal(view[i, 1] - 1000, view[i, 0])  # all leads alike
        assert bool(shuffled[i]) == (len(own) >= 3) == (not torch.equal(view[i], signal[i]))
        if own:
            assert torch.equal(view[i, :, : own[0]], signal[i, :, : own[0]])
            assert torch.equal(view[i, :, own[-1] :], signal[i, :, own[-1] :])


def test_the_tail_is_the_signal_and_not_zeros() -> None:
    """The authors' release drops the head and pads the tail with zeros."""
    view, _ = shuffle_beats(labelled_signal(1) + 1, padded([[50, 100, 160, 200]]), draw_keys(1, None))
    assert (view > 0).all()
    assert torch.equal(view[..., 200:], labelled_signal(1)[..., 200:] + 1)


def test_two_beats_are_always_exchanged() -> None:
    generator = torch.Generator().manual_seed(0)
    view, shuffled = shuffle_beats(labelled_signal(64), padded([[10, 30, 80]] * 64), draw_keys(64, generator))
    assert shuffled.all()
    assert (view[:, 0, 10] == 30).all()
    assert (view[:, 0, 60] == 10).all()


def test_every_order_but_the_identity_comes_up() -> None:
    orders = beat_order(torch.full((2000,), 3), draw_keys(2000, torch.Generator().manual_seed(0))[:, :3])
    seen, counts = orders.unique(dim=0, return_counts=True)
    assert len(seen) == 5
    assert counts.min() > 2000 / 6 * 0.75


def test_a_segment_is_shuffled_alike_however_wide_the_batch_is_padded() -> None:
    keys = draw_keys(1, torch.Generator().manual_seed(3))
    narrow, _ = shuffle_beats(labelled_signal(1), padded([[5, 60, 100, 170, 250]]), keys)
    wide, _ = shuffle_beats(labelled_signal(1), padded([[5, 60, 100, 170, 250] + [-1] * 30]), keys)
    assert torch.equal(narrow, wide)


def test_keys_of_a_rank_are_a_slice_of_all_keys() -> None:
    whole = draw_keys(8, torch.Generator().manual_seed(1))
    assert torch.equal(whole, draw_keys(8, torch.Generator().manual_seed(1)))
    assert not torch.equal(whole[:4], whole[4:])


@pytest.mark.parametrize("count", [KEY_COLUMNS + 1, KEY_COLUMNS + 2, KEY_COLUMNS + 40])
def test_more_peaks_than_keys_still_keep_the_content(count: int) -> None:
    view, shuffled = shuffle_beats(labelled_signal(1), padded([list(range(20, 20 + count))]), draw_keys(1, None))
    assert shuffled.all()
    assert torch.equal(view.sort(dim=2).values, labelled_signal(1))


def test_no_column_for_peaks_at_all() -> None:
    view, shuffled = shuffle_beats(labelled_signal(2), torch.zeros(2, 0, dtype=torch.int64), draw_keys(2, None))
    assert torch.equal(view, labelled_signal(2))
    assert not shuffled.any()
