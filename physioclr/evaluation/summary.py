"""Every figure of one method on one set of rows, per class and over classes, with intervals over patients.

Shape legend: n rows (recordings or segments), C classes, B resamples, M metrics, K figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from physioclr.evaluation.bootstrap import Interval, intervals
from physioclr.evaluation.calibration import are_probabilities, squared_errors
from physioclr.evaluation.challenge import ChallengeScore, decide
from physioclr.evaluation.metrics import both_outcomes, check_named_scores, record_mean
from physioclr.evaluation.ranked import RANK_METRICS, RankedScores, mean_of_defined
from physioclr.evaluation.sample_f_max import SampleFMax
from physioclr.evaluation.tasks import SCORED

Floats = NDArray[np.float64]
BRIER, F_MAX_SAMPLES, CHALLENGE = "brier", "f_max_samples", "challenge_score"


@dataclass(frozen=True, slots=True)
class Summary:
    """What was found on `rows` rows of `patients` patients.

    `per_class` is by metric, then by class. `macro` is by metric: the unweighted mean over the classes that have both
    outcomes. `skipped` names the classes that have not: they are in no mean. `overall` holds what is not a mean over
    classes: F-max over recordings and the Challenge score. `omitted` says why a metric is not there.
    """

    rows: int
    patients: int
    positives: dict[str, int]
    skipped: tuple[str, ...]
    macro: dict[str, Interval]
    per_class: dict[str, dict[str, Interval]]
    overall: dict[str, Interval]
    omitted: dict[str, str]

    @property
    def counted(self) -> int:
        """Number of classes that the macro means are over."""
        return len(self.positives) - len(self.skipped)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: plain types, null where a figure is not defined."""
        plain: dict[str, Any] = without_nan(asdict(self))
        return plain | {"counted": self.counted}


def summarise(
    y: ArrayLike,
    scores: ArrayLike,
    classes: Sequence[str],
    patients: ArrayLike,
    *,
    seed: int,
    thresholds: ArrayLike | None = None,
    resamples: int = 1000,
    level: float = 0.95,
) -> Summary:
    """Judge `scores` [n, C] against `y` bool [n, C]; `patients` [n] is whose row each is. `resamples` 0: no intervals.

    `thresholds` [C], chosen on validation (`challenge.choose_thresholds`), are for the Challenge's classes and give its
    score. Brier is there if scores are probabilities. Raises ValueError when shapes disagree or a score is missing.
    """
    figures = _Figures(y, scores, classes, thresholds)
    patient_n = _patients(patients, figures.y)
    found = intervals(figures, patient_n, seed=seed, resamples=resamples, level=level)
    return _summary(figures, patient_n, found)


def per_recording(
    y: ArrayLike, scores: ArrayLike, patients: ArrayLike, record: ArrayLike
) -> tuple[NDArray[np.bool_], Floats, NDArray[Any]]:
    """Outcomes, mean scores and patients of recordings, from those of segments of `record` int [S]."""
    first, means = record_mean(scores, record)
    return np.asarray(y, dtype=bool)[first], means, np.asarray(patients)[first]


class _Figures:
    """All metrics of one method as one statistic, weights [B, n] -> [B, K]: by metric its macro mean and its classes,
    then the figures over all classes."""

    def __init__(self, y: ArrayLike, scores: ArrayLike, classes: Sequence[str], thresholds: ArrayLike | None) -> None:
        self.y, scores_nC = check_named_scores(y, scores, classes)
        self.classes = tuple(classes)
        self.omitted: dict[str, str] = {}
        self.per_class: tuple[str, ...] = (*RANK_METRICS, BRIER)
        self._usable = both_outcomes(self.y)
        self._ranked = RankedScores(self.y, scores_nC)
        self._squared = squared_errors(self.y, scores_nC)
        self._overall = {F_MAX_SAMPLES: SampleFMax(self.y, scores_nC).score}
        if thresholds is not None:
            if self.classes != SCORED:
                raise ValueError("thresholds were given, but the classes are not the Challenge's 26 in their order")
            self._overall[CHALLENGE] = ChallengeScore(self.y, decide(scores_nC, thresholds)).score
        elif self.classes == SCORED:
            self.omitted[CHALLENGE] = "no thresholds were given"
        else:
            self.omitted[CHALLENGE] = "the classes are not the Challenge's"
        if not are_probabilities(scores_nC):
            self.omitted[BRIER] = "the scores are not probabilities"
        self.per_class = tuple(name for name in self.per_class if name not in self.omitted)

    @property
    def overall(self) -> tuple[str, ...]:
        return tuple(self._overall)

    def __call__(self, weights: Floats) -> Floats:
        ranks = [name for name in self.per_class if name in RANK_METRICS]
        values_BMC = self._ranked.per_class(weights, ranks)
        if BRIER in self.per_class:
            brier_BC = weights @ self._squared / weights.sum(axis=1, keepdims=True)
            values_BMC = np.concatenate([values_BMC, np.where(self._usable, brier_BC, np.nan)[:, None]], axis=1)
        both = np.concatenate([mean_of_defined(values_BMC)[:, :, None], values_BMC], axis=2)
        overall = [score(weights)[:, None] for score in self._overall.values()]
        return np.concatenate([both.reshape(len(weights), -1), *overall], axis=1)


def _summary(figures: _Figures, patient_n: NDArray[Any], found: list[Interval]) -> Summary:
    width = len(figures.classes) + 1
    of_metric = {name: found[index * width : (index + 1) * width] for index, name in enumerate(figures.per_class)}
    usable = dict(zip(figures.classes, both_outcomes(figures.y).tolist(), strict=True))
    return Summary(
        rows=len(figures.y),
        patients=len(np.unique(patient_n)),
        positives=dict(zip(figures.classes, figures.y.sum(axis=0).tolist(), strict=True)),
        skipped=tuple(name for name in figures.classes if not usable[name]),
        macro={name: values[0] for name, values in of_metric.items()},
        per_class={
            metric: {name: value for name, value in zip(figures.classes, values[1:], strict=True) if usable[name]}
            for metric, values in of_metric.items()
        },
        overall=dict(zip(figures.overall, found[len(of_metric) * width :], strict=True)),
        omitted=figures.omitted,
    )


def _patients(patients: ArrayLike, y_nC: NDArray[np.bool_]) -> NDArray[Any]:
    patient_n = np.asarray(patients)
    if patient_n.shape != (len(y_nC),):
        raise ValueError(f"{patient_n.shape} patients for {len(y_nC)} rows; give the patient of each row")
    return patient_n


def without_nan(value: Any) -> Any:
    """For JSON: tuples as lists, and null for what is not finite."""
    if isinstance(value, dict):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
