"""One demo recording: a patient's heart in one rhythm, through electrodes that never sit quite the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from physioclr.sources.demo.electrodes import place_electrodes, twelve_leads
from physioclr.sources.demo.heart import heart_vector
from physioclr.sources.demo.history import Visit
from physioclr.sources.demo.noise import draw_levels, electrode_noise
from physioclr.sources.demo.patient import Patient
from physioclr.sources.demo.rhythm import Beats, beats


@dataclass(frozen=True, slots=True)
class DemoRecording:
    """`signal` int16 [12, 5000] in microvolts at 500 Hz, leads in the usual order; `beats` is the truth behind it."""

    signal: NDArray[np.int16]
    beats: Beats


def synthesise(patient: Patient, visit: Visit, recording: int, noise: bool = True) -> DemoRecording:
    """Recording number `recording` (from 0) of `patient`, showing `visit`. Without `noise` it is the heart alone.

    A pure function of its arguments: the same recording comes out wherever and whenever it is made.
    """
    rng = np.random.default_rng([patient.seed, patient.number, 2, recording])
    when = beats(rng, visit, patient.breath, patient.age)
    heart = heart_vector(rng, patient, when, visit.rhythm)
    potentials = place_electrodes(rng, patient.electrodes, 0.02) @ heart
    if noise:
        potentials += electrode_noise(rng, draw_levels(rng))
    return DemoRecording(twelve_leads(potentials), when)
