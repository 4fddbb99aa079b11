"""All leads of a segment at 125 Hz, and how much each can be trusted: what the joint search for waves works on.

A QRS complex has most of its energy between 5 and 25 Hz, P and T waves lie below 12 Hz, so 8 ms a sample lose nothing
that is needed to FIND a wave; where exactly it is, is measured at 500 Hz (`fine.py`).
Shapes: n segments, L leads, t coarse samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from physioclr.features.batched.windows import Floats, Singles, average, median
from physioclr.features.lead import averages, without_mains

RATE = 125  # Hz

_BLOCK = RATE // 2  # the largest value of every half second ...
_BLOCKS = 4  # ... and of every 2 s: with 30 beats a minute or more each holds a QRS complex
_TYPICAL = 0.4  # quantile of these: below the median, so that in 5 s one spike, wherever it is, does not count
_SPARSE = 8  # of the smooth height every 64 ms will do for its median ...
_FAINT = 2.0  # ... but where a beat is no more than this times the median: there a steady heart could fall in step
_CLEAREST = 20.0  # a lead whose QRS stands out more than this gains no further weight
_HEAVIEST = 2.5  # times the weight of the lead in the middle: no lead has more, and ...
_TALLEST = 2.0  # ... none says more than this times its typical complex: a spike in one of 12 alike is 0.37 of a beat
_LEAST = 1e-5  # of a lead's largest value: what is less steep than this is rounding


@dataclass(frozen=True, eq=False)
class Coarse:
    """`lines` [n, L, t] (0 in leads that cannot be used), `smooth` (the same averaged over 24 ms), `clearness`
    [n, L] (how many times higher typical QRS complexes are than what lies between them), `gain` [n, L] for squares, and
    `envelope` [n, t].

    `gain` weighs a lead by how clearly its QRS complexes stand out from what lies between them, and divides by their
    size, so that mV and normalised units go the same way.
    The envelope is the weighted slope of all leads, 1 at a typical QRS complex.
    """

    lines: Singles
    smooth: Singles
    clearness: Floats
    gain: Floats
    envelope: Floats


def coarse(segments_nLT: NDArray[np.floating[Any]]) -> Coarse:
    """Segments at 500 Hz, in any unit, to 125 Hz. Flat leads and leads with missing samples get no weight."""
    lines = without_mains(averages(segments_nLT))
    smooth = average(lines, 3)
    height = _qrs_height(smooth, lines)
    level = typical_maximum(height)
    level = np.where(level > _LEAST * np.maximum(lines.max(axis=-1), -lines.min(axis=-1)), level, 0.0)
    floor = median(height[..., ::_SPARSE])
    faint = (level > 0) & (level < _FAINT * floor)
    floor[faint] = median(height[faint])
    with np.errstate(divide="ignore", invalid="ignore"):
        clearness = np.where(level > 0, level / floor, 0.0)
    weight = _weights(clearness)
    scale = np.where(level > 0, 1.0 / np.where(level > 0, level, 1.0), 0.0)
    np.minimum(height, (_TALLEST * level[..., None]).astype(np.float32), out=height)
    envelope = ((weight * scale)[:, None, :] @ height)[:, 0]
    return Coarse(lines, smooth, clearness, weight * scale**2, envelope)


def _weights(clearness: Floats) -> Floats:
    """How much each lead says: [n, L], a segment's add up to 1, or to 0 without a usable lead."""
    weight = np.maximum(np.minimum(clearness, _CLEAREST) - 1.0, 0.0) ** 2
    middle = np.median(weight, axis=1, keepdims=True)
    weight = np.minimum(weight, np.where(middle > 0, _HEAVIEST * middle, np.inf))
    total = weight.sum(axis=1, keepdims=True)
    return np.where(total > 0, weight / np.where(total > 0, total, 1.0), 0.0)


def typical_maximum(lines: NDArray[np.floating[Any]]) -> Floats:
    """The largest value within 2 s, and of those over time a low one: a typical beat's height, whatever the rate."""
    size = lines.shape[-1]
    blocks = np.maximum.reduceat(lines, np.arange(0, max(size - _BLOCK // 2, 1), _BLOCK), axis=-1)
    width = min(_BLOCKS, blocks.shape[-1])
    sliding = np.lib.stride_tricks.sliding_window_view(blocks, width, axis=-1).max(axis=-1)
    rank = int(_TYPICAL * (sliding.shape[-1] - 1))
    return np.asarray(np.partition(sliding, rank, axis=-1)[..., rank])


def local_maxima(lines: Floats, reach: int) -> NDArray[np.bool_]:
    """Positive samples that are the largest within `reach` (even) on both sides; of equal ones the first."""
    half, size = reach // 2, lines.shape[-1]
    padded = np.pad(lines, [(0, 0)] * (lines.ndim - 1) + [(half, half + 1)])
    largest = maximum_filter1d(padded, reach, axis=-1, mode="constant")  # of the samples from t - reach to t - 1
    return (lines > 0) & (lines > largest[..., :size]) & (lines >= largest[..., reach + 1 :])


def _qrs_height(smooth: Singles, lines: Singles) -> Singles:
    """Root mean square over 104 ms of the slope between 5 and 20 Hz or so."""
    band = smooth - average(lines, 13)
    power = np.zeros_like(band)
    np.subtract(band[..., 2:], band[..., :-2], out=power[..., 1:-1])
    power *= power
    power = average(power, 13)
    np.maximum(power, np.float32(0.0), out=power)  # a running sum can leave -1e-20
    return np.sqrt(power, out=power)
