"""Any sampling rate to 500 Hz by a polyphase filter, without ringing at the ends."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from physioclr.ecg.record import FS
from physioclr.errors import RejectedRecording

MIN_FS = 50.0  # Hz: below it not even the T wave's shape is there
MAX_FS = 20_000.0  # Hz: above it the header is wrong
_LARGEST_DENOMINATOR = 1000  # keeps the filter short; exact for every rate in use, else off by under 1 in a million
_FILTER_SAMPLES = 10  # resample_poly's filter reaches this many samples of the slower rate to either side


def resampling_ratio(fs: float) -> Fraction:
    """500 Hz over `fs` as a fraction. Raises `RejectedRecording("bad_sampling_rate")` outside 50 Hz to 20 kHz."""
    if not MIN_FS <= fs <= MAX_FS:
        raise RejectedRecording("bad_sampling_rate", f"{fs:g} Hz is not between {MIN_FS:g} and {MAX_FS:g} Hz")
    return Fraction(FS / fs).limit_denominator(_LARGEST_DENOMINATOR)


def resampled_length(samples: int, ratio: Fraction) -> int:
    """How many 500 Hz samples fit in the time of `samples`: only whole ones, nothing is made up at the end."""
    return samples * ratio.numerator // ratio.denominator


def resample(signal: NDArray[np.float64], ratio: Fraction) -> NDArray[np.float64]:
    """`signal` [leads, T] at `ratio` times its rate: [leads, resampled_length(T, ratio)], first sample in place.

    The ends are continued by their own point reflection, so the filter sees neither a jump nor a kink there, and
    scipy's anti-aliasing low-pass (Kaiser, cut at the lower Nyquist frequency) keeps amplitude and phase.
    """
    from scipy.signal import resample_poly  # three seconds of a core, in processes that never resample too

    up, down = ratio.numerator, ratio.denominator
    length = resampled_length(signal.shape[1], ratio)
    if up == down:
        return signal
    reach = -(-_FILTER_SAMPLES * max(up, down) // up)  # of the filter, in input samples
    margin = down * (-(-reach // down) + 1)  # a multiple of `down`, so that the margin is whole samples in the output
    padded = np.pad(signal, ((0, 0), (margin, margin)), mode="reflect", reflect_type="odd")
    start = margin * up // down
    resampled: NDArray[np.float64] = resample_poly(padded, up, down, axis=1)[:, start : start + length]
    return resampled
