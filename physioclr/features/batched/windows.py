"""Small array tools that the batched engine is made of: windows around beats, moving averages, corners of a curve.

Every line of a batch is worked on alone, so that no result depends on what else is in the batch, to the last bit.
Shapes: n segments, B beats, W samples of a window, t samples of a line.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]
Line = TypeVar("Line", bound=NDArray[Any])  # of any precision, which stays


def average(lines: Line, samples: int, times: int = 1) -> Line:
    """Moving average along the last axis, `times` over; the ends are continued by their own value. No delay."""
    for _ in range(times):
        lines = uniform_filter1d(lines, samples, axis=-1, mode="nearest")
    return lines


def curvature(lines: Line, reach: int) -> Line:
    """How far each sample stands out from the chord between those `reach` before and after it, along the last axis.

    Level and slope of the baseline cancel; a wave of about twice the reach stands out most. The ends are held.
    """
    size = lines.shape[-1]
    out, half = lines.copy(), lines * 0.5
    inner = min(reach, size)
    out[..., inner:] -= half[..., : size - inner]
    out[..., :inner] -= half[..., :1]
    out[..., : size - inner] -= half[..., inner:]
    out[..., size - inner :] -= half[..., -1:]
    return out


def median(lines: Line) -> Line:
    """Along the last axis, of numbers without NaN. NumPy's own takes several times as long."""
    ordered = np.sort(lines, axis=-1)
    size = lines.shape[-1]
    return cast(Line, (ordered[..., (size - 1) // 2] + ordered[..., size // 2]) / 2)


def cut(lines: Line, segment_B: Ints, start_B: Ints, width: int) -> Line:
    """Windows [B, ..., W] of lines [n, ..., t], each of a segment and from a start; the ends are held."""
    size = lines.shape[-1]
    if width > size:
        return _cut_held(lines, segment_B, start_B, width)
    inner_B = np.clip(start_B, 0, size - width)
    views = np.lib.stride_tricks.sliding_window_view(lines, width, axis=-1)
    windows = views[segment_B, ..., inner_B, :]
    beyond = np.flatnonzero(inner_B != start_B)
    windows[beyond] = _cut_held(lines, segment_B[beyond], start_B[beyond], width)
    return cast(Line, windows)


def _cut_held(lines: Line, segment_B: Ints, start_B: Ints, width: int) -> Line:
    index_BW = np.clip(start_B[:, None] + np.arange(width), 0, lines.shape[-1] - 1)
    windows = lines[segment_B[:, None], ..., index_BW]  # [B, W, ...]
    return cast(Line, np.moveaxis(windows, 1, -1))


def inside(start_B: Ints, width: int, size: int) -> NDArray[np.bool_]:
    """Which samples of windows from each start lie in a line of this size: [B, W]."""
    column = np.arange(width)
    return (column >= -start_B[:, None]) & (column < size - start_B[:, None])


def sum_by_segment(windows: NDArray[Any], is_first_B: NDArray[np.bool_]) -> NDArray[Any]:
    """Sum of the windows [B, ...] of each segment that has beats; `is_first_B` marks a segment's first beat."""
    if not len(windows):
        return windows
    return np.asarray(np.add.reduceat(windows, np.flatnonzero(is_first_B), axis=0))


def mean_by_segment(windows: NDArray[Any], is_first_B: NDArray[np.bool_]) -> NDArray[Any]:
    """The same for their mean."""
    beats = np.diff(np.append(np.flatnonzero(is_first_B), len(windows))).astype(windows.dtype)
    return sum_by_segment(windows, is_first_B) / beats.reshape(-1, *[1] * (windows.ndim - 1))


def pick(values_BW: NDArray[Any], column_B: Ints) -> NDArray[Any]:
    """One value of each row: [B]."""
    return values_BW[np.arange(len(values_BW)), column_B]


def highest(values_BW: NDArray[np.floating[Any]], allowed_BW: NDArray[np.bool_]) -> tuple[Ints, NDArray[Any]]:
    """Column and value of each row's maximum over the allowed columns; -inf where none is allowed."""
    masked = np.where(allowed_BW, values_BW, -np.inf)
    column = masked.argmax(axis=1)
    return column, pick(masked, column)


def corners(activity_BW: NDArray[np.floating[Any]], centre: int) -> tuple[Ints, Ints]:
    """Where the activity around the centre begins and ends: columns [B] each, at most and at least the centre.

    The running sum of the activity climbs slowly, then steeply, then slowly again. The corners are where it is farthest
    from the straight line between the window's end and the centre; steady noise only tilts that line.
    """
    width = activity_BW.shape[1]
    total_BW = np.cumsum(activity_BW, axis=1)
    here = total_BW[:, centre, None]
    before = (np.arange(centre + 1) / centre).astype(total_BW.dtype)
    onset = (total_BW[:, : centre + 1] - here * before).argmin(axis=1)
    after = (np.arange(width - centre) / (width - 1 - centre)).astype(total_BW.dtype)
    offset = (total_BW[:, centre:] - here - (total_BW[:, -1:] - here) * after).argmax(axis=1)
    return onset, centre + offset
