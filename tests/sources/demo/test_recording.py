from __future__ import annotations

import warnings
from functools import cache

import neurokit2 as nk
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from physioclr.sources.demo.conditions import Ectopy, Morphology, Rhythm
from physioclr.sources.demo.history import RATES, Visit, make_history
from physioclr.sources.demo.patient import make_patient
from physioclr.sources.demo.recording import synthesise


@given(st.integers(0, 2**31), st.integers(0, 10**6), st.booleans())
@settings(max_examples=40, deadline=None)
def test_any_recording_is_twelve_living_leads(seed: int, number: int, noise: bool) -> None:
    patient = make_patient(seed, number)
    for recording, visit in enumerate(make_history(seed, number, 2).visits):
        signal = synthesise(patient, visit, recording, noise).signal
        assert signal.shape == (12, 5000)
        assert signal.dtype == np.int16
        wide = signal.astype(np.int64)
        assert np.array_equal(wide[2], wide[1] - wide[0])
        assert np.max(np.abs(2 * wide[3] + wide[0] + wide[1])) <= 1
        assert np.all(np.ptp(wide, axis=1) > 8)  # a lead across the axis, where voltage is low, is nearly flat
        assert np.max(np.abs(wide)) < 8000


def test_it_is_the_same_whenever_it_is_made_and_differs_from_the_next() -> None:
    patient, visits = make_patient(5, 1), make_history(5, 1, 2).visits
    second = synthesise(patient, visits[1], 1).signal
    first = synthesise(patient, visits[0], 0).signal
    assert np.array_equal(synthesise(make_patient(5, 1), visits[1], 1).signal, second)
    assert not np.array_equal(first, second)
    again = synthesise(patient, visits[0], 1).signal.astype(np.float64)  # the same visit, another day
    assert np.max(np.abs(np.corrcoef(again, first)[:12, 12:].diagonal())) < 0.98
    assert not np.array_equal(synthesise(patient, visits[0], 0, noise=False).signal, first)


@cache
def _seen(rhythm: Rhythm, count: int = 6) -> list[dict[str, NDArray[np.float64]]]:
    """What NeuroKit2 sees in lead II of patients with normal beats in `rhythm`, as it is used for the features."""
    normal = [n for n in range(200) if make_history(2, n, 0).morphology is Morphology.NORMAL][:count]
    seen = []
    for place, number in enumerate(normal):
        slowest, fastest = RATES[rhythm]
        visit = Visit(rhythm, Ectopy.NONE, slowest + (place + 0.5) / count * (fastest - slowest), ())
        lead = synthesise(make_patient(2, number), visit, 0).signal[1] / 1000.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            clean = nk.ecg_clean(lead, 500)
            r_peaks = nk.ecg_peaks(clean, 500)[1]["ECG_R_Peaks"]
            waves = nk.ecg_delineate(clean, r_peaks, 500, method="prominence")[1]
        seen.append({name: np.asarray(w, dtype=np.float64) for name, w in waves.items()} | {"R": r_peaks / 500})
    return seen


def _found(rhythm: Rhythm, wave: str) -> float:
    return float(np.mean([np.mean(np.isfinite(waves[wave])) for waves in _seen(rhythm)]))


@pytest.mark.parametrize(
    ("rhythm", "slowest", "fastest"),
    [(Rhythm.BRADYCARDIA, 35, 60), (Rhythm.SINUS, 60, 100), (Rhythm.TACHYCARDIA, 100, 180)],
)
def test_neurokit_sees_the_rate_of_the_label(rhythm: Rhythm, slowest: float, fastest: float) -> None:
    for waves in _seen(rhythm):
        assert slowest < 60.0 / np.mean(np.diff(waves["R"])) < fastest


def test_neurokit_sees_fibrillation_as_irregular() -> None:
    def variation(waves: dict[str, NDArray[np.float64]]) -> float:
        return float(np.std(np.diff(waves["R"])) / np.mean(np.diff(waves["R"])))

    assert min(map(variation, _seen(Rhythm.FIBRILLATION))) > 2 * max(map(variation, _seen(Rhythm.SINUS)))


def test_neurokit_finds_the_waves_of_sinus_rhythm() -> None:
    for wave in ("ECG_P_Peaks", "ECG_P_Onsets", "ECG_R_Onsets", "ECG_R_Offsets", "ECG_T_Peaks", "ECG_T_Offsets"):
        assert _found(Rhythm.SINUS, wave) > 0.9, wave


def test_p_waves_stand_still_before_the_qrs_only_in_sinus_rhythm() -> None:
    def steady(rhythm: Rhythm) -> float:
        """Share of the beats whose P wave keeps its recording's usual distance: any bump passes for a P wave."""
        delays = [waves["ECG_P_Peaks"] / 500 - waves["R"] for waves in _seen(rhythm)]
        return float(np.mean(np.concatenate([np.abs(delay - np.nanmedian(delay)) < 0.015 for delay in delays])))

    assert steady(Rhythm.SINUS) > 0.9
    assert steady(Rhythm.FIBRILLATION) < 0.6
