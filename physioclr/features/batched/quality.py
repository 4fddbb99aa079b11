"""How far the beats of a segment can be trusted: a number for each lead, one for the segment, and what is unusable.

Shapes: n segments, L leads, B beats, W samples of a window.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from physioclr.features.batched.beats import Beats
from physioclr.features.batched.coarse import RATE, Coarse
from physioclr.features.batched.windows import Floats, cut, mean_by_segment, sum_by_segment

_BEFORE, _WIDTH, _EVERY = round(0.200 * RATE), round(0.500 * RATE), 2  # of the window compared from beat to beat
_CLEAR = 20.0  # times what lies between them: QRS complexes of a clean lead stand out at least so much
_LEAST = 1.4  # times the same: where nothing stands out more, what repeats itself is the mains (60 Hz alone: 1.34)
UNUSABLE = 0.35  # the lead in the middle is worse than this


def lead_quality(found: Coarse, beats: Beats) -> Floats:
    """From 0 to 1 for each lead, [n, L]: the mean of two shares.

    How clearly the QRS complexes stand out from what lies between them (logarithmic, 1 at 20 times), and how much of
    the signal around the beats repeats itself from beat to beat. No voltage is involved, so any unit will do. Where
    nothing stands out the second share is 0.
    """
    clear = np.clip(np.log(np.maximum(found.clearness, 1.0)) / np.log(_CLEAR), 0.0, 1.0)
    return 0.5 * (clear + np.where(found.clearness < _LEAST, 0.0, _repeating(found, beats)))


def segment_quality(leads_nL: Floats) -> Floats:
    """The worst lead's, [n]: a 12-lead ECG is as good as its worst lead to whoever reads all of them."""
    return leads_nL.min(axis=1)


def is_unusable(leads_nL: Floats) -> NDArray[np.bool_]:
    """Most leads show no heart beat that recurs: bool [n]. One bad lead, or five, do not make a segment unusable."""
    return np.median(leads_nL, axis=1) < UNUSABLE


def _repeating(found: Coarse, beats: Beats) -> Floats:
    share = np.zeros(found.gain.shape)
    if not len(beats.at):
        return share
    windows = cut(found.smooth, beats.segment, beats.at - _BEFORE, _WIDTH)[..., ::_EVERY]  # [B, L, W]
    windows = windows - windows.mean(axis=-1, keepdims=True)
    number = np.cumsum(beats.is_first) - 1
    own = windows - mean_by_segment(windows, beats.is_first)[number]
    whole = sum_by_segment((windows * windows).sum(axis=-1), beats.is_first)
    rest = sum_by_segment((own * own).sum(axis=-1), beats.is_first)
    count = np.bincount(number)[:, None]
    known = (whole > 0) & (count > 1)
    # the mean of c beats takes 1/c of what does not repeat with it
    ratio = np.where(known, rest / np.where(known, whole, 1.0) * count / np.maximum(count - 1, 1), 1.0)
    share[beats.segment[beats.is_first]] = np.clip(1.0 - ratio, 0.0, 1.0)
    return share
