"""The measures of a whole batch against the table of columns.py written out segment by segment and beat by beat."""

import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.features.columns import COLUMNS, MEASURES
from physioclr.features.delineation import WAVES, Delineation, without_waves
from physioclr.features.measures import measure

NAN = math.nan
INDEX = {column.name: i for i, column in enumerate(COLUMNS)}
SAMPLES = 2500

Batch = tuple[np.ndarray, Delineation, int]


def at(signal: np.ndarray, index: float) -> float:
    return NAN if math.isnan(index) or not 0 <= index < len(signal) else float(signal[int(index)])


def reference_beat(signal: np.ndarray, d: Delineation, fs: int, j: int) -> dict[str, float]:
    """Beat j of a delineation of one segment."""
    ms = 1000 / fs
    r, on, off = d.r_peaks, d.qrs_onset[j], d.qrs_offset[j]
    rr = np.diff(r) * ms
    before = rr[j - 1] if j else (np.median(rr) if len(rr) else NAN)
    length = round(0.080 * fs)
    baseline = NAN if math.isnan(on) or on < length else float(np.median(signal[int(on) - length : int(on)]))
    slope = NAN
    if not math.isnan(on + off):
        gradient = np.gradient(signal)
        slope = max(abs(float(gradient[i])) * fs for i in range(int(on), int(off) + 1))
    return {
        "rr": rr[j] if j < len(rr) else NAN,
        "pr": (on - d.p_onset[j]) * ms,
        "qrs": (off - on) * ms,
        "qtc": (d.t_offset[j] - on) * ms / math.sqrt(before / 1000),
        "p_duration": (d.p_offset[j] - d.p_onset[j]) * ms,
        "t_duration": (d.t_offset[j] - d.t_onset[j]) * ms,
        "r_amplitude": signal[r[j]] - baseline,
        "t_amplitude": at(signal, d.t_peak[j]) - baseline,
        "p_amplitude": at(signal, d.p_peak[j]) - baseline,
        "qrs_slope": slope,
        "st": at(signal, off + round(0.060 * fs)) - baseline,
    }


def known(values: list[float]) -> list[float]:
    return [float(v) for v in values if not math.isnan(v)]


def reference(signal: np.ndarray, d: Delineation, fs: int) -> np.ndarray:
    """The 150 columns of one segment."""
    out = dict.fromkeys(INDEX, NAN)
    beats = [reference_beat(signal, d, fs, j) for j in range(len(d.r_peaks))]
    for name in (m.name for m in MEASURES):
        for j, beat in enumerate(beats[:10]):
            out[f"{name}_{j + 1:02d}"] = beat[name]
        values = known([beat[name] for beat in beats])
        if values:
            out[f"{name}_mean"], out[f"{name}_median"] = np.mean(values), np.median(values)
        if len(values) > 1:
            out[f"{name}_sd"] = np.std(values, ddof=1)
            out[f"{name}_iqr"] = np.percentile(values, 75) - np.percentile(values, 25)
    rr = known([beat["rr"] for beat in beats])
    if len(rr) > 1:
        steps = [b - a for a, b in itertools.pairwise(rr)]
        out["rmssd"] = math.sqrt(sum(s * s for s in steps) / len(steps))
        out["pnn50"] = sum(abs(s) > 50 for s in steps) / len(steps)
        out["rr_cv"] = np.std(rr, ddof=1) / np.mean(rr)
        out["premature"] = sum(v < 0.8 * np.median(rr) for v in rr) / len(rr)
    in_reach = [j for j in range(len(beats)) if d.qrs_onset[j] >= 0.3 * fs]
    if in_reach:
        out["p_absent"] = sum(math.isnan(d.p_peak[j]) for j in in_reach) / len(in_reach)
    t = known([beat["t_amplitude"] for beat in beats])
    if t:
        out["t_inverted"] = sum(v < 0 for v in t) / len(t)
    st_levels = known([beat["st"] for beat in beats])
    if st_levels:
        out["st_level"] = np.median(st_levels)
    if len(st_levels) > 1:
        out["st_spread"] = np.median([abs(v - np.median(st_levels)) for v in st_levels])
    before, after = round(0.200 * fs), round(0.300 * fs)
    likeness = []
    for a, b in itertools.pairwise(d.r_peaks):
        if a >= before and b + after <= len(signal):
            likeness.append(np.corrcoef(signal[a - before : a + after], signal[b - before : b + after])[0, 1])
    if likeness:
        out["correlation_mean"], out["correlation_minimum"] = np.mean(likeness), min(likeness)
    return np.array([out[name] for name in INDEX])


def one_segment(rng: np.random.Generator, beats: int, missing: float) -> Delineation:
    r = np.sort(rng.choice(np.arange(5, SAMPLES - 5), beats, replace=False))
    if beats > 3 and rng.random() < 0.8:  # regular enough for windows and waves to have room
        r = np.unique(np.linspace(100, 2400, beats).astype(np.int64) + rng.integers(-40, 41, beats))
    offsets = np.array([-90, -70, -50, -25, 25, 40, 60, 80], dtype=float)
    points = r + offsets[:, None] + rng.integers(-5, 6, (8, len(r)))
    points[(rng.random(points.shape) < missing) | (points < 0) | (points >= SAMPLES)] = NAN
    waves = dict(zip(WAVES, points, strict=True))
    return Delineation(segment=np.zeros(len(r), np.int64), r_peaks=r, status=("ok",), **waves)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Segments with 0 to 25 beats, waves missing at random or all."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    counts = draw(st.lists(st.integers(0, 25), max_size=5))
    missing = draw(st.sampled_from([0.0, 0.2, 0.7, 1.0]))
    found = Delineation.join([one_segment(rng, beats, missing) for beats in counts])
    return rng.normal(size=(len(counts), SAMPLES)), found, draw(st.sampled_from([250, 360, 500, 1000]))


@given(batches())
@settings(max_examples=100, deadline=None)
def test_equals_the_definitions_written_out(batch: Batch) -> None:
    signals, found, fs = batch
    features = measure(signals, found, fs)
    assert features.dtype == np.float32
    assert features.shape == (len(signals), 150)
    for i, signal in enumerate(signals):
        np.testing.assert_allclose(features[i], reference(signal, found.of(i), fs), rtol=1e-4, atol=1e-5)


@given(batches())
@settings(max_examples=100, deadline=None)
def test_a_segment_does_not_depend_on_the_others_to_the_last_bit(batch: Batch) -> None:
    signals, found, fs = batch
    together = measure(signals, found, fs)
    for i in range(len(signals)):
        np.testing.assert_array_equal(measure(signals[i : i + 1], found.of(i), fs)[0], together[i])
    turned = [*range(1, len(signals)), 0][: len(signals)] * 3
    again = measure(signals[turned], Delineation.join([found.of(i) for i in turned]), fs)
    np.testing.assert_array_equal(again, together[turned])


@given(batches(), st.floats(0.01, 100))
@settings(max_examples=40, deadline=None)
def test_the_unit_of_the_signal_scales_amplitudes_and_nothing_else(batch: Batch, factor: float) -> None:
    signals, found, fs = batch
    factors = np.array([factor if column.unit.startswith("unit") else 1.0 for column in COLUMNS])
    scaled = measure(signals * factor, found, fs)
    np.testing.assert_allclose(scaled, measure(signals, found, fs) * factors, rtol=1e-3, atol=1e-4 * factor)


@pytest.mark.parametrize("beats", [0, 1])
def test_too_few_beats_measure_no_interval(beats: int) -> None:
    features = measure(np.zeros((1, SAMPLES)), without_waves(np.arange(beats) * 100 + 500, "no_beats"))
    assert np.isnan(features).all()


def test_poor_quality_measures_nothing_and_touches_no_other() -> None:
    rng = np.random.default_rng(0)
    signals, found = rng.normal(size=(3, SAMPLES)), Delineation.join([one_segment(rng, 6, 0.0) for _ in range(3)])
    before = measure(signals, found)
    after = measure(signals, found.without(np.array([False, True, False])))
    assert np.isnan(after[1]).all()
    np.testing.assert_array_equal(after[[0, 2]], before[[0, 2]])


@pytest.mark.parametrize("samples", [2, 30])
def test_segments_shorter_than_any_window_have_intervals_only(samples: int) -> None:
    r = np.array([0, samples - 1])
    bounds = {"qrs_onset": np.array([0, NAN]), "qrs_offset": np.array([samples - 1, NAN])}
    points = {wave: np.full(2, NAN) for wave in WAVES} | bounds
    found = Delineation(segment=np.zeros(2, np.int64), r_peaks=r, status=("few_beats",), **points)
    features = dict(zip(INDEX, measure(np.ones((1, samples)), found)[0], strict=True))
    assert features["rr_median"] == features["qrs_median"] == 2 * (samples - 1)
    assert all(math.isnan(features[name]) for name in ("r_amplitude_median", "st_level", "correlation_mean"))


def test_one_endless_qrs_does_not_cost_the_memory_of_many() -> None:
    """The steepest slope is looked for in every QRS of the batch: none may set the size for all."""
    rng = np.random.default_rng(0)
    parts = [one_segment(rng, 25, 0.0) for _ in range(64)]
    parts[0].qrs_onset[0], parts[0].qrs_offset[0] = 0, SAMPLES - 1
    signals, found = rng.normal(size=(64, SAMPLES)), Delineation.join(parts)
    tracemalloc.start()
    measure(signals, found)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * signals.nbytes  # 64 * 25 rows of 2,500 slopes alone would be 25 times
