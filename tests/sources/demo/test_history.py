from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.sources.demo.conditions import MORPHOLOGY_SHARES, RHYTHM_SHARES, Ectopy, Rhythm
from physioclr.sources.demo.history import RATES, make_history

PATIENTS = st.integers(0, 10**6)


@given(st.integers(0, 2**31), PATIENTS, st.integers(1, 6), st.integers(0, 6))
@settings(max_examples=50, deadline=None)
def test_more_visits_leave_the_earlier_ones_as_they_were(seed: int, patient: int, few: int, more: int) -> None:
    long, short = make_history(seed, patient, few + more), make_history(seed, patient, few)
    assert long.visits[:few] == short.visits
    assert (long.age, long.sex, long.habit, long.morphology) == (short.age, short.sex, short.habit, short.morphology)


@given(st.integers(0, 2**31), PATIENTS)
@settings(max_examples=200, deadline=None)
def test_a_visit_is_what_its_labels_say(seed: int, patient: int) -> None:
    history = make_history(seed, patient, 4)
    assert 18 <= history.age <= 92
    assert history.sex in ("female", "male")
    for visit in history.visits:
        slowest, fastest = RATES[visit.rhythm]
        assert slowest <= visit.rate <= fastest
        assert visit.rhythm in visit.labels
        assert (visit.ectopy in visit.labels) == (visit.ectopy is not Ectopy.NONE)
        assert visit.rhythm in (history.habit, Rhythm.SINUS)
        assert visit.ectopy is Ectopy.NONE or visit.rhythm is not Rhythm.TACHYCARDIA


@pytest.mark.parametrize("seed", [0, 1, 17])
def test_even_ninety_patients_have_everything_in_its_share(seed: int) -> None:
    histories = [make_history(seed, patient, 3) for patient in range(90)]
    habits = Counter(history.habit for history in histories)
    shapes = Counter(history.morphology for history in histories)
    assert all(habits[rhythm] / 90 == pytest.approx(share, abs=0.025) for rhythm, share in RHYTHM_SHARES.items())
    assert all(shapes[shape] / 90 == pytest.approx(share, abs=0.025) for shape, share in MORPHOLOGY_SHARES.items())
    seen = {label for history in histories for visit in history.visits for label in visit.labels}
    assert {Ectopy.ATRIAL, Ectopy.VENTRICULAR} <= seen


def test_seeds_and_patients_differ() -> None:
    assert len({make_history(seed, patient, 2) for seed in range(5) for patient in range(40)}) == 200
