"""The engine on clean, odd and bad signals: a delineation comes out, and its status says what was wrong."""

import itertools
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.config import FeatureConfig
from physioclr.features import neurokit
from physioclr.features.delineation import STATUSES, WAVES

METHODS = ("prominence", "dwt", "cwt", "peak")
DETECTORS = ("khamis2016", "kalidas2017", "rodrigues2021", "pantompkins1985")
SHAPE = ((-0.16, 0.15, 0.025), (-0.03, -0.1, 0.01), (0.0, 1.0, 0.01), (0.03, -0.2, 0.01), (0.28, 0.3, 0.05))


def ecg(r_seconds: list[float], seconds: float = 5.0) -> np.ndarray:
    """P, Q, R, S and T as Gaussians (time from R in s, height, width in s) around each R peak."""
    t = np.arange(int(seconds * 500)) / 500
    signal = np.zeros(len(t))
    for r in r_seconds:
        for centre, height, width in SHAPE:
            signal += height * np.exp(-0.5 * ((t - r - centre) / width) ** 2)
    return signal


@pytest.mark.parametrize("method", METHODS)
def test_finds_the_waves_of_a_clean_signal(method: str) -> None:
    r_seconds = [0.5, 1.3, 2.1, 2.9, 3.7, 4.5]
    found = neurokit.delineate(neurokit.clean(ecg(r_seconds)), method=method)
    assert found.status == ("ok",)
    np.testing.assert_allclose(found.r_peaks / 500, r_seconds, atol=0.01)
    inner = slice(1, -1)
    np.testing.assert_allclose((found.p_peak - found.r_peaks)[inner] / 500, -0.16, atol=0.02)
    np.testing.assert_allclose((found.t_peak - found.r_peaks)[inner] / 500, 0.28, atol=0.02)
    assert ((found.qrs_offset - found.qrs_onset)[inner] > 10).all()


@pytest.mark.parametrize("method", METHODS)
def test_says_which_signals_it_cannot_read(method: str) -> None:
    rng = np.random.default_rng(0)
    missing = ecg([1, 2, 3, 4])
    missing[700] = np.nan
    infinite = np.where(np.isnan(missing), np.inf, missing)
    bad = [np.zeros(2500), np.full(2500, 7.0), missing, infinite, np.empty(0), rng.normal(size=30), ecg([2.5])]
    for signal in bad:
        found = neurokit.delineate(neurokit.clean(signal), method=method)
        assert found.status == ("no_beats",)
        assert len(found.r_peaks) < 2
        assert not len(found.intervals(0))


@pytest.mark.parametrize("method", METHODS)
def test_a_beat_that_the_start_cuts_costs_no_other_its_waves(method: str) -> None:
    found = neurokit.delineate(neurokit.clean(ecg([0.07 + 0.7 * beat for beat in range(7)])), method=method)
    assert found.status == ("ok",)
    assert len(found.r_peaks) == 7
    np.testing.assert_allclose((found.t_peak - found.r_peaks)[1:-1] / 500, 0.28, atol=0.02)


@pytest.mark.parametrize("first", [0.08, 0.12, 0.25, 0.75])
def test_the_first_and_the_last_beats_are_found_and_no_others(first: float) -> None:
    """NeuroKit2 alone keeps no peak in the first 300 ms, and takes waves for beats where a signal ends quietly."""
    every = np.arange(first - 0.8, 7.0, 0.8)
    signal = ecg(every.tolist()) + 0.3 * np.arange(2500) / 2500  # a drift makes no jump where the signal is continued
    for one, beats in ((signal, every), (signal[::-1].copy(), 5.0 - every[::-1])):
        inner = beats[(beats > 0.05) & (beats < 4.95)]
        found = neurokit.delineate(neurokit.clean(one)).r_peaks / 500
        np.testing.assert_allclose(found, inner, atol=0.02)


@pytest.mark.parametrize("detector", DETECTORS)
def test_other_detectors_mark_the_r_peak_as_well(detector: str) -> None:
    r_seconds = np.arange(0.45, 5.0, 0.8)
    found = neurokit.find_r_peaks(neurokit.clean(ecg(r_seconds.tolist())), 500, detector) / 500
    np.testing.assert_allclose(found, r_seconds, atol=0.005)


def test_a_signal_goes_on_as_its_first_and_last_beat() -> None:
    rng = np.random.default_rng(0)
    signal = rng.normal(size=20)
    found = neurokit._continued(signal, 6, 15)
    np.testing.assert_array_equal(found[15:-15], signal)
    for k in range(1, 16):
        np.testing.assert_allclose(found[15 - k], found[15 - k + 6] - (signal[6] - signal[0]))
        np.testing.assert_allclose(found[-16 + k], found[-16 + k - 6] + (signal[-1] - signal[-7]))


def test_two_beats_are_few() -> None:
    assert neurokit.delineate(neurokit.clean(ecg([1.5, 3.5]))).status == ("few_beats",)


@pytest.mark.parametrize("method", ["dwt", "cwt", "peak"])
def test_methods_that_need_four_beats_keep_the_r_peaks_they_had(method: str) -> None:
    found = neurokit.delineate(neurokit.clean(ecg([1, 2.5, 4])), method=method)
    assert found.status == ("delineation_failed",)
    assert len(found.r_peaks) == 3
    assert np.isnan(found.t_peak).all()


@st.composite
def odd_signals(draw: st.DrawFn) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["noise", "walk", "spikes", "step", "sine", "coarse", "cut", "beats"]))
    t = np.arange(2500)
    noise = rng.normal(size=2500)
    signal = {
        "noise": noise,
        "walk": np.cumsum(noise),
        "spikes": np.where(rng.random(2500) < 0.002, 5 * noise, 0.0),
        "step": np.where(t > rng.integers(2500), 1.0, 0.0),
        "sine": np.sin(t * rng.uniform(0.001, 1)),
        "coarse": np.round(noise * 0.6),
        "cut": np.where(t > rng.integers(2500), noise, 0.0),
        "beats": ecg(list(np.cumsum(rng.uniform(0.2, 1.6, 12)))) + noise * rng.choice([0.0, 0.02, 0.3]),
    }[kind]
    return signal * draw(st.sampled_from([1e-9, 1.0, 1e9]))


@given(odd_signals(), st.sampled_from(("prominence", "prominence", "dwt", "cwt", "peak")))
@settings(max_examples=80, deadline=None)
def test_never_raises_or_warns_and_what_it_finds_is_possible(signal: np.ndarray, method: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = neurokit.delineate(neurokit.clean(signal), method=method)
    assert set(found.status) < set(STATUSES)
    assert (np.diff(found.r_peaks) > 0).all()
    for wave in WAVES:
        points = getattr(found, wave)
        assert points.shape == found.r_peaks.shape
        assert not (points < 0).any()
        assert not (points >= 2500).any()
    for first, second in itertools.pairwise(WAVES):
        assert not (getattr(found, first) > getattr(found, second)).any(), (first, second)


@given(odd_signals(), st.sampled_from(DETECTORS))
@settings(max_examples=60, deadline=None)
def test_other_detectors_never_raise_and_keep_beats_apart(signal: np.ndarray, detector: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = neurokit.find_r_peaks(neurokit.clean(signal), 500, detector)
    assert (np.diff(found) > 150).all()
    assert ((found > 0) & (found < 2499)).all()


def test_points_beyond_the_signal_and_short_lists_do_no_harm() -> None:
    r = np.array([500, 1000, 1500])
    waves = {"ECG_R_Onsets": [480, 980, 1480], "ECG_R_Offsets": [1020, 1520], "ECG_T_Peaks": [650, 1150, 9999]}
    found = neurokit.assemble(waves, r, 2500)
    assert found.status == ("ok",)
    np.testing.assert_array_equal(found.qrs_offset, [np.nan, 1020, 1520])
    np.testing.assert_array_equal(found.t_peak, [650, 1150, np.nan])
    assert np.isnan(found.p_peak).all()


def test_no_qrs_at_all_is_a_failure() -> None:
    r = np.array([500, 1000, 1500])
    assert neurokit.assemble({"ECG_T_Peaks": [650, 1150, 1650]}, r, 2500).status == ("delineation_failed",)


def test_the_engine_is_clean_and_delineate_of_every_segment_and_leaves_its_input_alone() -> None:
    flat, rng = np.zeros(2500), np.random.default_rng(0)
    leads = [ecg([0.5, 1.3, 2.1, 2.9, 3.7, 4.5]), flat, ecg([1.5, 3.5]), ecg([1, 2, 3, 4]) + np.where(flat, 0, np.nan)]
    segments = rng.normal(size=(4, 12, 2500))
    segments[:, 1] = leads
    before = segments.copy()
    found = neurokit.NeuroKitEngine(FeatureConfig(lead="II", method="prominence"))(segments, 500)
    np.testing.assert_array_equal(segments, before)
    assert found.delineation.status == ("ok", "no_beats", "few_beats", "no_beats")
    assert np.isnan(found.quality).tolist() == [True] * 4
    for i, lead in enumerate(leads):
        alone = neurokit.delineate(neurokit.clean(lead))
        np.testing.assert_array_equal(found.signal[i], neurokit.clean(lead))
        for name in ("r_peaks", *WAVES):
            np.testing.assert_array_equal(getattr(found.delineation.of(i), name), getattr(alone, name))


def test_neurokit_is_imported_where_it_is_asked_for_only() -> None:
    code = "import sys; from physioclr.config import FeatureConfig; from physioclr.features.extract import *; "
    code += "seen = lambda: 'neurokit2' in sys.modules; FeatureExtractor(); a = seen(); "
    code += "FeatureExtractor(FeatureConfig(engine='neurokit')); print(a, seen())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
