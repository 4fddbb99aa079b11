import numpy as np
import pytest

from physioclr.ecg.leads import LEADS
from physioclr.ecg.record import Recording, RecordingRef
from physioclr.ecg.standardise import standardise
from physioclr.errors import RejectedRecording

REF = RecordingRef("d/r", "d", "r", "d/p")


def recording(signal, fs=500.0, leads=LEADS, units=("mV",) * 12):
    return Recording(REF, np.asarray(signal, dtype=np.float64), fs, tuple(leads), tuple(units))


def waves(seconds=10.0, fs=500.0, amplitude=1.0):
    """12 sines of 1 to 12 Hz, so that every lead is told by its frequency."""
    time = np.arange(round(seconds * fs)) / fs
    return amplitude * np.sin(2 * np.pi * np.arange(1, 13)[:, None] * time)


def rejection(recording_):
    with pytest.raises(RejectedRecording) as caught:
        standardise(recording_)
    return caught.value


def test_ten_seconds_become_one_window_of_thousandths():
    result = standardise(recording(waves()))
    (window,) = result.windows
    assert (window.index, window.unit, window.signal.shape, window.signal.dtype) == (0, "mV", (12, 5000), np.int16)
    np.testing.assert_array_equal(window.signal, np.rint(waves() * 1000))


def test_leads_come_out_in_order_whatever_order_they_are_in():
    shuffled = np.random.default_rng(1).permutation(12)
    (window,) = standardise(recording(waves()[shuffled], leads=[LEADS[i] for i in shuffled])).windows
    np.testing.assert_array_equal(window.signal, np.rint(waves() * 1000))


@pytest.mark.parametrize(("unit", "factor"), [("uV", 1e3), ("µV", 1e3), ("V", 1e-3), ("nV", 1e6), ("mv", 1.0)])
def test_every_voltage_unit_becomes_millivolts(unit, factor):
    (window,) = standardise(recording(waves() * factor, units=[unit] * 12)).windows
    np.testing.assert_allclose(window.signal, waves() * 1000, atol=0.51)
    assert window.unit == "mV"


def test_normalised_signals_stay_normalised_and_may_be_larger_than_millivolts():
    (window,) = standardise(recording(waves(amplitude=30.0), units=["NU"] * 12)).windows
    assert window.unit == "NU"
    assert window.signal.max() == 30_000


@pytest.mark.parametrize("fs", [100, 250, 257, 360, 1000])
def test_other_rates_give_the_same_window(fs):
    (window,) = standardise(recording(waves(fs=fs), fs=fs)).windows
    np.testing.assert_allclose(window.signal[:, :4990], waves()[:, :4990] * 1000, atol=15)
    np.testing.assert_allclose(window.signal[:, 100:-100], waves()[:, 100:-100] * 1000, atol=3)


def test_longer_recordings_become_consecutive_windows_without_the_rest():
    signal = waves(seconds=37.0, fs=257)
    result = standardise(recording(signal, fs=257.0))
    assert [window.index for window in result.windows] == [0, 1, 2]
    joined = np.concatenate([window.signal for window in result.windows], axis=1)
    np.testing.assert_allclose(joined[:, 100:], waves(seconds=30.0)[:, 100:] * 1000, atol=3)


def test_a_bad_window_is_left_out_and_the_others_are_kept():
    signal = waves(seconds=50.0)
    signal[4, 5000:10_000] = 0.25  # window 1
    signal[7, 12_345] = np.nan  # window 2
    signal[0, 15_000] = 25.0  # window 3
    result = standardise(recording(signal))
    assert [window.index for window in result.windows] == [0, 4]
    assert [(index, reason) for index, reason, _ in result.rejected] == [
        (1, "flat_lead"),
        (2, "nan"),
        (3, "absurd_amplitude"),
    ]
    named = [detail.partition(":")[0] for _, _, detail in result.rejected]
    assert named == ["lead aVL", "lead V2", "lead I"]


@pytest.mark.parametrize("fs", [257.0, 500.0, 1000.0])
def test_missing_samples_do_not_reach_into_the_next_window(fs):
    signal = waves(seconds=20.0, fs=fs)
    clean = standardise(recording(signal, fs=fs)).windows[1].signal
    signal[3, : round(9.5 * fs)] = np.nan
    result = standardise(recording(signal, fs=fs))
    assert [(index, reason) for index, reason, _ in result.rejected] == [(0, "nan")]
    np.testing.assert_array_equal(result.windows[0].signal, clean)


@pytest.mark.parametrize("fs", [257.0, 360.0, 1000.0])
def test_missing_samples_beside_a_window_leave_it_whole(fs):
    signal = waves(seconds=20.0, fs=fs)
    clean = standardise(recording(signal, fs=fs)).windows[1].signal
    signal[3, round(10 * fs) - 3 : round(10 * fs)] = np.nan
    (window,) = standardise(recording(signal, fs=fs)).windows
    np.testing.assert_allclose(window.signal.astype(float), clean, atol=5)


@pytest.mark.parametrize("fs", [100.0, 257.0, 500.0, 1000.0])
@pytest.mark.parametrize("level", [0.0, -1.7])
def test_a_constant_lead_is_flat_at_every_rate_and_level(fs, level):
    signal = waves(fs=fs)
    signal[5] = level
    assert rejection(recording(signal, fs=fs)).reason == "flat_lead"


def test_a_lead_below_the_resolution_is_flat():
    signal = waves()
    signal[5] *= 1e-4
    assert rejection(recording(signal)).reason == "flat_lead"


@pytest.mark.parametrize(("unit", "amplitude"), [("mV", 20.1), ("NU", 32.8), ("mV", 1e9), ("NU", np.inf)])
def test_amplitudes_beyond_what_can_be_are_refused_and_never_wrap_around(unit, amplitude):
    signal = waves()
    signal[2, 100] = amplitude
    expected = "absurd_amplitude" if np.isfinite(amplitude) else "nan"
    assert rejection(recording(signal, units=[unit] * 12)).reason == expected


def test_a_spike_between_samples_of_500_hz_counts_too():
    signal = waves(fs=1000)
    signal[2, 1001] = 30.0
    assert rejection(recording(signal, fs=1000.0)).reason == "absurd_amplitude"


@pytest.mark.parametrize("fs", [257, 500, 1000])
def test_one_sample_less_than_ten_seconds_is_too_short(fs):
    error = rejection(recording(waves(fs=fs)[:, :-1], fs=fs))
    assert error.reason == "too_short"
    assert "9.99" in error.detail


def test_units_that_are_not_voltages_are_refused_without_being_quoted():
    units = ["mV"] * 11 + ["JohnSmith"]
    error = rejection(recording(waves(), units=units))
    assert error.reason == "unknown_units"
    assert "V6" in error.detail
    assert "Smith" not in str(error)


def test_normalised_and_physical_leads_in_one_recording_are_refused():
    assert rejection(recording(waves(), units=["NU"] + ["mV"] * 11)).reason == "unknown_units"


def test_the_unit_of_a_lead_that_is_not_used_does_not_matter():
    signal = np.concatenate([waves(), waves()[:1]])
    assert standardise(recording(signal, leads=[*LEADS, "Resp"], units=["mV"] * 12 + ["Ohm"])).windows


def test_a_recording_without_a_usable_window_is_rejected_for_its_first_reason():
    signal = waves(seconds=20.0)
    signal[0, 10] = np.nan
    signal[1, 5000:] = 0.0
    error = rejection(recording(signal))
    assert error.reason == "nan"
    assert "none of 2 windows" in error.detail
