"""Which signal of a segment's 12 leads is measured: a lead, or their first principal component.

Shapes: n segments, L leads, T samples, t averages of 4 samples.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from physioclr.ecg.leads import LEADS

PRINCIPAL = "pca"
STEP = 4  # samples to an average: 8 ms at 500 Hz
_SECOND = 125  # averages
FAINTEST, LARGEST = 1e-10, 1e15  # size of a lead in any unit, and what single precision can work with

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]


class Averaged(Protocol):
    """What the caller has already: averages without mains, and the same smoothed over 3 of them."""

    @property
    def lines(self) -> Singles:
        """[n, L, t]."""

    @property
    def smooth(self) -> Singles:
        """[n, L, t]."""


def choose_lead(segments_nLT: NDArray[np.floating[Any]], lead: str, known: Averaged | None = None) -> Floats:
    """The lead of this name, in its unit, or with `pca` the first component: float64 [n, T]."""
    if lead == PRINCIPAL:
        return first_component(segments_nLT, known)
    return segments_nLT[:, LEADS.index(lead)].astype(np.float64)


def averages(segments_nLT: NDArray[np.floating[Any]]) -> Singles:
    """Means of every 4 samples less the first of them, float32 [n, L, t]; 0 in leads that have missing samples.

    Leads with infinite samples, and leads that are fainter or larger than any ECG in any unit, count as missing. A
    constant lead is exactly 0.
    """
    size = segments_nLT.shape[-1] // STEP * STEP
    with np.errstate(invalid="ignore", over="ignore"):
        parted = segments_nLT[..., :size].reshape(*segments_nLT.shape[:-1], size // STEP, STEP)
        total = parted @ np.full(STEP, 1.0 / STEP, dtype=segments_nLT.dtype)
        total -= total[..., :1].copy()
        lines = total.astype(np.float32, copy=False)
        extent = np.sqrt(np.einsum("nlt,nlt->nl", lines, lines))
        is_whole = (extent > FAINTEST) & (extent < LARGEST)
    if not is_whole.all():
        lines[~is_whole] = 0.0
    return lines


def without_mains(lines: Singles) -> Singles:
    """Each sample with half of its neighbours' mean: of mains at 50 Hz a tenth is left, at 60 Hz nothing."""
    out = lines * np.float32(0.5)
    neighbours = lines[..., :-2] + lines[..., 2:]
    neighbours *= np.float32(0.25)
    out[..., 1:-1] += neighbours
    out[..., :1], out[..., -1:] = lines[..., :1], lines[..., -1:]
    return out


def first_component(segments_nLT: NDArray[np.floating[Any]], known: Averaged | None = None) -> Floats:
    """First principal component of each segment's leads after each is standardised: float64 [n, T], the QRS upwards.

    Standardising gives each lead one vote, in mV and in normalised units alike. A component has no sign of its own:
    skewness decides, because QRS complexes are the tall and rare part of an ECG. Its directions come from averages over
    4 samples, without mains and without what is faster than 24 ms or slower than half a second: noise has no vote.
    Constant leads and leads with missing samples are left out; without any other the component is zero. No segment
    depends on the others, to the last bit.
    """
    lines_nLt = without_mains(averages(segments_nLT)) if known is None else known.lines
    fast_nLt = uniform_filter1d(lines_nLt, 3, axis=-1, mode="nearest") if known is None else known.smooth
    centred_nLt = fast_nLt - uniform_filter1d(lines_nLt, _SECOND // 2 | 1, axis=-1, mode="nearest")
    products_nLL = (centred_nLt @ centred_nLt.swapaxes(1, 2)).astype(np.float64)
    deviation_nL = np.sqrt(np.diagonal(products_nLL, axis1=1, axis2=2) / max(lines_nLt.shape[2], 1))
    deviation_nL = np.where(lines_nLt.any(axis=2), deviation_nL, 0.0)
    gain_nL = np.where(deviation_nL > 0, 1.0 / np.where(deviation_nL > 0, deviation_nL, 1.0), 0.0)
    _, vectors_nLL = np.linalg.eigh(products_nLL * gain_nL[:, :, None] * gain_nL[:, None, :])
    weights_nL = vectors_nLL[:, :, -1] * gain_nL
    if not gain_nL.all():
        segments_nLT = np.where(gain_nL[:, :, None] > 0, segments_nLT, 0.0)
    component_nT = (weights_nL.astype(segments_nLT.dtype)[:, None, :] @ segments_nLT)[:, 0].astype(np.float64)
    component_nT -= component_nT.mean(axis=1, keepdims=True)
    part_nt = (weights_nL.astype(np.float32)[:, None, :] @ centred_nLt)[:, 0].astype(np.float64)
    skewness_n = (part_nt * part_nt * part_nt).sum(axis=1)
    return np.where(skewness_n[:, None] < 0, -component_nT, component_nT)
