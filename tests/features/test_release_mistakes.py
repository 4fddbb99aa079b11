"""The mistakes of the released feature code, one test each."""

import numpy as np

from physioclr.config import FeatureConfig
from physioclr.features import neurokit
from physioclr.features.columns import COLUMNS
from physioclr.features.delineation import USABLE, Delineation, without_waves
from physioclr.features.extract import FeatureExtractor
from physioclr.features.measures import measure
from physioclr.features.reducer import Reducer

INDEX = {column.name: i for i, column in enumerate(COLUMNS)}
R = np.array([400, 800, 1200, 1600, 2000])


def beats(p_waves: bool = True, p_width: float = 12.0) -> np.ndarray:
    t = np.arange(2500)
    signal = np.zeros(2500)
    for r in R:
        for centre, height, width in ((-80, 0.15 * p_waves, p_width), (0, 1.0, 6.0), (140, 0.3, 25.0)):
            signal += height * np.exp(-0.5 * ((t - r - centre) / width) ** 2)
    return signal


def found_by_neurokit(p_peaks: list[float]) -> dict[str, list[float]]:
    return {
        "ECG_P_Onsets": [p - 25 for p in p_peaks],
        "ECG_P_Peaks": p_peaks,
        "ECG_P_Offsets": [p + 25 for p in p_peaks],
        "ECG_R_Onsets": list(R - 20.0),
        "ECG_R_Offsets": list(R + 20.0),
        "ECG_T_Onsets": list(R + 90.0),
        "ECG_T_Peaks": list(R + 140.0),
        "ECG_T_Offsets": list(R + 190.0),
    }


def measured(signal: np.ndarray, found: Delineation) -> np.ndarray:
    (features,) = measure(signal[None], found)
    return features


def test_qrs_bounds_that_neurokit_returns_are_read() -> None:
    signal = neurokit.clean(beats())
    features = measured(signal, neurokit.delineate(signal))
    for name in ("qrs", "pr", "qtc", "qrs_slope", "r_amplitude", "t_amplitude", "p_amplitude"):
        assert (features[[INDEX[f"{name}_02"], INDEX[f"{name}_median"]]] > 0).all(), name


def test_one_missing_wave_does_not_wipe_the_later_ones() -> None:
    nan = float("nan")
    whole = measured(beats(), neurokit.assemble(found_by_neurokit(list(R - 80.0)), R, 2500))
    holed = measured(beats(), neurokit.assemble(found_by_neurokit([320.0, nan, 1120.0, 1520.0, 1920.0]), R, 2500))
    lost = {column.name for column, a, b in zip(COLUMNS, whole, holed, strict=True) if np.isnan(b) and not np.isnan(a)}
    assert lost == {"pr_02", "p_duration_02", "p_amplitude_02"}
    assert np.isfinite(holed[[INDEX["pr_03"], INDEX["qtc_02"], INDEX["t_amplitude_05"]]]).all()


def test_missing_is_not_zero() -> None:
    features = measured(beats(), without_waves(R, "delineation_failed"))
    waves = [i for name, i in INDEX.items() if name.startswith(("pr", "qrs", "qtc", "p_", "t_", "st_", "r_amp"))]
    waves.remove(INDEX["premature"])
    assert np.isnan(features[waves]).all()
    assert np.isfinite(features[INDEX["rr_mean"]])


def test_an_absent_p_wave_and_a_failed_delineation_do_not_look_alike() -> None:
    absent = neurokit.assemble(found_by_neurokit([float("nan")] * 5), R, 2500)
    failed = without_waves(R, "delineation_failed")
    assert measured(beats(), absent)[INDEX["p_absent"]] == 1.0
    assert set(absent.status) <= USABLE
    assert np.isnan(measured(beats(), failed)[INDEX["p_absent"]])
    assert not set(failed.status) & USABLE


def test_beats_that_are_not_there_are_not_padded_with_numbers() -> None:
    signal = neurokit.clean(beats())
    features = measured(signal, neurokit.delineate(signal))
    beyond = [i for name, i in INDEX.items() if name.endswith(("_06", "_07", "_08", "_09", "_10"))]
    assert np.isnan(features[beyond]).all()


def test_leads_are_not_averaged() -> None:
    """Leads that cancel each other (aVR is inverted) are measured as well as leads that agree."""
    cancelling = np.tile(beats(), (12, 2)) * np.array([1.0, -1.0] * 6)[:, None]
    assert np.abs(cancelling.mean(axis=0)).max() < 1e-12
    agreeing = np.abs(cancelling)
    for lead in ("I", "pca"):
        extractor = FeatureExtractor(FeatureConfig(lead=lead))
        for one, other in zip(*extractor(np.stack([cancelling, agreeing])), strict=True):
            assert one.status == "ok"
            np.testing.assert_allclose(one.features, other.features, rtol=1e-3, atol=1e-3)


def test_features_are_standardised_before_the_pca() -> None:
    """A column in milliseconds and one a thousand times smaller have the same say."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2000, 4)) * np.array([1000.0, 1000.0, 1.0, 0.001])
    features[:, 3] += features[:, 2] * 0.001
    leading = Reducer.fit(features, components=1).components[0]
    assert np.abs(leading[2:]).min() > 0.6
    assert np.abs(leading[:2]).max() < 0.2


def test_nothing_depends_on_absolute_voltage() -> None:
    """The same heart in mV, in microvolts and z-scored: the same waves, times, shares and correlations."""
    signal = np.tile(beats(), (12, 2))
    free = [i for i, column in enumerate(COLUMNS) if not column.unit.startswith("unit")]
    scaled = (signal, signal * 1000.0, signal * 0.01, (signal - signal.mean()) / signal.std())
    first, *others = [halves[0] for halves in FeatureExtractor()(np.stack(scaled))]
    for other in others:
        np.testing.assert_array_equal(other.intervals, first.intervals)
        np.testing.assert_allclose(other.features[free], first.features[free], rtol=1e-3, atol=1e-4)
