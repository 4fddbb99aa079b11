"""Templates of heart beats: sums of Gaussian-shaped waves, each pointing somewhere in the chest.

One row of a template is (centre ms, width before the peak ms, width after ms, x, y, z mV); axes as in `electrodes`.
P waves count from the P onset, QRS waves from the R peak, T waves from the end of T at a heart rate of 60.
Forms follow what any ECG textbook says of vector loops: septum first, then the left ventricle, then its base; with a
blocked right bundle a late wave to the right and front; with a blocked left one a broad notched wave to the left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physioclr.sources.demo.conditions import Morphology

Rows = tuple[tuple[float, ...], ...]

P_SINUS: Rows = ((40, 15, 17, 0.040, 0.100, 0.055), (66, 17, 17, 0.075, 0.060, -0.035))
P_ATRIAL: Rows = ((32, 12, 14, -0.055, -0.095, 0.060), (54, 14, 14, -0.040, -0.050, -0.030))  # from low in the atrium
QRS_NORMAL: Rows = (
    (-26, 8, 8, -0.16, -0.06, 0.34),
    (-2, 10, 9, 0.95, 0.88, -0.05),
    (13, 9, 10, 0.42, 0.22, -0.72),
    (33, 9, 9, -0.14, -0.22, -0.24),
)
QRS_LEFT_BUNDLE: Rows = (
    (-36, 12, 12, 0.28, 0.16, -0.02),
    (-8, 16, 17, 0.92, 0.55, -0.72),
    (33, 19, 19, 0.98, 0.32, -0.78),
    (64, 12, 12, 0.06, -0.10, -0.26),
)
QRS_RIGHT_BUNDLE: Rows = (
    (-27, 8, 8, -0.16, -0.06, 0.34),
    (-3, 10, 9, 0.92, 0.82, -0.08),
    (12, 9, 10, 0.38, 0.20, -0.52),
    (45, 15, 15, -0.36, -0.06, 0.46),
    (68, 14, 15, -0.44, -0.10, 0.52),
)
T_NORMAL: Rows = ((-82, 60, 36, 0.27, 0.22, 0.18), (-170, 60, 50, 0.035, 0.03, 0.03))
T_INVERTED: Rows = ((-82, 48, 36, -0.30, -0.22, -0.12), (-165, 50, 45, -0.02, -0.02, 0.0))
T_LEFT_BUNDLE: Rows = ((-86, 62, 38, -0.30, -0.13, 0.36), (-180, 60, 60, -0.06, -0.03, 0.10))
T_RIGHT_BUNDLE: Rows = ((-82, 58, 36, 0.30, 0.20, -0.13), (-170, 50, 50, 0.02, 0.02, -0.03))

# A ventricular beat spreads slowly, away from its focus: from the right outflow tract, or from the left ventricle.
QRS_VENTRICULAR: Rows = ((-34, 20, 20, 0.45, 0.45, 0.45), (-2, 24, 24, 0.9, 0.9, 0.9), (40, 22, 22, 0.55, 0.55, 0.55))
FOCI = ((0.45, 1.25, -0.85), (-0.75, 1.00, 0.95), (0.55, -0.95, -0.90), (-0.60, -1.00, 1.00))

TEMPLATES: dict[Morphology, tuple[Rows, Rows]] = {
    Morphology.LEFT_BUNDLE: (QRS_LEFT_BUNDLE, T_LEFT_BUNDLE),
    Morphology.RIGHT_BUNDLE: (QRS_RIGHT_BUNDLE, T_RIGHT_BUNDLE),
    Morphology.T_INVERSION: (QRS_NORMAL, T_INVERTED),
}

P, QRS, T = 0, 1, 2  # anchors


@dataclass(frozen=True, slots=True)
class BeatShape:
    """W waves of one kind of beat: `anchor` int [W]; times in s [W]; `direction` [W, 3] in mV."""

    anchor: NDArray[np.int64]
    centre: NDArray[np.float64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    direction: NDArray[np.float64]

    def part(self, anchor: int) -> BeatShape:
        """The waves of one anchor: P, QRS or T."""
        of = self.anchor == anchor
        return BeatShape(self.anchor[of], self.centre[of], self.before[of], self.after[of], self.direction[of])

    @property
    def qrs_onset(self) -> float:
        """Seconds from the R peak to where the QRS begins (negative): 2.5 widths before its first wave."""
        qrs = self.anchor == QRS
        return float(np.min(self.centre[qrs] - 2.5 * self.before[qrs]))


def beat_shape(p: Rows, qrs: Rows, t: Rows) -> BeatShape:
    """The template with these P, QRS and T waves; each may be empty."""
    rows = np.array([*p, *qrs, *t], dtype=np.float64)
    anchor = np.repeat([P, QRS, T], [len(p), len(qrs), len(t)])
    centre, before, after = rows[:, :3].T / 1000.0
    return BeatShape(anchor, centre, before, after, rows[:, 3:])


def template(morphology: Morphology) -> BeatShape:
    """The average beat of people with `morphology`, without its particular size or axis."""
    qrs, t = TEMPLATES.get(morphology, (QRS_NORMAL, T_NORMAL))
    return beat_shape(P_SINUS, qrs, t)


def ventricular_template(focus: int) -> BeatShape:
    """A ventricular premature beat from `FOCI[focus]`: broad, without a P wave, T against the QRS."""
    away = np.array(FOCI[focus])
    qrs: Rows = tuple((*row[:3], *(np.array(row[3:]) * away)) for row in QRS_VENTRICULAR)
    t: Rows = ((-90, 75, 42, *(-0.42 * away)),)
    return beat_shape((), qrs, t)
