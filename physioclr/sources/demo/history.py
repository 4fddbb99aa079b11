"""Who a demo patient is and what each recording will show, as a pure function of (seed, patient).

Nothing is synthesised here: labels, age and sex of a million recordings are listed in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from physioclr.sources.demo.conditions import (
    ECTOPY_SHARES,
    MORPHOLOGY_SHARES,
    RHYTHM_SHARES,
    Ectopy,
    Morphology,
    Rhythm,
    labels,
    pick,
)

# Steps of the R2 low-discrepancy sequence (powers of the inverse plastic number). It spreads any number of patients
# evenly over the pairs of rhythm and morphology, while each patient still depends on nothing but its own number.
R2_STEPS = (0.7548776662466927, 0.5698402909980532)
SEED_STEPS = (2.0**0.5, 3.0**0.5)  # another seed starts the sequence elsewhere
HABIT_KEPT = 0.85  # share of the recordings that show the patient's own rhythm
ECTOPY_SHOWN = 0.75  # share of the recordings in which a patient's premature beats occur

RATES = {  # beats a minute, between which a recording's mean sinus rate lies; kept clear of the limits 60 and 100
    Rhythm.SINUS: (64.0, 93.0),
    Rhythm.ARRHYTHMIA: (62.0, 85.0),
    Rhythm.BRADYCARDIA: (40.0, 56.0),
    Rhythm.TACHYCARDIA: (105.0, 130.0),
    Rhythm.FIBRILLATION: (62.0, 132.0),
}
AGES = {
    Rhythm.SINUS: (20.0, 88.0),
    Rhythm.ARRHYTHMIA: (18.0, 45.0),
    Rhythm.BRADYCARDIA: (20.0, 88.0),
    Rhythm.TACHYCARDIA: (18.0, 85.0),
    Rhythm.FIBRILLATION: (52.0, 92.0),
}


@dataclass(frozen=True, slots=True)
class Visit:
    """One recording before it is made. `rate` is the mean in beats a minute, without premature beats."""

    rhythm: Rhythm
    ectopy: Ectopy
    rate: float
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class History:
    """A patient's traits and the visits in order. Asking for more visits never changes the earlier ones."""

    age: int
    sex: str
    habit: Rhythm
    morphology: Morphology
    visits: tuple[Visit, ...]


def make_history(seed: int, patient: int, recordings: int) -> History:
    """The history of patient number `patient` (from 0) with `recordings` visits."""
    draws = np.random.default_rng([seed, patient, 0]).random((recordings + 1, 4)).tolist()
    habit = pick(RHYTHM_SHARES, ((patient + 1) * R2_STEPS[0] + seed * SEED_STEPS[0]) % 1.0)
    morphology = pick(MORPHOLOGY_SHARES, ((patient + 1) * R2_STEPS[1] + seed * SEED_STEPS[1]) % 1.0)
    age_draw, sex_draw, ectopy_draw, rate_draw = draws[0]
    youngest, oldest = AGES[habit]
    return History(
        age=round(youngest + (oldest - youngest) * age_draw),
        sex="female" if sex_draw < 0.5 else "male",
        habit=habit,
        morphology=morphology,
        visits=tuple(_visit(habit, morphology, pick(ECTOPY_SHARES, ectopy_draw), rate_draw, row) for row in draws[1:]),
    )


def _visit(habit: Rhythm, morphology: Morphology, tendency: Ectopy, pace: float, draws: list[float]) -> Visit:
    """One visit: `pace` is where in its range the patient's rate usually is, `draws` four numbers in [0, 1)."""
    rhythm_draw, ectopy_draw, rate_draw = draws[:3]
    rhythm = habit if rhythm_draw < HABIT_KEPT else Rhythm.SINUS
    ectopy = tendency if ectopy_draw < ECTOPY_SHOWN else Ectopy.NONE
    if rhythm is Rhythm.TACHYCARDIA or (rhythm is Rhythm.FIBRILLATION and ectopy is Ectopy.ATRIAL):
        ectopy = Ectopy.NONE  # no room for an early beat, or no atrial beat to come early
    slowest, fastest = RATES[rhythm]
    rate = slowest + (fastest - slowest) * (0.6 * pace + 0.4 * rate_draw)
    return Visit(rhythm, ectopy, rate, labels(rhythm, ectopy, morphology))
