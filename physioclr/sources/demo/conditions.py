"""What a demo patient can have: rhythms, premature beats and shapes, with their SNOMED CT codes and shares.

All codes are among those scored in the PhysioNet/CinC Challenge 2021.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import accumulate
from typing import TypeVar

Condition = TypeVar("Condition", bound=StrEnum)


class Rhythm(StrEnum):
    """What sets the pace. Values are SNOMED CT codes."""

    SINUS = "426783006"
    BRADYCARDIA = "426177001"
    TACHYCARDIA = "427084000"
    ARRHYTHMIA = "427393009"  # sinus arrhythmia: the pace follows the breath
    FIBRILLATION = "164889003"


class Ectopy(StrEnum):
    """Where premature beats come from. Values are SNOMED CT codes; none has no code."""

    NONE = ""
    ATRIAL = "284470004"
    VENTRICULAR = "427172004"


class Morphology(StrEnum):
    """What is particular about every beat of a patient. Values are SNOMED CT codes; a normal beat has no code."""

    NORMAL = ""
    LEFT_BUNDLE = "733534002"
    RIGHT_BUNDLE = "713427006"
    T_INVERSION = "59931005"
    LONG_PR = "270492004"  # first degree AV block
    LOW_VOLTAGE = "251146004"
    LEFT_AXIS = "39732003"
    RIGHT_AXIS = "47665007"


# Shares of the patients. Diseases are far more common than in life, so that a hundred patients show all of them.
RHYTHM_SHARES = {
    Rhythm.SINUS: 0.44,
    Rhythm.FIBRILLATION: 0.22,
    Rhythm.BRADYCARDIA: 0.12,
    Rhythm.TACHYCARDIA: 0.12,
    Rhythm.ARRHYTHMIA: 0.10,
}
MORPHOLOGY_SHARES = {
    Morphology.NORMAL: 0.36,
    Morphology.LEFT_BUNDLE: 0.10,
    Morphology.RIGHT_BUNDLE: 0.10,
    Morphology.T_INVERSION: 0.12,
    Morphology.LONG_PR: 0.10,
    Morphology.LOW_VOLTAGE: 0.10,
    Morphology.LEFT_AXIS: 0.07,
    Morphology.RIGHT_AXIS: 0.05,
}
ECTOPY_SHARES = {Ectopy.NONE: 0.70, Ectopy.ATRIAL: 0.14, Ectopy.VENTRICULAR: 0.16}


def pick(shares: dict[Condition, float], quantile: float) -> Condition:
    """The condition at `quantile` in [0, 1) when all are laid end to end with their shares as lengths."""
    for condition, upper in zip(shares, accumulate(shares.values()), strict=True):
        if quantile < upper:
            return condition
    return next(reversed(shares))


def labels(rhythm: Rhythm, ectopy: Ectopy, morphology: Morphology) -> tuple[str, ...]:
    """SNOMED CT codes that a cardiologist would give such a recording, rhythm first.

    Without P waves nobody can tell that the PR interval is long.
    """
    hidden = rhythm is Rhythm.FIBRILLATION and morphology is Morphology.LONG_PR
    codes = (rhythm.value, ectopy.value, "" if hidden else morphology.value)
    return tuple(code for code in codes if code)
