"""Heartbeat shuffling (arXiv 2509.08116, heartbeat shuffling): the beats of a segment in another order.

Beats are cut at R peaks, [R_j, R_j+1), and permuted, all leads alike. What lies before the first R peak and from the
last one on stays where it is, so that a view has exactly the samples of its segment: nothing is dropped and nothing
is padded. A segment with fewer than 3 R peaks has fewer than 2 beats to exchange and is left as it is.

Shapes: S segments, L leads, T samples, R R peaks, B = R - 1 beats.
"""

from __future__ import annotations

import torch
from torch import Tensor

KEY_COLUMNS = 128  # beats that can be shuffled in 5 s: one each 39 ms, more than any heart or detector gives


def draw_keys(segments: int, generator: torch.Generator | None) -> Tensor:
    """Random sort keys float32 [segments, 128] from a CPU generator (torch's own without one).

    The width is fixed [D] so that a segment's keys don't depend on how many R peaks the batch was padded to: keys drawn
    for the batch of all ranks and cut into slices give every rank the views that a single process would make.
    """
    return torch.rand(segments, KEY_COLUMNS, generator=generator)


def beat_order(beats_S: Tensor, keys_SB: Tensor) -> Tensor:
    """Which beat goes to each place: int64 [S, B], a permutation of the first `beats_S` places, the rest fixed.

    [D] Where the draw is the identity (one time in two with 2 beats) the beats move on by one place instead, so that a
    view with two beats or more is always another one than its segment. With 2 beats that is the only other order.
    """
    place_1B = torch.arange(keys_SB.shape[1], device=keys_SB.device)[None, :]
    count_S1 = beats_S[:, None]
    is_beat_SB = place_1B < count_S1
    order_SB = keys_SB.masked_fill(~is_beat_SB, torch.inf).sort(dim=1, stable=True).indices
    is_identity_S1 = (order_SB == place_1B).all(dim=1, keepdim=True)
    moved_on_SB = torch.where(is_beat_SB, (place_1B + 1) % count_S1.clamp_min(1), place_1B)
    return torch.where(is_identity_S1, moved_on_SB, order_SB)


def shuffled_index(r_peaks_SR: Tensor, keys_SB: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """Where each sample of the view comes from: int64 [S, T], and bool [S]: was the segment shuffled.

    r_peaks_SR: int64 [S, R] ascending, in [0, T), padded with -1. keys_SB: [S, 128] of `draw_keys`, on the same device.
    """
    peaks_SR = r_peaks_SR[:, : KEY_COLUMNS + 1]  # later ones, if ever, belong to the tail
    time_ST = torch.arange(samples, device=peaks_SR.device).expand(peaks_SR.shape[0], samples).contiguous()
    if peaks_SR.shape[1] < 3:
        return time_ST, torch.zeros_like(time_ST[:, 0], dtype=torch.bool)
    beats_S = (peaks_SR >= 0).sum(dim=1) - 1
    order_SB = beat_order(beats_S, keys_SB[:, : peaks_SR.shape[1] - 1])

    is_beat_SB = peaks_SR[:, 1:] >= 0
    length_SB = torch.where(is_beat_SB, peaks_SR[:, 1:] - peaks_SR[:, :-1], 0)
    new_length_SB = length_SB.gather(1, order_SB)
    first_S1 = peaks_SR[:, :1]
    new_end_SB = first_S1 + new_length_SB.cumsum(dim=1)
    new_start_SB = (new_end_SB - new_length_SB).contiguous()

    place_ST = (torch.searchsorted(new_start_SB, time_ST, right=True) - 1).clamp_min(0)
    old_start_ST = peaks_SR.gather(1, order_SB).gather(1, place_ST)
    source_ST = old_start_ST + time_ST - new_start_SB.gather(1, place_ST)
    shuffled_S = beats_S >= 2
    is_moved_ST = shuffled_S[:, None] & (time_ST >= first_S1) & (time_ST < new_end_SB[:, -1:])
    return torch.where(is_moved_ST, source_ST, time_ST), shuffled_S


def shuffle_beats(signal_SLT: Tensor, r_peaks_SR: Tensor, keys_SB: Tensor) -> tuple[Tensor, Tensor]:
    """The heartbeat-shuffled view [S, L, T] of each segment, and bool [S]: False where it was left as it is."""
    index_ST, shuffled_S = shuffled_index(r_peaks_SR, keys_SB, signal_SLT.shape[-1])
    return signal_SLT.gather(2, index_ST[:, None, :].expand_as(signal_SLT)), shuffled_S
