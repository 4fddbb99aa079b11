"""The heart vector of a recording: beat after beat of a patient's waves, and fibrillating atria between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from physioclr.ecg.record import FS, WINDOW_SAMPLES
from physioclr.sources.demo.conditions import Rhythm
from physioclr.sources.demo.patient import Patient
from physioclr.sources.demo.rhythm import Beats, Kind
from physioclr.sources.demo.shapes import QRS, BeatShape, P, T

MARGIN = int(1.6 * FS)  # samples drawn beyond either end, so that beats outside reach in with their waves
# Samples around the P onset, the R peak and the end of T beyond which a wave is below a microvolt.
REACH = {P: (-20, 85), QRS: (-75, 95), T: (-250, 100)}
TIME = np.arange(WINDOW_SAMPLES) / FS
REACHING = 0.7  # s: beats further outside do not reach in, wherever their P and T lie
BEAT_SPREAD, WIDTH_SPREAD = 0.025, 0.012  # how much a wave differs from beat to beat, relative


def heart_vector(rng: np.random.Generator, patient: Patient, beats: Beats, rhythm: Rhythm) -> NDArray[np.float64]:
    """The heart vector [3, 5000] in mV at 500 Hz, with the size and direction swinging as the patient breathes."""
    vector = np.zeros((3, MARGIN + WINDOW_SAMPLES + MARGIN))
    shapes = {
        Kind.SINUS: patient.sinus_beat,
        Kind.ATRIAL: patient.atrial_beat,
        Kind.VENTRICULAR: patient.ventricular_beat,
    }
    has_p = rhythm is not Rhythm.FIBRILLATION
    for kind, shape in shapes.items():
        of_kind = (beats.kind == kind) & (beats.times > -REACHING) & (beats.times < WINDOW_SAMPLES / FS + REACHING)
        if of_kind.any():
            _draw(rng, vector, shape, beats.times[of_kind], _paces(beats)[of_kind], (patient.pr, patient.qtc), has_p)
    swing = np.sin(2 * np.pi * (patient.breath * TIME + rng.random()))
    heart: NDArray[np.float64] = vector[:, MARGIN : MARGIN + WINDOW_SAMPLES]
    heart = heart * (1.0 + rng.uniform((0.01, 0.01, 0.01), (0.05, 0.05, 0.04))[:, None] * swing)
    if not has_p:
        heart += _fibrillation(rng, patient)
    return heart


def _paces(beats: Beats) -> NDArray[np.float64]:
    """The RR in s that QT and PR answer to [B]: mostly the mean one, partly the last one."""
    return np.clip(0.65 * beats.rr.mean() + 0.35 * beats.rr, 0.35, 1.6)


def _draw(
    rng: np.random.Generator,
    vector: NDArray[np.float64],
    shape: BeatShape,
    times: NDArray[np.float64],
    pace: NDArray[np.float64],
    intervals: tuple[float, float],
    has_p: bool,
) -> None:
    """Add the beats at `times` [B] to `vector`, whose sample `MARGIN` is time 0; `intervals` are PR and QTc in s."""
    pr, qtc = intervals
    onset = times + shape.qrs_onset
    # Bazett: QT = QTc sqrt(RR); T waves widen alike. PR shortens a little when the heart is fast.
    anchored = {P: onset - pr * pace**0.15, QRS: times, T: onset + qtc * np.sqrt(pace)}
    for anchor, zero in anchored.items():
        stretch = np.sqrt(pace) if anchor == T else np.ones_like(pace)
        waves = shape.part(anchor)
        if len(waves.anchor) and (has_p or anchor != P):
            draw_waves(rng, vector, waves, zero, stretch, REACH[anchor])


def draw_waves(
    rng: np.random.Generator,
    vector: NDArray[np.float64],
    shape: BeatShape,
    zero: NDArray[np.float64],
    stretch: NDArray[np.float64],
    reach: tuple[int, int],
) -> None:
    """Add the W waves of `shape`, counted from `zero` [B] in s and widened by `stretch` [B], `reach` samples around."""
    low, high = reach
    first = np.floor(zero * FS).astype(np.int64)
    clock = (np.arange(low, high) - (zero * FS - first)[:, None]) / FS  # [B, n], 0 where `zero` is
    delay = clock[:, None] - (stretch[:, None] * shape.centre)[..., None]  # [B, W, n]
    spread = (len(zero), len(shape.centre))
    widths = stretch[:, None] * (1.0 + rng.normal(0.0, WIDTH_SPREAD, spread))
    before, after = ((1.0 / (widths * width))[..., None] for width in (shape.before, shape.after))
    waves = np.exp(-0.5 * (delay * np.where(delay < 0, before, after)) ** 2)
    sizes = 1.0 + rng.normal(0.0, BEAT_SPREAD, spread)
    drawn = shape.direction.T @ (sizes[..., None] * waves)  # [B, 3, n]
    for start, beat in zip((first + low + MARGIN).tolist(), drawn, strict=True):
        vector[:, start : start + high - low] += beat


def _fibrillation(rng: np.random.Generator, patient: Patient) -> NDArray[np.float64]:
    """Fibrillatory waves [3, 5000] in mV: two wavelets whose pace and size wander, with a sharp side like a saw."""
    total = np.zeros((3, WINDOW_SAMPLES))
    for direction in patient.fibrillation.direction:
        slow, fast, swell = 2 * np.pi * (np.array([[0.21], [0.83], [0.37]]) * TIME + rng.random((3, 1)))
        frequency = patient.fibrillation.frequency * rng.uniform(0.92, 1.08)
        phase = 2 * np.pi * frequency * TIME
        phase += rng.uniform(1.0, 2.5) * np.sin(slow) + rng.uniform(0.4, 1.0) * np.sin(fast)
        wave = (1.0 + 0.45 * np.sin(swell)) * (np.sin(phase) + 0.35 * np.sin(2 * phase + 0.6))
        total += direction[:, None] * wave
    return total
