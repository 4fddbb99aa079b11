"""MiniRocket with ridge regression (Dempster et al. 2021, arXiv 2012.08791): what a practitioner would try first.

Pooled convolutions with fixed kernels, made by the package aeon, and a linear classifier. It sees no recordings but
the labelled ones.

Shapes: n recordings, L 12 leads, T samples, F features, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from physioclr.ecg.resample import resample
from physioclr.errors import ConfigError

FS = 100  # Hz [D], the rate of PTB-XL's smaller version
# [D] The paper's grid ends at 1e3, which was chosen nearly always with 1,536 recordings of PTB-XL; the best was beyond.
ALPHAS = tuple(float(alpha) for alpha in np.logspace(-3, 5, 13))


@dataclass(frozen=True, slots=True)
class MiniRocketRidge:
    """A fitted MiniRocket; `alphas` [C] are the penalties that leave-one-out validation chose."""

    kernels: Any
    classifier: Pipeline
    fs: float
    alphas: NDArray[np.float64]

    def scores(self, signals: ArrayLike) -> NDArray[np.float64]:
        """Decision values float64 [n, C] of `signals` [n, L, T] as in fitting: they rank, and are no probabilities."""
        predicted = self.classifier.predict(_features(self.kernels, signals, self.fs))
        return np.asarray(predicted, dtype=np.float64).reshape(-1, len(self.alphas))  # one class comes without its axis


def fit_minirocket(
    signals: ArrayLike, y: ArrayLike, *, fs: float, kernels: int = 10_000, seed: int = 0
) -> MiniRocketRidge:
    """Fit to `signals` [n, L, T] sampled at `fs` Hz, z-scored by lead, and outcomes `y` bool [n, C].

    Each class has its own penalty. Raises ConfigError where aeon is not installed, and ValueError where the shapes do
    not fit.
    """
    x_nLT, y_nC = np.asarray(signals), np.asarray(y, dtype=bool)
    if x_nLT.ndim != 3 or y_nC.ndim != 2 or len(x_nLT) != len(y_nC) or len(x_nLT) < 2:
        raise ValueError(
            f"signals {x_nLT.shape} and outcomes {y_nC.shape} must be [n, leads, T] and [n, classes], n at least 2"
        )
    transform = _minirocket()(n_kernels=kernels, random_state=seed)
    transform.fit(_resampled(x_nLT, fs))
    classifier = make_pipeline(StandardScaler(), RidgeCV(alphas=ALPHAS, alpha_per_target=True))
    classifier.fit(_features(transform, x_nLT, fs), np.where(y_nC, 1.0, -1.0))
    return MiniRocketRidge(transform, classifier, fs, np.atleast_1d(classifier[-1].alpha_))


def _minirocket() -> Any:
    try:
        from aeon.transformations.collection.convolution_based import MiniRocket
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"MiniRocket needs the package {str(error.name).split('.')[0]}, which is not installed here; install it "
            "with pip install aeon, or this package with its extra `baselines`"
        ) from error
    return MiniRocket


def _resampled(x_nLT: NDArray[Any], fs: float) -> NDArray[np.float32]:
    """At 100 Hz, float32."""
    ratio = Fraction(FS / fs).limit_denominator(1000)
    resampled = resample(x_nLT.reshape(-1, x_nLT.shape[-1]).astype(np.float64), ratio)
    return resampled.reshape(*x_nLT.shape[:2], -1).astype(np.float32)


def _features(transform: Any, signals: ArrayLike, fs: float) -> NDArray[np.float64]:
    return np.asarray(transform.transform(_resampled(np.asarray(signals), fs)), dtype=np.float64)
