"""Each array tool against a loop that does the same, sample by sample."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.features.batched import windows

SEEDS = st.integers(0, 2**32 - 1)


def lines(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@given(SEEDS, st.integers(1, 60), st.integers(1, 15), st.integers(1, 3))
@settings(max_examples=50, deadline=None)
def test_average(seed: int, size: int, samples: int, times: int) -> None:
    made = lines(seed, 2, 3, size)
    expected = made
    for _ in range(times):
        before, expected = expected, np.empty_like(made)
        for t in range(size):
            around = [min(max(s, 0), size - 1) for s in range(t - samples // 2, t - samples // 2 + samples)]
            expected[..., t] = sum(before[..., s] for s in around) / samples
    np.testing.assert_allclose(windows.average(made, samples, times), expected, atol=1e-12)


def test_averages_keep_precision_and_have_no_delay() -> None:
    pulse = np.zeros((1, 101), dtype=np.float32)
    pulse[0, 50] = 1.0
    smooth = windows.average(pulse, 7, times=2)
    assert smooth.dtype == np.float32
    np.testing.assert_allclose(smooth, smooth[:, ::-1], atol=1e-7)
    assert smooth.argmax() == 50


@given(SEEDS, st.integers(1, 60), st.integers(1, 70))
@settings(max_examples=50, deadline=None)
def test_curvature(seed: int, size: int, reach: int) -> None:
    made = lines(seed, 2, 3, size)
    found = windows.curvature(made, reach)
    for t in range(size):
        chord = (made[..., max(t - reach, 0)] + made[..., min(t + reach, size - 1)]) / 2
        np.testing.assert_allclose(found[..., t], made[..., t] - chord, atol=1e-12)


def test_curvature_does_not_see_level_and_slope_and_keeps_precision() -> None:
    sloping = (3.0 + 0.5 * np.arange(50.0))[None].astype(np.float32)
    found = windows.curvature(sloping, 8)
    np.testing.assert_allclose(found[:, 8:-8], 0.0, atol=1e-5)
    assert found.dtype == np.float32


@given(SEEDS, st.integers(1, 30))
def test_median(seed: int, size: int) -> None:
    made = lines(seed, 3, 2, size)
    np.testing.assert_array_equal(windows.median(made), np.median(made, axis=-1))


@given(st.lists(st.integers(-30, 60), max_size=5), st.integers(1, 30), st.integers(1, 40), st.booleans())
def test_windows_are_cut_with_the_ends_held(starts: list[int], width: int, size: int, several: bool) -> None:
    made = lines(len(starts), 3, 2, size) if several else lines(len(starts), 3, size)
    start, segment = np.array(starts, dtype=np.int64), np.arange(len(starts)) % 3
    found, inside = windows.cut(made, segment, start, width), windows.inside(start, width, size)
    assert found.shape == (len(starts), *made.shape[1:-1], width)
    assert inside.shape == (len(starts), width)
    for row in range(len(starts)):
        for column in range(width):
            place = starts[row] + column
            held = made[segment[row], ..., min(max(place, 0), size - 1)]
            np.testing.assert_array_equal(found[row, ..., column], held)
            assert inside[row, column] == (0 <= place < size)


@given(SEEDS, st.lists(st.integers(1, 4), max_size=5))
def test_sum_and_mean_by_segment(seed: int, beats: list[int]) -> None:
    made = lines(seed, sum(beats), 3, 2)
    is_first = np.array([beat == 0 for count in beats for beat in range(count)], dtype=bool)
    total, mean = windows.sum_by_segment(made, is_first), windows.mean_by_segment(made, is_first)
    assert len(total) == len(mean) == len(beats)
    start = 0
    for segment, count in enumerate(beats):
        rows = [made[beat] for beat in range(start, start + count)]
        np.testing.assert_allclose(total[segment], sum(rows), atol=1e-12)
        np.testing.assert_allclose(mean[segment], sum(rows) / count, atol=1e-12)
        start += count


@given(SEEDS, st.integers(0, 5), st.integers(1, 9))
def test_highest(seed: int, rows: int, width: int) -> None:
    values = np.round(lines(seed, rows, width))  # with equal ones
    allowed = np.random.default_rng(seed).random((rows, width)) < 0.6
    column, value = windows.highest(values, allowed)
    for row in range(rows):
        best = None
        for c in range(width):
            if allowed[row, c] and (best is None or values[row, c] > values[row, best]):
                best = c
        assert value[row] == (-np.inf if best is None else values[row, best])
        assert best is None or column[row] == best
        assert windows.pick(values, column)[row] == values[row, column[row]]


def corners_of(activity: list[float], centre: int) -> tuple[int, int]:
    """Where the running sum is farthest below, and after the centre above, a straight line."""
    total = [sum(activity[: i + 1]) for i in range(len(activity))]
    onset, lowest = 0, np.inf
    for i in range(centre + 1):
        distance = total[i] - total[centre] * i / centre
        if distance < lowest - 1e-12:
            onset, lowest = i, distance
    offset, farthest = centre, -np.inf
    last = len(activity) - 1
    for i in range(centre, last + 1):
        distance = total[i] - total[centre] - (total[last] - total[centre]) * (i - centre) / (last - centre)
        if distance > farthest + 1e-12:
            offset, farthest = i, distance
    return onset, offset


@given(SEEDS, st.integers(1, 20), st.integers(2, 20))
@settings(max_examples=50, deadline=None)
def test_corners(seed: int, centre: int, after: int) -> None:
    activity = np.abs(lines(seed, 3, centre + after))
    onset, offset = windows.corners(activity, centre)
    for row in range(3):
        assert (onset[row], offset[row]) == corners_of(activity[row].tolist(), centre)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_corners_are_where_activity_begins_and_ends_whatever_steady_noise_there_is(noise: float) -> None:
    activity = np.full((1, 57), noise)
    activity[0, 20:41] += 5.0
    onset, offset = windows.corners(activity, 28)
    assert abs(onset[0] - 20) <= 1
    assert abs(offset[0] - 40) <= 1
