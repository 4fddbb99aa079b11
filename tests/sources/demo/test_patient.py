from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from physioclr.ecg.leads import LEADS
from physioclr.sources.demo.conditions import Ectopy, Morphology, Rhythm
from physioclr.sources.demo.history import Visit, make_history
from physioclr.sources.demo.patient import Patient, make_patient
from physioclr.sources.demo.recording import synthesise

SEED = 11
PLAIN = Visit(Rhythm.SINUS, Ectopy.NONE, 70.0, ())


@cache
def patients_with(morphology: Morphology, count: int = 8) -> list[Patient]:
    numbers = (number for number in range(10_000) if make_history(SEED, number, 0).morphology is morphology)
    return [make_patient(SEED, next(numbers)) for _ in range(count)]


def median_beat(patient: Patient, visit: Visit = PLAIN, recording: int = 0, noise: bool = False) -> NDArray[np.float64]:
    """The median beat [12, 350] in mV, from 0.3 s before the R peak on, at its level between P and QRS."""
    made = synthesise(patient, visit, recording, noise)
    times = made.beats.times
    starts = [round((time - 0.3) * 500) for time in times[(times > 0.5) & (times < 9.3)]]
    beat = np.median([made.signal[:, start : start + 350] / 1000.0 for start in starts], axis=0)
    return np.asarray(beat - beat[:, 115:120].mean(axis=1, keepdims=True))


def qrs(patient: Patient) -> dict[str, NDArray[np.float64]]:
    """The QRS of each lead, from 90 ms before the R peak to 130 ms after."""
    return dict(zip(LEADS, median_beat(patient)[:, 105:215], strict=True))


def width_ms(patient: Patient) -> float:
    """How long the QRS is steep in any lead."""
    steep = np.max(np.abs(np.diff(np.stack(list(qrs(patient).values())), axis=1)), axis=0)
    over = np.flatnonzero(steep > 0.08 * steep.max())
    return float(2 * (over[-1] - over[0]))


def axis(patient: Patient) -> float:
    """The frontal QRS axis in degrees as read from the net areas of I and aVF."""
    leads = qrs(patient)
    return float(np.degrees(np.arctan2(2 / np.sqrt(3) * leads["aVF"].sum(), leads["I"].sum())))


def test_a_patient_is_a_pure_function_of_seed_and_number() -> None:
    first, again, other = make_patient(3, 5), make_patient(3, 5), make_patient(4, 5)
    assert np.array_equal(first.sinus_beat.direction, again.sinus_beat.direction)
    assert np.array_equal(first.electrodes, again.electrodes)
    assert not np.array_equal(first.electrodes, other.electrodes)
    assert (first.pr, first.qtc) == (again.pr, again.qtc)


def test_bundle_branch_blocks_are_wide() -> None:
    normal = [width_ms(patient) for patient in patients_with(Morphology.NORMAL)]
    blocked = [width_ms(p) for m in (Morphology.LEFT_BUNDLE, Morphology.RIGHT_BUNDLE) for p in patients_with(m)]
    assert min(normal) > 60
    assert max(normal) < 112
    assert min(blocked) > 118


def test_left_bundle_block_is_negative_in_v1_and_all_positive_in_v6() -> None:
    for patient in patients_with(Morphology.LEFT_BUNDLE):
        leads = qrs(patient)
        assert leads["V1"].min() < -3 * leads["V1"].max()
        assert leads["V6"].max() > 5 * -leads["V6"].min()  # no septal q


def test_right_bundle_block_ends_to_the_right() -> None:
    for patient in patients_with(Morphology.RIGHT_BUNDLE):
        leads = qrs(patient)
        late = slice(60, 95)  # 30 to 100 ms after the R peak
        assert leads["V1"][late].max() > 0.2  # R'
        assert leads["V6"][late].min() < -0.15  # slurred S


def test_axes_are_where_the_labels_say() -> None:
    assert all(-90 < axis(patient) < -28 for patient in patients_with(Morphology.LEFT_AXIS))
    assert all(92 < axis(patient) < 150 for patient in patients_with(Morphology.RIGHT_AXIS))
    assert all(-25 < axis(patient) < 90 for patient in patients_with(Morphology.NORMAL))


def test_low_voltage_is_below_the_clinical_limits_and_others_are_not() -> None:
    def size(patient: Patient) -> tuple[float, float]:
        leads = qrs(patient)
        return max(np.ptp(leads[lead]) for lead in LEADS[:6]), max(np.ptp(leads[lead]) for lead in LEADS[6:])

    for patient in patients_with(Morphology.LOW_VOLTAGE):
        limb, chest = size(patient)
        assert limb < 0.5
        assert chest < 1.0
    for patient in patients_with(Morphology.NORMAL):
        assert size(patient)[0] > 0.55


def test_t_is_upright_unless_it_is_inverted() -> None:
    def t_wave(patient: Patient, lead: str) -> float:
        after = median_beat(patient)[LEADS.index(lead), 240:330]
        return float(after[np.argmax(np.abs(after))])

    for lead in ("II", "V4", "V5"):
        assert all(t_wave(patient, lead) > 0.05 for patient in patients_with(Morphology.NORMAL))
        assert all(t_wave(patient, lead) < -0.05 for patient in patients_with(Morphology.T_INVERSION))


def test_long_pr_is_over_200_ms_at_any_sinus_rate() -> None:
    for patient in patients_with(Morphology.LONG_PR):
        assert patient.pr * (60 / 130) ** 0.15 > 0.2
    assert all(patient.pr < 0.2 for patient in patients_with(Morphology.NORMAL))


def test_a_patient_resembles_himself_more_than_others_with_the_same_diagnosis() -> None:
    def beat(patient: Patient, recording: int) -> NDArray[np.float64]:
        visit = Visit(Rhythm.SINUS, Ectopy.NONE, 66.0 + 10.0 * recording, ())
        return median_beat(patient, visit, recording, noise=True)[:, 50:280].ravel()

    for morphology in (Morphology.NORMAL, Morphology.LEFT_BUNDLE):
        first = [beat(patient, 0) for patient in patients_with(morphology)]
        second = [beat(patient, 1) for patient in patients_with(morphology)]
        count = len(first)
        alike = np.corrcoef(first, second)[:count, count:]
        own, others = np.diag(alike), alike[~np.eye(count, dtype=bool)]
        assert own.min() > 0.9
        assert own.min() > np.quantile(others, 0.9)
        assert np.array_equal(np.argmax(alike, axis=1), np.arange(count))
