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
from physioclr.features.extract import FeatureExtractor, first_component

INDEX = {column.name: i for i, column in enumerate(COLUMNS)}
GAINS = np.array([0.7, 1.0, 0.3, -0.85, 0.2, 0.65, -0.4, -0.3, 0.5, 0.9, 1.0, 0.8])


def recording(seed: int = 0, rate: float = 75.0, jitter: float = 0.03, noise: float = 0.01) -> np.ndarray:
    """Twelve leads of one heart in thousandths of a mV: int16 [12, 5000]."""
    rng = np.random.default_rng(seed)
    t = np.arange(5000) / 500
    steps = 60 / rate * (1 + jitter * rng.normal(size=60))
    signal = np.zeros((12, 5000))
    for r in 0.1 + np.cumsum(steps):
        premature = rng.random() < 0.1
        pr, p, tall = 0.16 + 0.01 * rng.normal(), 0.15 * (not premature), rng.choice([0.3, -0.2], p=[0.9, 0.1])
        for centre, height, width in ((-pr, p, 0.025), (-0.03, -0.1, 0.01), (0, 1.2, 0.01), (0.03, -0.2, 0.01)):
            signal += height * np.exp(-0.5 * ((t - r - centre) / width) ** 2)
        signal += tall * np.exp(-0.5 * ((t - r - 0.25 * np.sqrt(60 / rate)) / 0.05) ** 2)
    signal = signal * GAINS[:, None] + noise * rng.normal(size=signal.shape)
    return np.round(signal * 1000).astype(np.int16)


def features(signal: np.ndarray, **config: str) -> np.ndarray:
    return np.stack([half.features for half in FeatureExtractor(FeatureConfig(**config))(signal)])


def test_measures_what_the_signal_was_made_of() -> None:
    first, second = FeatureExtractor(FeatureConfig(lead="II"))(recording(jitter=0.0))
    assert first.status == second.status == "ok"
    for half in (first, second):
        assert half.features.dtype == np.float32
        assert half.features.shape == (150,)
        assert half.features[INDEX["rr_median"]] == pytest.approx(800, abs=4)
        assert half.features[INDEX["pr_median"]] == pytest.approx(190, abs=45)
        # mV; the cleaning takes a quarter off an R wave as narrow as this one (docs/features.md)
        assert half.features[INDEX["r_amplitude_median"]] == pytest.approx(1.2 * 0.75, rel=0.1)
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
    signal = recording()
    np.testing.assert_array_equal(features(signal), features(signal / 1000.0))


def test_the_configured_lead_is_the_one_read() -> None:
    signal = recording()
    only = np.zeros_like(signal)
    only[LEADS.index("V5")] = signal[LEADS.index("V5")]
    np.testing.assert_array_equal(features(only, lead="V5"), features(signal, lead="V5"))
    assert {half.status for half in FeatureExtractor(FeatureConfig(lead="II"))(only)} == {"no_beats"}


@pytest.mark.parametrize("turn", [1.0, -1.0])
def test_principal_component_has_qrs_upwards_whatever_the_signs_and_scales_of_leads(turn: float) -> None:
    leads = recording()[:, :2500].astype(float)
    component = first_component(turn * leads * np.linspace(0.1, 9, 12)[:, None])
    assert component.max() > 2 * -component.min()
    np.testing.assert_allclose(component, first_component(leads), atol=1e-6)


def test_principal_component_leaves_out_flat_and_missing_leads() -> None:
    leads = recording()[:, :2500].astype(float)
    holed = leads.copy()
    holed[4], holed[7, 100] = 0.0, np.nan
    kept = np.delete(leads, [4, 7], axis=0)
    np.testing.assert_allclose(first_component(holed), first_component(kept), atol=1e-9)
    assert not first_component(np.zeros((12, 2500))).any()


def test_bad_signals_have_a_status_and_no_numbers() -> None:
    flat, noise = np.zeros((12, 5000), dtype=np.int16), np.full((12, 5000), np.nan)
    for signal in (flat, noise):
        for lead in ("II", "pca"):
            for half in FeatureExtractor(FeatureConfig(lead=lead))(signal):
                assert half.status == "no_beats"
                assert half.status not in USABLE
                assert np.isnan(half.features).all()
                assert not len(half.r_peaks)
                assert half.intervals.shape == (0, 3)


def test_mistaken_lead_and_shape_are_named() -> None:
    with pytest.raises(ValidationError, match=r"must be one of I, II, .* or pca"):
        FeatureConfig(lead="V7")
    with pytest.raises(ValueError, match="this one is"):
        FeatureExtractor()(np.zeros((5000, 12)))


def test_survives_the_way_to_another_process() -> None:
    signal = recording()
    extractor = pickle.loads(pickle.dumps(FeatureExtractor()))
    np.testing.assert_array_equal(extractor(signal)[0].features, features(signal)[0])


def no_column_is_dead(table: np.ndarray) -> None:
    dead = [c.name for c, v in zip(COLUMNS, table.T, strict=True) if np.isnan(v).all() or np.nanstd(v) == 0]
    assert dead == []


def test_no_column_is_constant_or_missing_on_synthetic_signals() -> None:
    extractor = FeatureExtractor()
    rates = np.linspace(50, 170, 40)
    table = [half.features for i, rate in enumerate(rates) for half in extractor(recording(i, rate, noise=0.02))]
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
    halves = [half for signal in signals for half in extractor(signal)]
    assert np.mean([half.status in USABLE for half in halves]) > 0.95
    no_column_is_dead(np.array([half.features for half in halves if half.status in USABLE]))
