from __future__ import annotations

import math

import numpy as np
import pytest

from physioclr.ecg.record import FS
from physioclr.sources.demo.conditions import Ectopy, Rhythm
from physioclr.sources.demo.heart import BEAT_SPREAD, MARGIN, REACH, WIDTH_SPREAD, draw_waves, heart_vector
from physioclr.sources.demo.history import Visit
from physioclr.sources.demo.patient import make_patient
from physioclr.sources.demo.rhythm import Beats, beats
from physioclr.sources.demo.shapes import P, T


@pytest.mark.parametrize("anchor", [P, T])
def test_waves_are_gaussians_where_they_belong(anchor: int) -> None:
    shape = make_patient(1, 2).sinus_beat.part(anchor)
    zero, stretch = np.array([0.5003, 1.317, 2.0]), np.array([1.0, 0.8, 1.2])
    vector = np.zeros((3, MARGIN + 3 * FS))
    draw_waves(np.random.default_rng(8), vector, shape, zero, stretch, REACH[anchor])

    rng = np.random.default_rng(8)
    waves = len(shape.anchor)
    widths, sizes = rng.normal(0.0, WIDTH_SPREAD, (3, waves)), rng.normal(0.0, BEAT_SPREAD, (3, waves))
    expected = np.zeros_like(vector)
    for sample in range(vector.shape[1]):
        for beat in range(3):
            for wave in range(waves):
                after = (sample - MARGIN) / FS - zero[beat] - stretch[beat] * shape.centre[wave]
                width = (shape.before if after < 0 else shape.after)[wave] * stretch[beat] * (1 + widths[beat, wave])
                height = (1 + sizes[beat, wave]) * math.exp(-0.5 * (after / width) ** 2)
                expected[:, sample] += height * shape.direction[wave]
    assert np.max(np.abs(vector - expected)) < 1.5e-3  # mV: what is cut off far from a wave


def test_qt_follows_the_square_root_of_rr() -> None:
    patient = make_patient(0, 3)
    peaks = []
    for interval in (0.6, 1.2):
        times = np.arange(-2.0, 14.0, interval)
        seen = Beats(times, np.full(len(times), interval), np.zeros(len(times), dtype=np.int64))
        heart = heart_vector(np.random.default_rng(0), patient, seen, Rhythm.SINUS)
        delays = []
        for time in times[(times > 1) & (times < 8)]:
            start = round((time + 0.15) * FS)
            delays.append(0.15 + np.argmax(heart[1, start : start + int(0.3 * FS)]) / FS)
        peaks.append(float(np.mean(delays)) - patient.sinus_beat.qrs_onset)
    assert peaks[1] / peaks[0] == pytest.approx(math.sqrt(2.0), rel=0.03)


def test_fibrillating_atria_wave_four_to_nine_times_a_second_and_make_no_p() -> None:
    patient = make_patient(0, 3)
    none = Beats(np.array([-5.0]), np.array([0.8]), np.array([0]))
    heart = heart_vector(np.random.default_rng(0), patient, none, Rhythm.FIBRILLATION)
    power = np.abs(np.fft.rfft(heart[2])) ** 2
    frequency = np.fft.rfftfreq(heart.shape[1], 1 / FS)
    main = (frequency > 3.0) & (frequency < 10.0)
    assert power[main].sum() > 0.75 * power[1:].sum()
    assert 0.02 < np.ptp(heart[2]) < 0.6

    visit = Visit(Rhythm.SINUS, Ectopy.NONE, 60.0, ())
    silent = heart_vector(np.random.default_rng(0), patient, none, Rhythm.SINUS)
    assert np.max(np.abs(silent)) == 0.0
    assert np.max(np.abs(heart_vector(np.random.default_rng(0), patient, _beats(visit), Rhythm.SINUS))) > 0.5


def _beats(visit: Visit) -> Beats:
    return beats(np.random.default_rng(0), visit, 0.25, 50)
