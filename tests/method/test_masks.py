from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.method.masks import interval_mask, peak_mask

SAMPLES = 400
interval = st.tuples(st.integers(0, SAMPLES - 1), st.integers(1, 80)).map(lambda t: (t[0], min(t[0] + t[1], SAMPLES)))
segments = st.lists(
    st.tuples(st.lists(interval, max_size=6), st.lists(st.integers(0, SAMPLES - 1), max_size=4)), min_size=1, max_size=4
)


def pad(rows: list[list[tuple[int, int]]]) -> torch.Tensor:
    width = max(len(r) for r in rows)
    padded = [r + [(-1, -1)] * (width - len(r)) for r in rows]
    return torch.tensor(padded, dtype=torch.int64).reshape(len(rows), width, 2)


@given(segments)
@settings(deadline=None, max_examples=40)
def test_equals_the_loop(rows: list[tuple[list[tuple[int, int]], list[int]]]) -> None:
    intervals = pad([r[0] for r in rows])
    r_peaks = pad([[(p, p) for p in sorted(r[1])] for r in rows])[..., 0]

    mask = peak_mask(intervals, r_peaks, SAMPLES)

    for found, (waves, peaks) in zip(mask, rows, strict=True):
        windows = waves or [(p - 100, p + 200) for p in peaks]
        expected = [any(start <= t < end for start, end in windows) for t in range(SAMPLES)]
        assert found.tolist() == expected


def test_overlapping_touching_and_whole_intervals() -> None:
    mask = interval_mask(
        torch.tensor([[[2, 5], [4, 7], [7, 8], [-1, -1]], [[0, 10], [-1, -1], [-1, -1], [-1, -1]]]), 10
    )
    assert mask[0].nonzero().flatten().tolist() == [2, 3, 4, 5, 6, 7]
    assert mask[1].all()


def test_an_interval_that_ends_before_it_begins_covers_nothing_and_hides_nothing() -> None:
    mask = interval_mask(torch.tensor([[[7, 3], [4, 6], [5, 5]]]), 10)
    assert mask[0].nonzero().flatten().tolist() == [4, 5]


def test_without_intervals_windows_reach_200_ms_before_and_400_ms_after_each_r_peak() -> None:
    mask = peak_mask(torch.full((1, 3, 2), -1), torch.tensor([[50, 1000, -1]]), 2500)
    assert mask[0].nonzero().flatten().tolist() == [*range(0, 250), *range(900, 1200)]


def test_without_intervals_and_r_peaks_there_is_no_mask() -> None:
    assert not peak_mask(torch.full((1, 3, 2), -1), torch.full((1, 2), -1), 2500).any()
    assert not peak_mask(torch.zeros(1, 0, 2, dtype=torch.int64), torch.zeros(1, 0, dtype=torch.int64), 2500).any()
