"""How well the pairs that features make share labels: what decides lead, missing values, components and delta.

Cross-validated by patient: what compares segments is fitted on the training folds, and pairs are made of segments of
different patients of the fold left out. Shapes: S segments, C columns, K classes, P pairs, D deltas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from physioclr.ecg.scp import STATEMENTS
from physioclr.ecg.snomed import canonical
from physioclr.evaluation.pair_similarity import Features, Floats, fit_similarity
from physioclr.evaluation.tasks import Codes, Task

Mask = NDArray[np.bool_]
RHYTHMS = ("SR", "AFIB", "STACH", "SBRAD", "SARRH")  # sinus rhythm, AF, sinus tachycardia, bradycardia, arrhythmia


def _rhythms(labels: Codes, statements: Codes) -> set[str] | None:
    """By SCP statement, or where a recording has none by the SNOMED CT code of the same meaning."""
    if statements:
        return set(statements) & set(RHYTHMS)
    names = {STATEMENTS[name].snomed: name for name in RHYTHMS}
    return {names[code] for code in map(canonical, labels) if code in names} if labels else None


RHYTHM = Task("rhythm", RHYTHMS, _rhythms)


@dataclass(frozen=True)
class LabelSet:
    """Outcomes `y` bool [S, K] of the segments that have any (`known` [S]).

    A pair agrees if it has any class in common; with `by_class`, class by class: anchors that have it, and does the
    other one have it too? Then rare classes count as much as frequent ones in the mean over classes.
    """

    y: Mask
    known: Mask
    by_class: bool


@dataclass(frozen=True)
class LabelledSegments:
    """`features` [S, C], which of them are `usable` [S], `recording` and `patient` numbers [S], and labels by name."""

    features: Features
    usable: Mask
    recording: NDArray[np.int64]
    patient: NDArray[np.int64]
    labels: dict[str, LabelSet]

    def take(self, rows: NDArray[Any]) -> LabelledSegments:
        """Some of the segments."""
        labels = {name: LabelSet(each.y[rows], each.known[rows], each.by_class) for name, each in self.labels.items()}
        return LabelledSegments(
            self.features[rows], self.usable[rows], self.recording[rows], self.patient[rows], labels
        )


@dataclass(frozen=True)
class Agreement:
    """Of pairs: `chance`, the share of all that agree; `precision` [D], the same of those at or above each delta;
    `lift` [D], how many times likelier that is; `auroc`, how well the cosine tells those that agree from the others.

    Means over classes where there are several. NaN where there are no such pairs.
    """

    chance: float
    precision: Floats
    lift: Floats
    auroc: float


@dataclass(frozen=True)
class Judged:
    """One fold: share of segments that are `usable`, share of their values that are `missing`, share of pairs that are
    `positive` at each delta [D], the same of the two halves of a recording (`halves`), and agreement by label set."""

    usable: float
    missing: float
    positive: Floats
    halves: Floats
    agreement: dict[str, Agreement]


def cross_validate(
    segments: LabelledSegments,
    deltas: Sequence[float],
    *,
    rule: str,
    components: int | None,
    clip: float,
    folds: int = 3,
    seed: int = 0,
) -> list[Judged]:
    """Each fold's result; `rule`, `components` and `clip` as in `pair_similarity.fit_similarity`."""
    fold = fold_of(segments.patient, folds, seed)
    judged = []
    for held_out in range(folds):
        train, test = segments.take(fold != held_out), segments.take(fold == held_out)
        similarity = fit_similarity(train.features[train.usable], rule, components, clip)
        judged.append(judge(test, similarity(test.features[test.usable]), deltas))
    return judged


def fold_of(patient_S: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """A fold for each segment, int64 [S]: a patient's are in one, and folds have equally many patients, give or take
    one."""
    patients, place = np.unique(patient_S, return_inverse=True)
    return np.random.default_rng(seed).permutation(np.arange(len(patients)) % folds)[place]


def judge(segments: LabelledSegments, cosine: Floats, deltas: Sequence[float]) -> Judged:
    """`cosine` is that of every two usable segments."""
    kept = segments.take(segments.usable)
    strangers = kept.patient[:, None] != kept.patient[None, :]
    halves = np.triu(kept.recording[:, None] == kept.recording[None, :], 1)
    return Judged(
        float(segments.usable.mean()),
        float(np.isnan(kept.features).mean()),
        _share_at(cosine[np.triu(strangers, 1)], deltas),
        _share_at(cosine[halves], deltas),
        {name: label_agreement(cosine, each, strangers, deltas) for name, each in kept.labels.items()},
    )


def label_agreement(cosine_SS: Floats, labels: LabelSet, allowed_SS: Mask, deltas: Sequence[float]) -> Agreement:
    """Of the `allowed_SS` pairs of which both are known."""
    pairs = allowed_SS & labels.known[:, None] & labels.known[None, :]
    if not labels.by_class:
        upper = np.triu(pairs, 1)
        y = labels.y.astype(np.float32)
        return _agreement(cosine_SS[upper], ((y @ y.T) > 0)[upper], deltas)
    each = []
    for has in labels.y.T:
        anchored = pairs & has[:, None]
        each.append(_agreement(cosine_SS[anchored], np.broadcast_to(has, pairs.shape)[anchored], deltas))
    return Agreement(
        _mean([one.chance for one in each]),
        np.array([_mean(column) for column in zip(*(one.precision for one in each), strict=True)]),
        np.array([_mean(column) for column in zip(*(one.lift for one in each), strict=True)]),
        _mean([one.auroc for one in each]),
    )


def _agreement(score_P: Floats, agrees_P: Mask, deltas: Sequence[float]) -> Agreement:
    chance = float(agrees_P.mean()) if len(agrees_P) else float("nan")
    positive = (agrees_P[score_P >= delta] for delta in deltas)
    precision = np.array([found.mean() if len(found) else np.nan for found in positive])
    lift = precision / chance if chance > 0 else np.full(len(precision), np.nan)
    both = 0.0 < chance < 1.0
    return Agreement(chance, precision, lift, float(roc_auc_score(agrees_P, score_P)) if both else float("nan"))


def _share_at(score_P: Floats, deltas: Sequence[float]) -> Floats:
    return np.array([(score_P >= delta).mean() if len(score_P) else np.nan for delta in deltas])


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
