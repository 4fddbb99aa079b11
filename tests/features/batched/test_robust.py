"""Whatever comes in, a status comes out: no error, no warning, nothing infinite, no numbers from what is no heart.

`engine` (conftest.py) turns warnings into errors and checks everything that holds for any signal.
"""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.features.delineation import USABLE

T = np.arange(2500) / 500
RNG = np.random.default_rng(0)
PHASE = RNG.uniform(0, 2 * np.pi, (12, 1))
NO_HEART = {
    "flat": np.zeros((12, 2500)),
    "constant": np.full((12, 2500), 7.3),
    "missing": np.full((12, 2500), np.nan),
    "infinite": np.full((12, 2500), -np.inf),
    "white noise": RNG.normal(size=(12, 2500)),
    "the same noise in all leads": np.tile(RNG.normal(size=2500), (12, 1)),
    "a random walk": np.cumsum(RNG.normal(size=(12, 2500)), axis=1),
    "50 Hz": np.sin(2 * np.pi * 50 * T + PHASE),
    "60 Hz": np.sin(2 * np.pi * 60 * T + PHASE),
    "50 Hz with noise": np.sin(2 * np.pi * 50 * T + PHASE) + 0.02 * RNG.normal(size=(12, 2500)),
    "60 Hz with noise": np.sin(2 * np.pi * 60 * T + PHASE) + 0.02 * RNG.normal(size=(12, 2500)),
    "mains with wander": np.sin(2 * np.pi * 50 * T) + 5 * np.sin(2 * np.pi * 0.3 * T + PHASE),
    "wander": 5 * np.sin(2 * np.pi * 0.3 * T + PHASE),
    "a step": np.where(T > 2.2, 1.0, 0.0) * np.ones((12, 1)),
    "a ramp": T * np.ones((12, 1)),
    "one spike": np.where(np.arange(2500) == 1111, 5.0, 0.0) * np.ones((12, 1)),
    "faint": 1e-15 * RNG.normal(size=(12, 2500)),
    "beyond any ECG": 1e30 * RNG.normal(size=(12, 2500)),
    "beyond single precision": 1e300 * RNG.normal(size=(12, 2500)),
}


@pytest.mark.parametrize("lead", ["pca", "II"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("name", NO_HEART)
def test_what_is_no_heart_has_no_numbers(engine: Callable, name: str, kind: type, lead: str) -> None:
    with np.errstate(over="ignore"):
        segment = NO_HEART[name].astype(kind)
    seen = engine(segment[None], lead=lead)
    assert seen.delineation.status[0] in ("poor_quality", "no_beats")
    assert seen.quality[0] <= 0.51


@pytest.mark.parametrize("walk", [False, True])
def test_no_noise_is_taken_for_a_heart(engine: Callable, walk: bool) -> None:
    noise = np.random.default_rng(1).normal(size=(100, 12, 2500)).astype(np.float32)
    seen = engine(np.cumsum(noise, axis=2) if walk else noise, lead="pca")
    assert set(seen.delineation.status) <= {"poor_quality", "no_beats"}


@pytest.mark.parametrize(("r", "status"), [([], "poor_quality"), ([2.4], "no_beats"), ([1.0, 3.0], "few_beats")])
def test_few_beats_have_a_status_of_their_own(heart: Callable, engine: Callable, r: list[float], status: str) -> None:
    assert engine(heart(beats=np.array(r)).signal[None]).delineation.status == (status,)


def test_a_heart_through_clipping_and_saturation_keeps_its_beats(heart: Callable, engine: Callable) -> None:
    made = heart()
    for changed in (np.clip(made.signal, -0.1, 0.3), np.clip(100 * made.signal, -1, 1), np.rint(20 * made.signal)):
        d = engine(changed[None]).delineation
        assert d.status == ("ok",)
        assert np.abs(d.r_peaks[:, None] / 500 - made.r).min(axis=0).max() < 0.04


@pytest.mark.parametrize("height", [0.3, 1.0, 5.0])
def test_a_single_spike_in_all_leads_is_at_most_one_beat_more(heart: Callable, engine: Callable, height: float) -> None:
    made = heart()
    for place in range(100, 2400, 171):
        segment = made.signal.copy()
        segment[:, place] += height
        d = engine(segment[None]).delineation
        assert d.status == ("ok",)
        error = np.abs(d.r_peaks[:, None] / 500 - made.r).min(axis=0)
        assert (error[np.abs(made.r - place / 500) > 0.25] < 0.01).all()
        assert len(d.r_peaks) <= len(made.r) + 1


@pytest.mark.parametrize("fs", [500, 1000])
@pytest.mark.parametrize("height", [0.5, 3.0, 10.0])
def test_a_paced_heart_has_each_beat_once(heart: Callable, engine: Callable, height: float, fs: int) -> None:
    """A spike of 2 ms before a wide complex without a P wave."""
    rate = 70
    made = heart(rate=rate, fs=fs, p_height=0.0)
    t = np.arange(made.signal.shape[1]) / fs
    signal = np.zeros(len(t))
    for r in np.arange(-1.4, 7, 60 / rate) + made.r[0] % (60 / rate) - (-1.4) % (60 / rate):
        signal += np.exp(-0.5 * ((t - r) / 0.035) ** 2) - 0.35 * np.exp(-0.5 * ((t - r - 0.25) / 0.05) ** 2)
        signal += height * ((t >= r - 0.092) & (t < r - 0.090))
    d = engine((signal + 0.005 * np.random.default_rng(0).normal(size=(12, len(t))))[None], fs).delineation
    assert d.status == ("ok",)
    assert len(d.r_peaks) == len(made.r)
    assert np.abs(d.r_peaks / fs - made.r).max() < 0.1  # the spike or the complex after it
    assert np.diff(d.r_peaks).std() < 0.006 * fs  # and the same one each time
    width = (d.qrs_offset - d.qrs_onset)[1:-1] / fs
    assert ((width > 0.1) & (width < 0.3)).all()


BAD_LEADS = {
    "flat": lambda rng: np.zeros(2500),
    "constant": lambda rng: np.full(2500, -3.0),
    "missing": lambda rng: np.full(2500, np.nan),
    "noise": lambda rng: rng.normal(size=2500),
    "large noise": lambda rng: 1000 * rng.normal(size=2500),
    "a walk": lambda rng: np.cumsum(rng.normal(size=2500)),
    "mains": lambda rng: 10 * np.sin(2 * np.pi * 50 * T),
    "one large spike": lambda rng: np.where(np.arange(2500) == rng.integers(2500), 1000.0, 0.0),
    "beyond single precision": lambda rng: 1e200 * rng.normal(size=2500),
}


@pytest.mark.parametrize("lead", ["pca", "II"])
@pytest.mark.parametrize("name", BAD_LEADS)
def test_one_bad_lead_of_twelve_changes_no_r_peak(heart: Callable, engine: Callable, name: str, lead: str) -> None:
    rng = np.random.default_rng(0)
    whole = np.stack([heart(rate=rate, noise=0.02).signal for rate in (45, 80, 120, 180) for _ in range(2)])
    broken = whole.copy()
    for i, bad in enumerate([0, 4, 7, 11] * 2):
        broken[i, bad] = BAD_LEADS[name](rng)
    before, after = engine(whole, lead=lead), engine(broken, lead=lead)
    assert after.delineation.status == before.delineation.status
    np.testing.assert_array_equal(after.delineation.segment, before.delineation.segment)
    assert np.abs(after.delineation.r_peaks - before.delineation.r_peaks).max() <= 1
    assert (after.quality < before.quality).all()


def test_a_lead_full_of_spikes_costs_no_beat(heart: Callable, engine: Callable) -> None:
    """And adds one at most, where a spike meets a T wave of the others."""
    rng = np.random.default_rng(0)
    for rate in (45, 80, 120, 180):
        whole = heart(rate=rate, noise=0.02).signal
        expected = engine(whole[None]).delineation.r_peaks
        for bad in (0, 4, 7, 11):
            broken = whole.copy()
            broken[bad] = np.where(rng.random(2500) < 0.002, 50.0, 0.0)
            found = engine(broken[None]).delineation.r_peaks
            assert len(found) <= len(expected) + 1
            assert np.abs(found[:, None] - expected).min(axis=0).max() <= 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e20, 1e308])
def test_one_sample_that_is_no_number_costs_its_lead_only(heart: Callable, engine: Callable, bad: float) -> None:
    whole = heart().signal
    for fs in (360, 500):
        for place in (3, 2499):
            broken = whole.copy()
            broken[1, place] = bad
            d = engine(broken[None], fs, "pca").delineation
            np.testing.assert_allclose(d.r_peaks, engine(whole[None], fs, "pca").delineation.r_peaks, atol=1)
            assert engine(broken[None], fs, "II").delineation.status == ("no_beats",)


@pytest.mark.parametrize("part", [slice(0, 1500), slice(1000, 2500), slice(0, 2000)])
def test_a_segment_that_is_silent_for_a_while(heart: Callable, engine: Callable, part: slice) -> None:
    """Down to nothing, as a filter leaves it: 1e-25 of what comes before or after."""
    for faint in (0.0, 1e-25):
        segment = heart().signal
        segment[:, part] *= faint
        for lead in ("pca", "II"):
            engine(segment[None], lead=lead)


@st.composite
def odd_segments(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    """Anything that a recorder, a wire or a mistake can make, in any shape."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    fs = draw(st.sampled_from([100, 125, 250, 360, 500, 1000]))
    size = draw(st.integers(0, 6 * fs) | st.sampled_from([0, 1, fs - 1, fs, fs + 1, 5 * fs]))
    leads = draw(st.integers(1, 12))
    t = np.arange(size) / fs
    noise = rng.normal(size=(leads, size))
    beats = np.zeros(size)
    for r in np.cumsum(rng.uniform(0.2, 2.5, 20)):
        beats += np.exp(-0.5 * ((t - r) / rng.choice([0.004, 0.012, 0.03])) ** 2)
    segment = {
        "noise": noise,
        "walk": np.cumsum(noise, axis=1),
        "spikes": np.where(rng.random((leads, size)) < 0.003, 5 * noise, 0.0),
        "step": np.where(t > rng.uniform(0, 5), 1.0, 0.0) * np.ones((leads, 1)),
        "sine": np.sin(t * rng.uniform(0.1, 500) + rng.random((leads, 1))),
        "coarse": np.round(noise * 0.6),
        "cut": np.where(t > rng.uniform(0, 5), noise, 0.0),
        "beats": beats + noise * rng.choice([0.0, 0.02, 0.3]),
        "alternating": np.tile([1.0, -1.0], (leads, size))[:, :size],
    }[draw(st.sampled_from(["noise", "walk", "spikes", "step", "sine", "coarse", "cut", "beats", "alternating"]))]
    if draw(st.booleans()):
        segment = np.clip(segment, -0.3, 0.5)
    broken = rng.random((leads, 1)) < draw(st.sampled_from([0.0, 0.3, 1.0]))
    with np.errstate(invalid="ignore"):
        segment = np.where(broken, segment * draw(st.sampled_from([0.0, np.nan, np.inf, 1e25])), segment)
    kind = draw(st.sampled_from([np.float32, np.float64]))
    scale = draw(st.sampled_from([1e-12, 1e-6, 1.0, 1.0, 1e6, 1e12]))
    return (segment * scale + draw(st.sampled_from([0.0, 0.0, 1e3]))).astype(kind), fs


@given(odd_segments(), st.sampled_from(["pca", "II", "aVR"]))
@settings(max_examples=100, deadline=None)
def test_never_an_error_a_warning_or_an_impossible_point(
    engine: Callable, made: tuple[np.ndarray, int], lead: str
) -> None:
    segment, fs = made
    seen = engine(segment[None], fs, lead)
    if not np.isfinite(segment).any():
        assert seen.delineation.status[0] not in USABLE
