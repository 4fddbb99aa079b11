from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from physioclr.ecg.leads import LEADS
from physioclr.sources.demo.electrodes import ELECTRODES, place_electrodes, twelve_leads


def slow_leads(potentials: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Leads in microvolts by their definitions (Einthoven, Goldberger, Wilson), nothing rounded."""
    ra, la, ll, *chest = 1000.0 * potentials
    leads = {"I": la - ra, "II": ll - ra, "III": ll - la}
    leads |= {"aVR": ra - (la + ll) / 2, "aVL": la - (ra + ll) / 2, "aVF": ll - (ra + la) / 2}
    return leads | {f"V{i + 1}": c - (ra + la + ll) / 3 for i, c in enumerate(chest)}


@given(arrays(np.float64, (9, 20), elements=st.floats(-5.0, 5.0)))
@settings(max_examples=60, deadline=None)
def test_leads_are_their_definitions_and_einthoven_holds_in_integers(potentials: NDArray[np.float64]) -> None:
    signal = twelve_leads(potentials)
    assert signal.dtype == np.int16
    by_name = dict(zip(LEADS, signal.astype(np.int64), strict=True))
    assert np.array_equal(by_name["III"], by_name["II"] - by_name["I"])
    assert np.max(np.abs(by_name["aVR"] + by_name["aVL"] + by_name["aVF"])) <= 1
    assert np.max(np.abs(2 * by_name["aVR"] + by_name["I"] + by_name["II"])) <= 1
    assert np.max(np.abs(2 * by_name["aVL"] - by_name["I"] + by_name["III"])) <= 1
    assert np.max(np.abs(2 * by_name["aVF"] - by_name["II"] - by_name["III"])) <= 1
    for lead, expected in slow_leads(potentials).items():
        assert np.max(np.abs(by_name[lead] - expected)) <= 1.3, lead  # a half for each of two, and a half of rounding


def test_electrodes_look_from_where_they_sit() -> None:
    towards = {"left": (1.0, 0.0, 0.0), "feet": (0.0, 1.0, 0.0), "front": (0.0, 0.0, 1.0)}
    seen = {
        name: dict(zip(LEADS, twelve_leads(ELECTRODES @ np.array(vector)[:, None])[:, 0].tolist(), strict=True))
        for name, vector in towards.items()
    }
    assert min(seen["left"][lead] for lead in ("I", "V5", "V6")) > 500
    assert seen["left"]["V1"] < -300
    assert min(seen["feet"][lead] for lead in ("II", "III", "aVF")) > 500
    assert max(seen["feet"][lead] for lead in ("aVR", "aVL")) < -300
    assert min(seen["front"][lead] for lead in ("V1", "V2", "V3")) > 500


def test_placement_is_near_and_reproducible() -> None:
    placed = place_electrodes(np.random.default_rng(3), ELECTRODES, 0.02)
    assert np.array_equal(placed, place_electrodes(np.random.default_rng(3), ELECTRODES, 0.02))
    moved = np.linalg.norm(placed - ELECTRODES, axis=1) / np.linalg.norm(ELECTRODES, axis=1)
    assert 0 < moved.max() < 0.12
