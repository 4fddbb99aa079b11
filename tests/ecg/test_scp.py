from collections import Counter

from physioclr.ecg.scp import STATEMENTS, SUPERCLASSES, snomed_labels, superclasses
from physioclr.ecg.snomed import SCORED_CLASSES


def test_71_statements_of_which_44_are_diagnostic():
    assert len(STATEMENTS) == 71
    counts = Counter(statement.superclass for statement in STATEMENTS.values())
    assert counts == {"STTC": 13, "MI": 14, "CD": 11, "HYP": 5, "NORM": 1, None: 27}
    assert set(counts) - {None} == set(SUPERCLASSES)
    assert all((s.superclass is None) == (s.subclass is None) for s in STATEMENTS.values())


def test_superclasses_come_from_diagnostic_statements_only():
    assert superclasses(["NORM", "SR"]) == {"NORM"}
    assert superclasses(["IMI", "LAFB", "LVH", "NDT", "AFIB"]) == {"MI", "CD", "HYP", "STTC"}
    assert superclasses(["AFIB", "PVC", "not a statement"]) == set()


def test_snomed_labels_are_scored_codes_with_equivalents_merged():
    assert snomed_labels(["AFIB", "CLBBB", "ABQRS"]) == ("164889003", "733534002")
    assert snomed_labels(["NORM", "SR"]) == ("426783006",)
    assert snomed_labels(["PAC", "SVARR"]) == ("284470004",)
    assert {s.snomed for s in STATEMENTS.values() if s.snomed} <= {c for scored in SCORED_CLASSES for c in scored.codes}


def test_the_axis_column_gives_axis_deviations():
    assert snomed_labels(["SR"], "ALAD") == ("426783006", "39732003")
    assert snomed_labels([], "RAD") == ("47665007",)
    assert snomed_labels([], "MID") == ()
