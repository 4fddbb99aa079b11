from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from physioclr.baselines.minirocket import ALPHAS, MiniRocketRidge, fit_minirocket
from physioclr.ecg.resample import resample
from physioclr.errors import ConfigError
from physioclr.evaluation.metrics import auroc

needs_aeon = pytest.mark.skipif(
    importlib.util.find_spec("aeon") is None, reason="aeon is not installed (it comes with the `baselines` extra)"
)


def recordings(count: int, seed: int, fs: int = 500) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """10 s: class 0 is a faster beat, class 1 a wide one in the last leads; both, one or none."""
    rng = np.random.default_rng(seed)
    y = rng.random((count, 2)) < 0.5
    time = np.arange(10 * fs) / fs
    signals = np.empty((count, 12, len(time)), dtype=np.float32)
    for signal, (fast, wide) in zip(signals, y, strict=True):
        since = (time + rng.random()) % (0.5 if fast else 0.9)
        width = np.where(np.arange(12) >= 6, 0.09 if wide else 0.03, 0.03)[:, None]
        signal[:] = np.exp(-(((since - 0.2) / width) ** 2)) + 0.1 * rng.normal(size=(12, len(time)))
    signals -= signals.mean(axis=2, keepdims=True)
    return signals / signals.std(axis=2, keepdims=True), y


@pytest.fixture(scope="module")
def fitted() -> MiniRocketRidge:
    return fit_minirocket(*recordings(60, 0), fs=500, kernels=500)


@needs_aeon
def test_it_tells_recordings_apart_that_it_has_not_seen(fitted: MiniRocketRidge) -> None:
    signals, y = recordings(40, 1)
    scores = fitted.scores(signals)
    assert scores.shape == y.shape
    assert min(auroc(y, scores, ["fast", "wide"]).per_class.values()) > 0.95
    assert fitted.alphas.shape == (2,)
    assert set(fitted.alphas) <= set(ALPHAS)


@needs_aeon
def test_the_same_seed_gives_the_same_scores(fitted: MiniRocketRidge) -> None:
    signals, _ = recordings(5, 1)
    again = fit_minirocket(*recordings(60, 0), fs=500, kernels=500)
    np.testing.assert_array_equal(again.scores(signals), fitted.scores(signals))


@needs_aeon
def test_any_rate_is_brought_to_100_hz(fitted: MiniRocketRidge) -> None:
    """What was fitted at 500 Hz gives the same scores for the same recordings at 100 Hz."""
    signals, _ = recordings(6, 1)
    slower = resample(signals.reshape(72, -1).astype(np.float64), Fraction(1, 5)).reshape(6, 12, 1000)
    np.testing.assert_allclose(replace(fitted, fs=100).scores(slower), fitted.scores(signals), atol=1e-3)


@needs_aeon
def test_one_class_and_a_class_with_one_outcome() -> None:
    signals, y = recordings(12, 0, fs=100)
    y[:, 1] = False
    assert fit_minirocket(signals, y[:, :1], fs=100, kernels=100).scores(signals).shape == (12, 1)
    scores = fit_minirocket(signals, y, fs=100, kernels=100).scores(signals)
    np.testing.assert_allclose(scores[:, 1], -1, atol=1e-6)


@pytest.mark.parametrize(("shape", "rows"), [((3, 1000), 3), ((3, 12, 1000), 2), ((1, 12, 1000), 1)])
def test_shapes_that_do_not_fit_are_refused(shape: tuple[int, ...], rows: int) -> None:
    with pytest.raises(ValueError, match=r"\[n, leads, T\]"):
        fit_minirocket(np.zeros(shape), np.zeros((rows, 1), dtype=bool), fs=100)


def test_without_aeon_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aeon.transformations.collection.convolution_based", None)
    with pytest.raises(ConfigError, match=r"MiniRocket needs the package aeon, .*pip install aeon"):
        fit_minirocket(*recordings(4, 0, fs=100), fs=100)
