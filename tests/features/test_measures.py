"""The vectorised measures against the table of columns.py written out beat by beat."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.features.columns import COLUMNS, MEASURES
from physioclr.features.delineation import WAVES, Delineation, without_waves
from physioclr.features.measures import measure

NAN = math.nan
FS = 500
INDEX = {column.name: i for i, column in enumerate(COLUMNS)}


def at(signal: np.ndarray, index: float) -> float:
    return NAN if math.isnan(index) or not 0 <= index < len(signal) else float(signal[int(index)])


def reference_beat(signal: np.ndarray, d: Delineation, j: int) -> dict[str, float]:
    r, on, off = d.r_peaks, d.qrs_onset[j], d.qrs_offset[j]
    rr = np.diff(r) * 2.0
    before = rr[j - 1] if j else (np.median(rr) if len(rr) else NAN)
    baseline = NAN if math.isnan(on) or on < 40 else float(np.median(signal[int(on) - 40 : int(on)]))
    slope = NAN
    if not math.isnan(on + off):
        gradient = np.gradient(signal)
        slope = max(abs(float(gradient[i])) * FS for i in range(int(on), int(off) + 1))
    return {
        "rr": rr[j] if j < len(rr) else NAN,
        "pr": (on - d.p_onset[j]) * 2,
        "qrs": (off - on) * 2,
        "qtc": (d.t_offset[j] - on) * 2 / math.sqrt(before / 1000),
        "p_duration": (d.p_offset[j] - d.p_onset[j]) * 2,
        "t_duration": (d.t_offset[j] - d.t_onset[j]) * 2,
        "r_amplitude": signal[r[j]] - baseline,
        "t_amplitude": at(signal, d.t_peak[j]) - baseline,
        "p_amplitude": at(signal, d.p_peak[j]) - baseline,
        "qrs_slope": slope,
        "st": at(signal, off + 30) - baseline,
    }


def known(values: list[float]) -> list[float]:
    return [float(v) for v in values if not math.isnan(v)]


def reference(signal: np.ndarray, d: Delineation) -> np.ndarray:
    out = dict.fromkeys(INDEX, NAN)
    beats = [reference_beat(signal, d, j) for j in range(len(d.r_peaks))]
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
    in_reach = [j for j in range(len(beats)) if d.qrs_onset[j] >= 150]
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
    likeness = []
    for a, b in itertools.pairwise(d.r_peaks):
        if a >= 100 and b + 150 <= len(signal):
            likeness.append(np.corrcoef(signal[a - 100 : a + 150], signal[b - 100 : b + 150])[0, 1])
    if likeness:
        out["correlation_mean"], out["correlation_minimum"] = np.mean(likeness), min(likeness)
    return np.array([out[name] for name in INDEX])


@st.composite
def delineations(draw: st.DrawFn) -> tuple[np.ndarray, Delineation]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    steps = draw(st.lists(st.integers(90, 500), min_size=1, max_size=16))
    r = np.cumsum(steps)
    r = r[r < 2450]
    offsets = np.array([-90, -70, -50, -25, 25, 40, 60, 80], dtype=float)
    points = r + offsets[:, None] + rng.integers(-5, 6, (8, len(r)))
    points[(rng.random(points.shape) < draw(st.sampled_from([0.0, 0.2, 0.7]))) | (points < 0) | (points >= 2500)] = NAN
    return rng.normal(size=2500), Delineation(r_peaks=r, status="ok", **dict(zip(WAVES, points, strict=True)))


@given(delineations())
@settings(max_examples=150, deadline=None)
def test_equals_the_definitions_written_out(case: tuple[np.ndarray, Delineation]) -> None:
    signal, d = case
    features = measure(signal, d, FS)
    assert features.dtype == np.float32
    assert features.shape == (150,)
    np.testing.assert_allclose(features, reference(signal, d), rtol=1e-4, atol=1e-5)


@given(delineations(), st.floats(0.01, 100))
@settings(max_examples=40, deadline=None)
def test_the_unit_of_the_signal_scales_amplitudes_and_nothing_else(
    case: tuple[np.ndarray, Delineation], factor: float
) -> None:
    signal, d = case
    factors = np.array([factor if column.unit.startswith("unit") else 1.0 for column in COLUMNS])
    np.testing.assert_allclose(measure(signal * factor, d), measure(signal, d) * factors, rtol=1e-3, atol=1e-4 * factor)


@pytest.mark.parametrize("beats", [0, 1])
def test_too_few_beats_measure_no_interval(beats: int) -> None:
    features = measure(np.zeros(2500), without_waves(np.arange(beats) * 100 + 500, "no_beats"))
    assert np.isnan(features).all()
