import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from physioclr.config import FeatureConfig
from physioclr.ecg.leads import LEADS
from physioclr.features.columns import COLUMNS
from physioclr.features.delineation import USABLE
from physioclr.features.extract import FeatureExtractor, SegmentFeatures

INDEX = {column.name: i for i, column in enumerate(COLUMNS)}
GAINS = np.array([0.7, 1.0, 0.3, -0.85, 0.2, 0.65, -0.4, -0.3, 0.5, 0.9, 1.0, 0.8])


def recording(seed: int = 0, rate: float = 75.0, jitter: float = 0.03, noise: float = 0.01) -> np.ndarray:
    """Twelve leads of one heart in thousandths of a mV: int16 [12, 5000]."""
    rng = np.random.default_rng(seed)
    t = np.arange(5000) / 500
    steps = 60 / rate * (1 + jitter * rng.normal(size=60))
    early = rng.random(60) < (0.1 if jitter else 0.0)
    steps[early] *= 0.7
    signal = np.zeros((12, 5000))
    for r, premature in zip(0.1 + np.cumsum(steps), early, strict=True):
        pr, p, tall = 0.16 + 0.01 * rng.normal(), 0.15 * (not premature), rng.choice([0.3, -0.2], p=[0.9, 0.1])
        for centre, height, width in ((-pr, p, 0.025), (-0.03, -0.1, 0.01), (0, 1.2, 0.01), (0.03, -0.2, 0.01)):
            signal += height * np.exp(-0.5 * ((t - r - centre) / width) ** 2)
        signal += tall * np.exp(-0.5 * ((t - r - 0.25 * np.sqrt(60 / rate)) / 0.05) ** 2)
    signal = signal * GAINS[:, None] + noise * rng.normal(size=signal.shape)
    return np.round(signal * 1000).astype(np.int16)


def halves_of(signal: np.ndarray, **config: str) -> tuple[SegmentFeatures, SegmentFeatures]:
    (halves,) = FeatureExtractor(FeatureConfig(**config))(signal[None])
    return halves


def features(signal: np.ndarray, **config: str) -> np.ndarray:
    return np.stack([half.features for half in halves_of(signal, **config)])


def test_measures_what_the_signal_was_made_of() -> None:
    first, second = halves_of(recording(jitter=0.0), lead="II")
    assert first.status == second.status == "ok"
    for half in (first, second):
        assert half.features.dtype == np.float32
        assert half.features.shape == (150,)
        assert half.features[INDEX["rr_median"]] == pytest.approx(800, abs=4)
        assert half.features[INDEX["pr_median"]] == pytest.approx(190, abs=45)
        # mV; the cleaning takes a little off an R wave as narrow as this one
        assert half.features[INDEX["r_amplitude_median"]] == pytest.approx(1.2, rel=0.1)
        assert half.features[INDEX["t_amplitude_median"]] == pytest.approx(0.3, abs=0.1)
        assert (half.r_peaks < 2500).all()
        assert half.r_peaks.dtype == np.int64
        assert half.intervals.shape[1] == 3
        assert (half.intervals[:, 1] < half.intervals[:, 2]).all()


@pytest.mark.parametrize("lead", ["II", "pca"])
def test_one_half_knows_nothing_of_the_other(lead: str) -> None:
    signal = recording()
    other = signal.copy()
    other[:, 2500:] = recording(seed=5, rate=110)[:, 2500:]
    np.testing.assert_array_equal(features(signal, lead=lead)[0], features(other, lead=lead)[0])


def test_int16_thousandths_and_float_units_are_the_same() -> None:
    """But for the rounding of a thousandth in single precision."""
    signal = recording()
    for one, other in zip(halves_of(signal), halves_of(signal / 1000.0), strict=True):
        np.testing.assert_array_equal(one.r_peaks, other.r_peaks)
        np.testing.assert_array_equal(one.intervals, other.intervals)
        np.testing.assert_allclose(one.features, other.features, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("engine", ["batched", "neurokit"])
def test_the_configured_lead_is_the_one_measured(engine: str) -> None:
    signal = recording()
    doubled = signal.copy()
    doubled[LEADS.index("V5")] *= 2
    heights = [INDEX["r_amplitude_median"], INDEX["t_amplitude_median"]]
    for lead, factor in (("V5", 2.0), ("II", 1.0)):
        before = features(signal, engine=engine, lead=lead)[:, heights]
        after = features(doubled, engine=engine, lead=lead)[:, heights]
        np.testing.assert_allclose(after, factor * before, rtol=1e-3)


def test_neurokit_reads_one_lead_only_and_batched_asks_most() -> None:
    signal = recording()
    only = np.zeros_like(signal)
    only[LEADS.index("V5")] = signal[LEADS.index("V5")]
    alone, among = (features(one, engine="neurokit", lead="V5") for one in (only, signal))
    np.testing.assert_array_equal(alone, among)
    assert {half.status for half in halves_of(only, engine="neurokit", lead="II")} == {"no_beats"}
    assert {half.status for half in halves_of(only, lead="V5")} == {"poor_quality"}


@pytest.mark.parametrize("lead", ["II", "pca"])
def test_a_recording_does_not_depend_on_the_others_to_the_last_bit(lead: str) -> None:
    signals = np.stack(
        [recording(1), np.zeros((12, 5000)), recording(2, rate=170), recording(3, noise=2), recording(4)]
    )
    together = FeatureExtractor(FeatureConfig(lead=lead))(signals)
    assert [halves[0].status == "ok" for halves in together].count(True) >= 3
    for signal, halves in zip(signals, together, strict=True):
        for one, other in zip(halves_of(signal, lead=lead), halves, strict=True):
            assert one.status == other.status
            for name in ("features", "r_peaks", "intervals", "quality"):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_no_recordings_are_no_features() -> None:
    assert FeatureExtractor()(np.zeros((0, 12, 5000), dtype=np.int16)) == []


@pytest.mark.parametrize("lead", ["II", "pca"])
@pytest.mark.parametrize(
    ("engine", "status", "quality"), [("batched", "poor_quality", 0.0), ("neurokit", "no_beats", np.nan)]
)
def test_bad_signals_have_a_status_and_no_numbers(engine: str, status: str, quality: float, lead: str) -> None:
    flat, missing = np.zeros((12, 5000), dtype=np.int16), np.full((12, 5000), np.nan)
    for signal in (flat, missing):
        for half in halves_of(signal, engine=engine, lead=lead):
            assert half.status == status
            assert half.status not in USABLE
            assert np.isnan(half.features).all()
            assert not len(half.r_peaks)
            assert half.intervals.shape == (0, 3)
            np.testing.assert_equal(half.quality, quality)


def test_a_good_half_keeps_its_numbers_beside_a_bad_one() -> None:
    signal = recording()
    signal[:, 2500:] = np.random.default_rng(0).normal(scale=300, size=(12, 2500)).astype(np.int16)
    first, second = halves_of(signal)
    assert (first.status, second.status) == ("ok", "poor_quality")
    assert first.quality > 0.7 > 0.35 > second.quality
    np.testing.assert_array_equal(first.features, halves_of(recording())[0].features)
    assert np.isnan(second.features).all()


def test_mistaken_lead_and_shape_are_named() -> None:
    with pytest.raises(ValidationError, match=r"must be one of I, II, .* or pca"):
        FeatureConfig(lead="V7")
    for shape in ((12, 5000), (1, 5000, 12)):
        with pytest.raises(ValueError, match="these are"):
            FeatureExtractor()(np.zeros(shape))


def test_survives_the_way_to_another_process() -> None:
    signal = recording()
    extractor = pickle.loads(pickle.dumps(FeatureExtractor()))
    np.testing.assert_array_equal(extractor(signal[None])[0][0].features, features(signal)[0])


def no_column_is_dead(table: np.ndarray) -> None:
    dead = [c.name for c, v in zip(COLUMNS, table.T, strict=True) if np.isnan(v).all() or np.nanstd(v) == 0]
    assert dead == []


def test_no_column_is_constant_or_missing_on_synthetic_signals() -> None:
    signals = np.stack([recording(i, rate, noise=0.02) for i, rate in enumerate(np.linspace(50, 170, 40))])
    table = [half.features for halves in FeatureExtractor()(signals) for half in halves]
    no_column_is_dead(np.array(table))


@pytest.mark.real
@pytest.mark.slow
def test_no_column_is_constant_or_missing_on_real_recordings() -> None:
    folder = os.environ.get("PHYSIOCLR_DATA")
    if not folder:
        pytest.skip("PHYSIOCLR_DATA is not set")
    wfdb = pytest.importorskip("wfdb")
    headers = sorted(Path(folder).glob("**/records500/*/*.hea"))[:300]
    if len(headers) < 200:
        pytest.skip("no PTB-XL recordings in PHYSIOCLR_DATA")
    extractor = FeatureExtractor()
    signals = (wfdb.rdrecord(str(header)[:-4]).p_signal.T for header in headers)
    halves = [half for signal in signals for half in extractor(signal[None])[0]]
    assert np.mean([half.status in USABLE for half in halves]) > 0.95
    no_column_is_dead(np.array([half.features for half in halves if half.status in USABLE]))
