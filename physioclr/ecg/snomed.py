"""The 26 scored classes of the PhysioNet/CinC Challenge 2021: 30 SNOMED CT codes, of which 4 pairs count as one.

Class order is the order of the columns of the Challenge's score weights. Codes outside this table are labels like
any other: they are kept, they just belong to no scored class.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScoredClass:
    """A scored diagnosis. `codes[0]` is the one that stands for all; the abbreviation is the Challenge's for it."""

    name: str
    abbreviation: str
    codes: tuple[str, ...]


SCORED_CLASSES = (
    ScoredClass("atrial fibrillation", "AF", ("164889003",)),
    ScoredClass("atrial flutter", "AFL", ("164890007",)),
    ScoredClass("bundle branch block", "BBB", ("6374002",)),
    ScoredClass("bradycardia", "Brady", ("426627000",)),
    ScoredClass("left bundle branch block", "CLBBB", ("733534002", "164909002")),
    ScoredClass("right bundle branch block", "CRBBB", ("713427006", "59118001")),
    ScoredClass("first degree AV block", "IAVB", ("270492004",)),
    ScoredClass("incomplete right bundle branch block", "IRBBB", ("713426002",)),
    ScoredClass("left axis deviation", "LAD", ("39732003",)),
    ScoredClass("left anterior fascicular block", "LAnFB", ("445118002",)),
    ScoredClass("prolonged PR interval", "LPR", ("164947007",)),
    ScoredClass("low QRS voltages", "LQRSV", ("251146004",)),
    ScoredClass("prolonged QT interval", "LQT", ("111975006",)),
    ScoredClass("nonspecific intraventricular conduction disorder", "NSIVCB", ("698252002",)),
    ScoredClass("sinus rhythm", "NSR", ("426783006",)),
    ScoredClass("premature atrial contraction", "PAC", ("284470004", "63593006")),
    ScoredClass("pacing rhythm", "PR", ("10370003",)),
    ScoredClass("poor R wave progression", "PRWP", ("365413008",)),
    ScoredClass("premature ventricular contraction", "PVC", ("427172004", "17338001")),
    ScoredClass("Q wave abnormal", "QAb", ("164917005",)),
    ScoredClass("right axis deviation", "RAD", ("47665007",)),
    ScoredClass("sinus arrhythmia", "SA", ("427393009",)),
    ScoredClass("sinus bradycardia", "SB", ("426177001",)),
    ScoredClass("sinus tachycardia", "STach", ("427084000",)),
    ScoredClass("T wave abnormal", "TAb", ("164934002",)),
    ScoredClass("T wave inversion", "TInv", ("59931005",)),
)

_CLASS_OF = {code: index for index, scored in enumerate(SCORED_CLASSES) for code in scored.codes}


def canonical(code: str) -> str:
    """The code that stands for `code` and its equivalents; a label outside the scored table stays as it is."""
    index = _CLASS_OF.get(code)
    return code if index is None else SCORED_CLASSES[index].codes[0]


def merge_labels(codes: Iterable[str]) -> tuple[str, ...]:
    """Labels as every source hands them on: trimmed, equivalents merged, each once, in the order given.

    Sources call this once, where labels enter, so that the same diagnosis has the same code in every dataset.
    """
    return tuple(dict.fromkeys(canonical(code.strip()) for code in codes if code.strip()))
