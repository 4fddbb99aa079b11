"""A demo patient: one heart and one chest, the same in all of the patient's recordings."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from physioclr.sources.demo.conditions import Morphology, Rhythm
from physioclr.sources.demo.electrodes import ELECTRODES, LEAD_MATRIX, place_electrodes
from physioclr.sources.demo.history import History, make_history
from physioclr.sources.demo.shapes import (
    FOCI,
    P_ATRIAL,
    QRS,
    BeatShape,
    P,
    T,
    beat_shape,
    template,
    ventricular_template,
)

NORMAL_AXIS = (12.0, 72.0)  # degrees
AXES = {
    Morphology.LEFT_AXIS: (-62.0, -42.0),
    Morphology.RIGHT_AXIS: (108.0, 128.0),
    Morphology.LEFT_BUNDLE: (-15.0, 50.0),
}
LOW_VOLTAGE = (0.28, 0.40)  # mV, of the largest QRS in a limb lead where voltage is low: the clinical limit is 0.5
LOW_CHEST, USUAL = 0.85, 0.65  # mV: largest low QRS in a chest lead (limit 1.0); smallest usual one in the limb leads
SIZED = np.array([0.4, 1.0, 0.8])  # how much P, QRS and T share in the size of the heart's potentials, as exponents


@dataclass(frozen=True, slots=True)
class Fibrillation:
    """Atria that fibrillate: `frequency` in Hz, `direction` [2, 3] in mV of two wandering wavelets."""

    frequency: float
    direction: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Patient:
    """What persists. Intervals in s at 60 beats a minute; `electrodes` [9, 3] as in `electrodes.ELECTRODES`."""

    seed: int
    number: int
    age: int
    sex: str
    habit: Rhythm
    morphology: Morphology
    sinus_beat: BeatShape
    atrial_beat: BeatShape
    ventricular_beat: BeatShape
    fibrillation: Fibrillation
    pr: float
    qtc: float
    breath: float  # Hz
    electrodes: NDArray[np.float64]


def make_patient(seed: int, patient: int) -> Patient:
    """Patient number `patient` (from 0) of the demo with `seed`."""
    history = make_history(seed, patient, 0)
    rng = np.random.default_rng([seed, patient, 1])
    size = _size(rng, history)
    beat = _personal(rng, template(history.morphology), size)
    beat = _turn_to_axis(beat, rng.uniform(*AXES.get(history.morphology, NORMAL_AXIS)))
    electrodes = place_electrodes(rng, ELECTRODES, 0.07)
    beat = _at_voltage(beat, electrodes, rng.uniform(*LOW_VOLTAGE), history.morphology is Morphology.LOW_VOLTAGE)
    early = _personal(rng, beat_shape(P_ATRIAL, (), ()), size)
    ventricular = _personal(rng, ventricular_template(int(rng.integers(len(FOCI)))), size)
    wavelets = rng.normal((-0.01, 0.026, 0.058), (0.01, 0.010, 0.018), (2, 3)) * rng.uniform(0.5, 1.1)
    widened = history.morphology in (Morphology.LEFT_BUNDLE, Morphology.RIGHT_BUNDLE)
    return Patient(
        seed=seed,
        number=patient,
        age=history.age,
        sex=history.sex,
        habit=history.habit,
        morphology=history.morphology,
        sinus_beat=beat,
        atrial_beat=_with_p_of(beat, early),
        ventricular_beat=ventricular,
        fibrillation=Fibrillation(rng.uniform(4.8, 7.2), wavelets),
        pr=rng.uniform(0.245, 0.300) if history.morphology is Morphology.LONG_PR else rng.uniform(0.135, 0.185),
        qtc=rng.normal(0.412, 0.012) + 0.012 * (history.sex == "female") + 0.035 * widened,
        breath=rng.uniform(0.18, 0.32),
        electrodes=electrodes,
    )


def _size(rng: np.random.Generator, history: History) -> float:
    """How large the potentials are: smaller in women and with age."""
    size = float(np.clip(np.exp(rng.normal(0.05, 0.17)), 0.78, 1.45))
    return size * (1.0 - 0.08 * (history.sex == "female") - 0.0015 * (history.age - 50))


def _personal(rng: np.random.Generator, shape: BeatShape, size: float) -> BeatShape:
    """`shape` as one person has it: widths, amplitudes and directions of its own, and one stretch of the whole QRS."""
    waves = len(shape.anchor)
    gain = size ** SIZED[shape.anchor] * np.exp(rng.normal(0.0, 0.13, waves))
    length = np.linalg.norm(shape.direction, axis=1, keepdims=True)
    direction = (shape.direction + rng.normal(0.0, 0.10, (waves, 3)) * length) * gain[:, None]
    stretch = np.where(shape.anchor == QRS, rng.uniform(0.86, 1.06), rng.uniform(0.90, 1.08))
    before, after = (width * stretch * rng.uniform(0.93, 1.07, waves) for width in (shape.before, shape.after))
    return replace(shape, centre=shape.centre * stretch, before=before, after=after, direction=direction)


def _turn_to_axis(shape: BeatShape, degrees: float) -> BeatShape:
    """Turn the QRS in the frontal plane until its mean axis is `degrees` (0 left, 90 feet); T follows half-way."""
    qrs = shape.anchor == QRS
    area = ((shape.before + shape.after)[:, None] * shape.direction)[qrs].sum(axis=0)
    turn = np.radians(degrees) - np.arctan2(area[1], area[0])
    angle = np.select([qrs, shape.anchor == T], [turn, 0.4 * turn], 0.0)
    cos, sin = np.cos(angle), np.sin(angle)
    x, y, z = shape.direction.T
    return replace(shape, direction=np.stack([cos * x - sin * y, sin * x + cos * y, z], axis=1))


def _at_voltage(shape: BeatShape, electrodes: NDArray[np.float64], target: float, low: bool) -> BeatShape:
    """Bring the QRS below the limits of low voltage, its largest limb lead to `target` mV, or safely above them."""
    qrs = shape.part(QRS)
    delay = np.arange(-0.12, 0.14, 0.002) - qrs.centre[:, None]
    waves = np.exp(-0.5 * (delay / np.where(delay < 0, qrs.before[:, None], qrs.after[:, None])) ** 2)
    size = np.ptp(LEAD_MATRIX @ electrodes @ qrs.direction.T @ waves, axis=1)
    limb, chest = float(size[:6].max()), float(size[6:].max())
    factor = min(target / limb, LOW_CHEST / chest) if low else max(1.0, USUAL / limb)
    return replace(shape, direction=shape.direction * (factor ** SIZED[shape.anchor])[:, None])


def _with_p_of(beat: BeatShape, other: BeatShape) -> BeatShape:
    """`beat` with the P waves of `other`, which has as many."""
    p = beat.anchor == P
    fields = {}
    for name in ("centre", "before", "after", "direction"):
        fields[name] = getattr(beat, name).copy()
        fields[name][p] = getattr(other, name)
    return replace(beat, **fields)
