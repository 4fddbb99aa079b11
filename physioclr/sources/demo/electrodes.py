"""From the heart's dipole to twelve leads: where the electrodes look from, and how leads are derived from them.

Axes of the heart vector, in mV: x to the patient's left, y to the feet, z to the front. Potentials at nine electrodes
are fixed directions times the vector; leads are differences of electrodes, so Einthoven's law holds, noise included.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from physioclr.ecg.leads import LEADS

# Right arm, left arm, left leg: their sum is near zero, as Wilson's terminal wants it.
LIMB_DIRECTIONS = ((-0.31, -0.28, -0.03), (0.35, -0.42, -0.05), (-0.04, 0.70, 0.08))
# C1..C6 as (degrees from the left towards the front, degrees towards the feet, strength): near electrodes see more.
CHEST_DIRECTIONS = ((119, 8, 1.00), (89, 7, 1.40), (58, 5, 1.55), (27, 5, 1.35), (5, 6, 1.13), (-14, 5, 0.88))


def _chest(azimuth: float, elevation: float, strength: float) -> tuple[float, float, float]:
    a, e = np.radians(azimuth), np.radians(elevation)
    return strength * np.cos(a) * np.cos(e), strength * np.sin(e), strength * np.sin(a) * np.cos(e)


def _leads_from_electrodes() -> NDArray[np.float64]:
    """[8, 9]: I, II and V1..V6 as differences of RA, LA, LL, C1..C6; chest leads against the mean of the limbs."""
    matrix = np.zeros((8, 9))
    matrix[0, [0, 1]] = -1.0, 1.0
    matrix[1, [0, 2]] = -1.0, 1.0
    matrix[2:, :3] = -1.0 / 3.0
    matrix[range(2, 8), range(3, 9)] = 1.0
    return matrix


ELECTRODES = np.array([*LIMB_DIRECTIONS, *(_chest(*place) for place in CHEST_DIRECTIONS)])  # [9, 3]
INDEPENDENT = _leads_from_electrodes()  # [8, 9]
LIMB_LEADS = np.array([[-1.0, 1.0], [-0.5, -0.5], [1.0, -0.5], [-0.5, 1.0]])  # III, aVR, aVL, aVF from I and II
LEAD_MATRIX = np.concatenate([INDEPENDENT[:2], LIMB_LEADS @ INDEPENDENT[:2], INDEPENDENT[2:]])  # [12, 9]


def place_electrodes(rng: np.random.Generator, start: NDArray[np.float64], spread: float) -> NDArray[np.float64]:
    """`start` [9, 3] moved by chance: each electrode's direction by about `spread` of its length."""
    length = np.linalg.norm(start, axis=1, keepdims=True)
    placed: NDArray[np.float64] = start + rng.normal(0.0, spread, start.shape) * length
    return placed


def twelve_leads(potentials: NDArray[np.float64]) -> NDArray[np.int16]:
    """Electrode potentials [9, T] in mV as int16 [12, T] in microvolts (1000/mV), leads in the order of `LEADS`.

    The eight independent leads are rounded; the limb leads are derived from the rounded I and II, so that
    III = II - I exactly and aVR, aVL, aVF are within half a step of their definitions.
    """
    independent = np.rint((1000.0 * INDEPENDENT) @ potentials)
    leads = np.empty((len(LEADS), independent.shape[1]), dtype=np.int16)
    leads[:2], leads[6:] = independent[:2], independent[2:]
    leads[2:6] = np.rint(LIMB_LEADS @ independent[:2])  # multiples of a half: exact
    return leads
