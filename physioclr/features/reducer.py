"""150 features to 50 numbers that a cosine can compare: mark and fill what is missing, standardise, cut, PCA.

Fitted on the training split only and in two passes over it, each a sum that can be made part by part: first `Moments`
of every column, then the `Covariance` of the standardised rows. Parts merged in a fixed order give the same result
every time. The scaler comes before the PCA, or the PCA would see milliseconds only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from physioclr.errors import DatasetError

Floats = NDArray[np.float64]
_FORMAT = 2


def mark_missing(features: NDArray[np.floating[Any]], columns: Sequence[int]) -> Floats:
    """Rows [n, C] with another column for each of `columns`: 1 where that one is missing, else 0. [n, C + marks].

    A P wave that is not there is a finding and not a gap: filled with the mean alone, atrial fibrillation would look
    like any other rhythm there.
    """
    rows = np.asarray(features, dtype=np.float64)
    return np.concatenate([rows, np.isnan(rows[:, list(columns)])], axis=1) if len(columns) else rows


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations of each column's numbers (NaN left out): float64 [C] each."""

    n: Floats
    mean: Floats
    m2: Floats
    rows: int

    @classmethod
    def from_features(cls, features: NDArray[np.floating[Any]]) -> Moments:
        """Moments of usable rows [n, C]."""
        values = np.asarray(features, dtype=np.float64)
        missing = np.isnan(values)
        n = (~missing).sum(axis=0).astype(np.float64)
        mean = np.where(missing, 0.0, values).sum(axis=0) / np.maximum(n, 1.0)
        m2 = (np.where(missing, 0.0, values - mean) ** 2).sum(axis=0)
        return cls(n, mean, m2, len(values))

    def merge(self, other: Moments) -> Moments:
        """Moments of both parts together (Chan, Golub and LeVeque 1979)."""
        n = self.n + other.n
        step = other.mean - self.mean
        share = other.n / np.maximum(n, 1.0)
        mean = self.mean + step * share
        m2 = self.m2 + other.m2 + step**2 * self.n * share
        return Moments(n, mean, m2, self.rows + other.rows)


@dataclass(frozen=True)
class Scaler:
    """Standardise, fill, cut. A column without spread in training (`used` false) is zero in every row."""

    mean: Floats
    scale: Floats
    used: NDArray[np.bool_]
    clip: float

    @classmethod
    def from_moments(cls, moments: Moments, clip: float) -> Scaler:
        """Columns that are all missing or constant get scale 1 and are not used."""
        if not moments.rows:
            raise DatasetError(
                "no usable segment to fit the feature reducer on: the training split is empty or no lead could be "
                "delineated; look at feature_status in the prepared rows"
            )
        deviation = np.sqrt(moments.m2 / np.maximum(moments.n, 1.0))
        # rounding alone gives a constant column a spread of this order
        used = deviation > 10 * np.finfo(np.float64).eps * np.sqrt(np.maximum(moments.n, 1.0)) * np.abs(moments.mean)
        return cls(moments.mean, np.where(used, deviation, 1.0), used, clip)

    def __call__(self, features: NDArray[np.floating[Any]]) -> Floats:
        """Rows [n, C] in training standard deviations: missing becomes 0, the training mean; cut at +-clip."""
        scaled = (np.asarray(features, dtype=np.float64) - self.mean) / self.scale
        filled = np.where(np.isnan(scaled) | ~self.used, 0.0, scaled)
        return np.clip(filled, -self.clip, self.clip)


@dataclass(frozen=True)
class Covariance:
    """Count, mean [C] and sum of outer products of deviations [C, C] of standardised rows."""

    n: int
    mean: Floats
    outer: Floats

    @classmethod
    def from_rows(cls, rows: Floats) -> Covariance:
        """Of rows [n, C] as a `Scaler` gives them."""
        mean = rows.sum(axis=0) / max(len(rows), 1)
        centred = rows - mean
        return cls(len(rows), mean, centred.T @ centred)

    def merge(self, other: Covariance) -> Covariance:
        """Of both parts together."""
        n = self.n + other.n
        step = other.mean - self.mean
        share = other.n / max(n, 1)
        outer = self.outer + other.outer + np.outer(step, step) * (self.n * share)
        return Covariance(n, self.mean + step * share, outer)


@dataclass(frozen=True)
class Reducer:
    """A fitted scaler and PCA. `components` [K, C] have unit length; `explained` [K] are shares of the variance.

    K is what was asked for, or fewer where the training rows do not span that many directions. Each component's sign is
    set so that its largest loading is positive. `unused` lists the columns that had no spread in training, `marked`
    those of the features whose absence is a column of its own, behind the features (`mark_missing`).
    """

    mean: Floats
    scale: Floats
    components: Floats
    centre: Floats
    explained: Floats
    clip: float
    fitted_on: int
    unused: tuple[int, ...]
    marked: tuple[int, ...] = ()

    @classmethod
    def from_covariance(
        cls, scaler: Scaler, covariance: Covariance, components: int, marked: Sequence[int] = ()
    ) -> Reducer:
        """The PCA of rows that `scaler` standardised; they had `marked` features marked before."""
        values, vectors = np.linalg.eigh(covariance.outer)
        values, vectors = values[::-1], vectors[:, ::-1].T
        rank = int((values > values[0] * len(values) * np.finfo(np.float64).eps).sum())
        if not rank:
            raise DatasetError(
                "the usable segments of the training split all have the same features, so no PCA can be fitted; "
                "prepare more recordings"
            )
        kept = np.where(scaler.used, vectors[: min(components, rank)], 0.0)  # rounding leaves 1e-16 there
        largest = np.abs(kept).argmax(axis=1)
        kept = kept * np.sign(kept[np.arange(len(kept)), largest])[:, None]
        unused = tuple(int(i) for i in np.flatnonzero(~scaler.used))
        explained = values[: len(kept)] / values.sum()
        of_scaler = (scaler.mean, scaler.scale, kept, covariance.mean, explained, scaler.clip)
        return cls(*of_scaler, covariance.n, unused, tuple(marked))

    @classmethod
    def fit(
        cls,
        features: NDArray[np.floating[Any]],
        components: int = 50,
        clip: float = 5.0,
        marked: Sequence[int] = (),
    ) -> Reducer:
        """Both passes over usable rows [n, C] held in memory."""
        rows = mark_missing(features, marked)
        scaler = Scaler.from_moments(Moments.from_features(rows), clip)
        return cls.from_covariance(scaler, Covariance.from_rows(scaler(rows)), components, marked)

    @property
    def scaler(self) -> Scaler:
        """The first half of `transform`."""
        used = np.ones(len(self.mean), dtype=bool)
        used[list(self.unused)] = False
        return Scaler(self.mean, self.scale, used, self.clip)

    def transform(self, features: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Rows [n, C] to float32 [n, K]. Give it rows of usable status: a row with nothing in it is no measurement."""
        reduced = (self.scaler(mark_missing(features, self.marked)) - self.centre) @ self.components.T
        return reduced.astype(np.float32)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What `reducer_torch` needs, as arrays. Unused columns have no loading in `components`."""
        return {
            "mean": self.mean.astype(np.float32),
            "scale": self.scale.astype(np.float32),
            "clip": np.array(self.clip, dtype=np.float32),
            "centre": self.centre.astype(np.float32),
            "components": self.components.astype(np.float32),
            "marked": np.array(self.marked, dtype=np.int64),
        }

    def to_json(self) -> str:
        """Text that `from_json` turns into an equal reducer, to the last bit."""
        fields: dict[str, Any] = {name: getattr(self, name).tolist() for name in _ARRAYS}
        fields |= {"format": _FORMAT, "clip": self.clip, "fitted_on": self.fitted_on, "unused": list(self.unused)}
        fields["marked"] = list(self.marked)
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: str) -> Reducer:
        """Raises DatasetError if the text is no reducer, or one of another version."""
        try:
            fields = json.loads(text)
            version = fields["format"]
            if version == _FORMAT:
                arrays = {name: np.asarray(fields[name], dtype=np.float64) for name in _ARRAYS}
                clip, fitted_on = float(fields["clip"]), int(fields["fitted_on"])
                unused, marked = tuple(fields["unused"]), tuple(fields["marked"])
                return cls(**arrays, clip=clip, fitted_on=fitted_on, unused=unused, marked=marked)
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"the feature reducer cannot be read ({error}): prepare the dataset anew") from error
        raise DatasetError(f"the feature reducer has format {version}, not {_FORMAT}: prepare the dataset anew")


_ARRAYS = ("mean", "scale", "components", "centre", "explained")
