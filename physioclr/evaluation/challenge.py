"""The score of the PhysioNet/CinC Challenge 2021 (Reyna et al. 2021): wrong answers earn by how they would be treated.

Each true class of a recording earns the weight between it and each class that was decided, shared out among all
classes that are true or decided. The sum is placed between what calling every recording sinus rhythm earns (0) and
what the truth itself earns (1), so it can be negative.

Shape legend: n recordings, C the 26 scored classes in the order of `physioclr.ecg.snomed.SCORED_CLASSES`, B resamples.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from physioclr.ecg.snomed import SCORED_CLASSES
from physioclr.evaluation.ranked import divide

Floats = NDArray[np.float64]
NORMAL = "NSR"
MAX_SWEEPS = 20

# The published weights are 40 less the distance of two levels, in eightieths, and 1 for the class itself; two pairs at
# one level are set apart.
_LEVELS = MappingProxyType(
    {
        **{"QAb": -8, "AF": 0, "AFL": 0, "TAb": 0, "TInv": 0, "BBB": 2, "CLBBB": 2, "LQT": 4, "LQRSV": 6, "PRWP": 6},
        **{"CRBBB": 8, "PR": 10, "PVC": 10, "STach": 10, "LAD": 12, "LAnFB": 12, "NSIVCB": 12, "RAD": 12, "PAC": 13},
        **{"Brady": 16, "IAVB": 16, "IRBBB": 16, "LPR": 16, "SA": 16, "SB": 16, "NSR": 20},
    }
)
_SET_APART = (("BBB", "CLBBB"), ("LQRSV", "PRWP"))
_APART = 2


def weights() -> Floats:
    """The published weights, float64 [C, C], symmetric: row the true class, column the decided one."""
    names = [scored.abbreviation for scored in SCORED_CLASSES]
    level_C = np.array([_LEVELS[name] for name in names])
    eightieths = 40.0 - np.abs(level_C[:, None] - level_C[None, :])
    for one, other in _SET_APART:
        row, column = names.index(one), names.index(other)
        eightieths[row, column] = eightieths[column, row] = 40 - _APART
    np.fill_diagonal(eightieths, 80.0)
    return eightieths / 80.0


class ChallengeScore:
    """The score of `decided` bool [n, C] against `y` bool [n, C], ready to be judged under any weights of the rows.

    A recording without any scored class earns nothing, whatever was decided.
    """

    def __init__(self, y: ArrayLike, decided: ArrayLike) -> None:
        y_nC, decided_nC = _check(y), _check(decided)
        if y_nC.shape != decided_nC.shape:
            raise ValueError(f"outcomes {y_nC.shape} and decisions {decided_nC.shape} must be of the same recordings")
        normal_nC = np.zeros_like(y_nC)
        normal_nC[:, [scored.abbreviation for scored in SCORED_CLASSES].index(NORMAL)] = True
        self._earned, self._inactive, self._perfect = (_earned(y_nC, each) for each in (decided_nC, normal_nC, y_nC))

    def score(self, row_weights: ArrayLike) -> Floats:
        """float64 [B] for weights [B, n]; NaN where the truth earns no more than sinus rhythm everywhere."""
        weights_Bn = np.asarray(row_weights, dtype=np.float64)
        inactive_B = weights_Bn @ self._inactive
        return divide(weights_Bn @ self._earned - inactive_B, weights_Bn @ (self._perfect - self._inactive))


def challenge_score(y: ArrayLike, decided: ArrayLike) -> float:
    """The score on all rows, each counted once."""
    score = ChallengeScore(y, decided)
    return float(score.score(np.ones((1, len(np.asarray(y)))))[0])


def decide(scores: ArrayLike, thresholds: ArrayLike) -> NDArray[np.bool_]:
    """Classes whose score reaches their threshold: bool [n, C]."""
    return np.asarray(np.asarray(scores, dtype=np.float64) >= np.asarray(thresholds, dtype=np.float64))


def choose_thresholds(y: ArrayLike, scores: ArrayLike) -> Floats:
    """Thresholds [C] with which `scores` [n, C] earn most; to be chosen on validation and kept for the test.

    Starts by deciding each class as often as it is true, then takes class after class to its best threshold, the others
    held, until none changes: a local optimum, deterministic. Infinite for a class that is best never decided.
    """
    y_nC, scores_nC = _check(y), np.asarray(scores, dtype=np.float64)
    if scores_nC.shape != y_nC.shape or not np.isfinite(scores_nC).all():
        raise ValueError(f"scores {scores_nC.shape} must be finite and of the recordings of outcomes {y_nC.shape}")
    thresholds_C = np.array([_as_often(y_nC[:, each], scores_nC[:, each]) for each in range(y_nC.shape[1])])
    for _ in range(MAX_SWEEPS):
        before = thresholds_C.copy()
        for column in range(y_nC.shape[1]):
            _improve(y_nC, scores_nC, thresholds_C, column)
        if np.array_equal(before, thresholds_C):
            break
    return thresholds_C


def _improve(y_nC: NDArray[np.bool_], scores_nC: Floats, thresholds_C: Floats, column: int) -> None:
    """Move the threshold of one class to where all recordings together earn most, if that is more than now."""
    decided_nC = decide(scores_nC, thresholds_C)
    now_n = decided_nC[:, column].copy()
    earned = []
    for answer in (False, True):
        decided_nC[:, column] = answer
        earned.append(_earned(y_nC, decided_nC))
    gain_n = earned[1] - earned[0]
    values, place_n = np.unique(-scores_nC[:, column], return_inverse=True)
    total = np.cumsum(np.bincount(place_n, weights=gain_n))
    best = int(np.argmax(total))
    if max(float(total[best]), 0.0) <= float(gain_n[now_n].sum()) + 1e-9:
        return
    thresholds_C[column] = _between(-values, best) if total[best] > 0 else np.inf


def _as_often(y_n: NDArray[np.bool_], scores_n: Floats) -> float:
    """The threshold that decides a class about as often as it is true."""
    count = int(y_n.sum())
    descending = np.unique(scores_n)[::-1]
    return _between(descending, int(np.argmax(descending == np.sort(scores_n)[-count]))) if count else float("inf")


def _between(descending: Floats, index: int) -> float:
    """Half way from a score to the next lower one, or the score itself where no number lies between."""
    middle = float(descending[index : index + 2].mean())
    return middle if index + 1 < len(descending) and middle > descending[index + 1] else float(descending[index])


def _earned(y_nC: NDArray[np.bool_], decided_nC: NDArray[np.bool_]) -> Floats:
    """What each recording earns before it is normalised: [n]."""
    either_n = np.maximum((y_nC | decided_nC).sum(axis=1), 1)
    return np.asarray(((y_nC @ weights()) * decided_nC).sum(axis=1) / either_n)


def _check(matrix: ArrayLike) -> NDArray[np.bool_]:
    matrix_nC = np.asarray(matrix, dtype=bool)
    if matrix_nC.ndim != 2 or matrix_nC.shape[1] != len(SCORED_CLASSES):
        raise ValueError(f"a table of {matrix_nC.shape} is not recordings x the {len(SCORED_CLASSES)} scored classes")
    return matrix_nC
