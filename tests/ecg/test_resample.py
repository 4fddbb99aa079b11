import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physioclr.ecg.resample import resample, resampled_length, resampling_ratio
from physioclr.errors import RejectedRecording

RATES = (100, 250, 257, 360, 1000)


@pytest.mark.parametrize("fs", RATES)
@pytest.mark.parametrize("phase", [0.0, 0.7, np.pi / 2])
def test_a_sine_keeps_amplitude_and_timing_up_to_its_ends(fs, phase):
    frequency = 8.0  # Hz, the middle of a QRS complex's spectrum
    sine = np.sin(2 * np.pi * frequency * np.arange(10 * fs) / fs + phase)
    resampled = resample(sine[None], resampling_ratio(fs))
    expected = np.sin(2 * np.pi * frequency * np.arange(5000) / 500 + phase)
    assert resampled.shape == (1, 5000)
    error = np.abs(resampled[0] - expected)
    assert error[100:-100].max() < 0.002
    last = (10 * fs - 1) * 500 // fs  # 500 Hz samples after the last one at `fs` are continued, not measured
    assert error[: last + 1].max() < 0.02
    assert error.max() < 0.2


@pytest.mark.parametrize("fs", RATES)
def test_an_offset_and_a_slope_do_not_ring_at_the_ends(fs):
    time = np.arange(10 * fs) / fs
    resampled = resample((3.0 + 0.2 * time)[None], resampling_ratio(fs))[0]
    np.testing.assert_allclose(resampled, 3.0 + 0.2 * np.arange(5000) / 500, atol=0.01)


def test_what_500_hz_cannot_hold_is_filtered_out_and_not_folded_back():
    time = np.arange(10_000) / 1000
    alias = np.sin(2 * np.pi * 400 * time)  # would come back as 100 Hz
    resampled = resample(alias[None], resampling_ratio(1000))[0]
    assert np.abs(resampled[50:-50]).max() < 0.01


def test_500_hz_is_left_as_it_is():
    signal = np.random.default_rng(0).standard_normal((2, 700))
    np.testing.assert_array_equal(resample(signal, resampling_ratio(500.0)), signal)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([*RATES, 128, 257.5, 400, 977, 2048]), st.integers(1, 3000))
def test_the_length_is_the_whole_samples_in_the_same_time(fs, samples):
    ratio = resampling_ratio(fs)
    signal = np.zeros((1, samples))
    assert resample(signal, ratio).shape[1] == resampled_length(samples, ratio) == int(samples * 500 / fs + 1e-9)


@pytest.mark.parametrize("fs", [0.0, 1.0, 49.9, 1e6, float("nan"), float("inf")])
def test_rates_no_ecg_has_are_refused(fs):
    with pytest.raises(RejectedRecording, match="bad_sampling_rate"):
        resampling_ratio(fs)
