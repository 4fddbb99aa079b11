"""The engine on hearts whose every wave is known: at any rate, sampling rate, length, and number of leads."""

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.config import FeatureConfig
from physioclr.errors import RejectedRecording
from physioclr.features.batched.engine import CHUNK, BatchedEngine, clean
from physioclr.features.columns import COLUMNS
from physioclr.features.delineation import USABLE, WAVES
from physioclr.sources.demo.conditions import Rhythm
from physioclr.sources.demo.history import make_history
from physioclr.sources.demo.patient import make_patient
from physioclr.sources.demo.recording import synthesise

INDEX = {column.name: i for i, column in enumerate(COLUMNS)}
RATES = (100, 125, 250, 360, 500, 1000)
R_MS = 8.0
WITHIN_MS = dict(zip(WAVES, (16, 8, 14, 14, 14, 14, 10, 18), strict=True))  # and a sample


def misplaced(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """How far in ms each expected time in s is from the nearest found one."""
    return 1000 * np.abs(found[:, None] - expected).min(axis=0)


@given(
    rate=st.floats(30, 240),
    fs=st.sampled_from(RATES),
    first=st.floats(0.1, 1.0),
    lead=st.sampled_from(["pca", "II", "V5"]),
    seed=st.integers(0, 999),
)
@settings(max_examples=40, deadline=None)
def test_every_beat_is_found_at_its_place(
    heart: Callable, engine: Callable, rate: float, fs: int, first: float, lead: str, seed: int
) -> None:
    made = heart(rate=rate, fs=fs, first=first, seconds=6.0, seed=seed)
    seen = engine(made.signal[None], fs, lead)
    d = seen.delineation
    assert d.status[0] in USABLE
    inner = made.r[(made.r > 0.15) & (made.r < 5.85)]
    assert misplaced(d.r_peaks / fs, inner).max() <= R_MS
    middle = d.r_peaks[(d.r_peaks > 0.16 * fs) & (d.r_peaks < 5.84 * fs)]
    assert misplaced(made.r, middle / fs).max() <= R_MS  # and no others
    if len(d.r_peaks) > 4:
        assert seen.features[0, INDEX["rr_median"]] == pytest.approx(60_000 / rate, abs=1000 / fs + 1)


@pytest.mark.parametrize(
    ("off_ms", "at_the_start"),
    # within 6 ms beyond the last sample the filter's own end decides
    [(-4, True), *((off, start) for off in (-40, -20, -8, 8, 16, 24, 32, 48, 80) for start in (True, False))],
)
def test_a_beat_that_an_end_cuts_is_one_if_its_r_peak_is_inside(
    heart: Callable, engine: Callable, off_ms: int, at_the_start: bool
) -> None:
    """And its complex, without a middle to compare with the others', has no bounds."""
    made = heart(rate=75, seconds=10.0, first=0.5)
    r = made.r[5] if at_the_start else made.r[6]
    cut = round(500 * r) + (-1 if at_the_start else 1) * off_ms // 2
    part = made.signal[:, cut : cut + 2500] if at_the_start else made.signal[:, cut - 2500 : cut]
    d = engine(part[None]).delineation
    true = np.round(500 * made.r).astype(int) - (cut if at_the_start else cut - 2500)
    true = true[(true >= 0) & (true < 2500)]
    assert len(d.r_peaks) == len(true)
    assert np.abs(d.r_peaks - true).max() <= 4
    if 0 < off_ms < 24:
        assert np.isnan(d.qrs_onset[0 if at_the_start else -1])
        assert not np.isnan(d.qrs_onset[1:-1]).any()


@pytest.mark.parametrize("fs", RATES)
@pytest.mark.parametrize("rate", [30, 50, 75, 100])
def test_every_wave_is_found_at_its_place(heart: Callable, engine: Callable, rate: int, fs: int) -> None:
    made = heart(rate=rate, fs=fs, seconds=10.0)
    d = engine(made.signal[None], fs).delineation
    inner = made.r[(made.r > 0.4) & (made.r < 9.2)]  # at the ends the high-pass has not settled
    beat = np.abs(d.r_peaks[:, None] / fs - inner).argmin(axis=0)
    for wave in WAVES:
        error = 1000 * (getattr(d, wave)[beat] / fs - inner - made.waves[wave])
        assert not np.isnan(error).any(), wave
        assert np.abs(error).max() <= WITHIN_MS[wave] + 1000 / fs, wave


def test_the_150_measures_say_what_the_heart_is_like(heart: Callable, engine: Callable) -> None:
    made = heart(rate=75, noise=0.002)
    features = engine(made.signal[None]).features[0]
    waves = {name: 1000 * place for name, place in made.waves.items()}
    expected = {
        "rr_mean": (800, 2),
        "rmssd": (0, 3),
        "pr_median": (waves["qrs_onset"] - waves["p_onset"], 20),
        "qrs_median": (80, 20),
        "p_absent": (0, 0),
        "t_inverted": (0, 0),
        "p_amplitude_median": (0.15, 0.02),
        "t_amplitude_median": (0.3, 0.03),
        "correlation_mean": (1, 0.01),
        "premature": (0, 0),
    }
    for name, (value, tolerance) in expected.items():
        assert features[INDEX[name]] == pytest.approx(value, abs=tolerance), name


def test_a_premature_beat_and_a_pause_are_found(heart: Callable, engine: Callable) -> None:
    r = np.array([0.5, 1.3, 2.1, 2.55, 3.7, 4.5])
    d = engine(heart(beats=r).signal[None]).delineation
    assert misplaced(d.r_peaks / 500, r).max() <= R_MS
    assert len(d.r_peaks) == 6


def test_inverted_waves_are_found(heart: Callable, engine: Callable) -> None:
    """aVR shows all of them upside down: it has no R wave to speak of, the beats stay where they are."""
    made = heart()
    up, down = (engine(made.signal[None], lead=lead).delineation for lead in ("I", "aVR"))
    for wave in WAVES:
        np.testing.assert_allclose(getattr(up, wave), getattr(down, wave), atol=6, err_msg=wave)
    assert np.abs(up.r_peaks - down.r_peaks).max() < 25


@pytest.mark.parametrize("fs", RATES)
@pytest.mark.parametrize("seconds", [0.0, 0.002, 0.01, 0.5, 0.99, 1.0, 1.004, 1.5, 2.0, 2.5, 10.0, 60.0])
def test_segments_of_any_length(heart: Callable, engine: Callable, seconds: float, fs: int) -> None:
    made = heart(fs=fs, seconds=seconds, leads=3)
    seen = engine(made.signal[None], fs, "pca")
    if made.signal.shape[1] < fs:
        assert seen.delineation.status == ("no_beats",)
        assert seen.quality[0] == 0.0
    if seconds >= 2:
        assert seen.delineation.status[0] in USABLE
        assert abs(len(seen.delineation.r_peaks) - len(made.r)) <= 1


@pytest.mark.parametrize("leads", range(1, 13))
def test_any_number_of_leads(heart: Callable, engine: Callable, leads: int) -> None:
    made = heart(leads=leads)
    d = engine(made.signal[None], lead="V5").delineation  # other than 12: their principal component
    assert misplaced(d.r_peaks / 500, made.r).max() <= R_MS
    assert d.status == ("ok",)
    assert (~np.isnan(d.p_peak)).mean() > 0.8


@pytest.mark.parametrize("segments", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 3])
def test_any_number_of_segments(heart: Callable, engine: Callable, segments: int) -> None:
    batch = np.stack([heart(rate=50 + i).signal[:4] for i in range(5)])[np.arange(segments) % 5]
    seen = engine(batch, lead="pca")
    assert seen.delineation.status == ("ok",) * segments
    for i in range(5, segments):
        assert seen.differs(i, seen, i % 5) == []


def test_ten_thousand_segments_take_no_more_memory_than_their_answer_and_a_chunk() -> None:
    """Each worked on alone would need gigabytes at once."""
    t = np.arange(500) / 500
    beat = np.exp(-0.5 * ((t - 0.5) / 0.01) ** 2) + np.exp(-0.5 * ((t - 0.05) / 0.01) ** 2)
    segments = np.broadcast_to(beat.astype(np.float32), (10_000, 1, 500))
    engine = BatchedEngine(FeatureConfig())
    engine(segments[:CHUNK])
    tracemalloc.start()
    found = engine(segments)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.delineation.status) == 10_000
    assert peak < 2 * found.signal.nbytes + 40e6


def test_integers_are_as_good_as_what_they_stand_for(heart: Callable, engine: Callable) -> None:
    whole = np.rint(heart().signal[None] * 1000)
    expected = engine(whole.astype(np.float32))
    for kind in (np.int16, np.float64):
        found = engine(whole.astype(kind))
        for name in ("r_peaks", *WAVES):
            np.testing.assert_array_equal(
                getattr(found.delineation, name), getattr(expected.delineation, name), err_msg=name
            )
        np.testing.assert_array_equal(found.quality, expected.quality)


def test_the_lead_asked_for_is_the_one_measured(heart: Callable, engine: Callable) -> None:
    segments = heart().signal[None]
    np.testing.assert_allclose(engine(segments, lead="V5").signal, clean(segments[:, 10]), atol=1e-12)
    deviations = engine(segments, lead="pca").signal
    assert engine(segments[:, :11], lead="V5").signal.std() == pytest.approx(deviations.std(), rel=0.1)


def test_cleaning_keeps_the_waves_and_takes_wander_and_mains() -> None:
    t = np.arange(5000) / 500

    def left(hz: float, fs: int = 500) -> float:
        wave = np.sin(2 * np.pi * hz * np.arange(10 * fs) / fs)
        return float(np.abs(clean(wave[None], fs))[0, 4 * fs : 6 * fs].max())

    assert left(0.1) < 0.01
    assert left(50) < 0.06
    assert left(60) < 0.02
    for hz in (2, 5, 10, 20):
        assert left(hz) == pytest.approx(1.0, abs=0.03)
    assert left(2.2, fs=100) == pytest.approx(1.0, abs=0.03)
    pulse = np.exp(-0.5 * ((t - 5) / 0.02) ** 2)
    assert clean(pulse[None]).argmax() == 2500  # no delay


def test_a_rate_that_is_no_ecgs_is_refused() -> None:
    for fs in (40, 30_000):
        with pytest.raises(RejectedRecording, match="Hz"):
            BatchedEngine(FeatureConfig())(np.random.default_rng(0).normal(size=(1, 12, 60_000)), fs)


def test_the_demos_rhythms_are_told_apart(engine: Callable) -> None:
    """P waves in sinus rhythm and its kin, none in atrial fibrillation, and the beats where they were made."""
    recordings, rhythms, beats = [], [], []
    for number in range(40):
        (visit,) = make_history(0, number, 1).visits
        made = synthesise(make_patient(0, number), visit, 0)
        recordings.append(made.signal.astype(np.float32) / 1000)
        rhythms.append(visit.rhythm)
        beats.append(made.beats.times)
    seen = engine(np.stack(recordings)[:, :, :2500], lead="pca")
    fibrillating = np.array([rhythm is Rhythm.FIBRILLATION for rhythm in rhythms])
    absent = seen.features[:, INDEX["p_absent"]]
    assert 5 <= fibrillating.sum() <= 20
    assert set(seen.delineation.status) == {"ok"}
    assert (absent[fibrillating] > 0.5).mean() >= 0.9
    assert (absent[~fibrillating] < 0.5).all()
    assert absent[~fibrillating].mean() < 0.1
    found, expected = 0, 0
    for i, times in enumerate(beats):
        inner = times[(times > 0.1) & (times < 4.9)]
        found += int((misplaced(seen.delineation.of(i).r_peaks / 500, inner) <= 100).sum())
        expected += len(inner)
    assert found / expected > 0.98
