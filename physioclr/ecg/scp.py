"""PTB-XL's 71 SCP-ECG statements: superclass and subclass, and the scored SNOMED CT code where there is one.

Super- and subclasses are those of the database's `scp_statements.csv`. The SNOMED codes are those under which the
Challenge 2021 published PTB-XL, recovered from its count of each code in PTB-XL, which equals the number of records
with the statement (PTB-XL 1.0.1), such as 1,514 for AFIB. So a normal ECG (NORM) counts as sinus rhythm there (18,092
have NORM or SR), SVARR as supraventricular premature beats (157), and NDT, NT_, LOWT and TAB_ together as T wave
abnormal. One departs: the Challenge gave PVC a code that it does not score (ventricular ectopics); here it has the
scored code of the same meaning.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from physioclr.ecg.snomed import merge_labels

SUPERCLASSES = ("NORM", "MI", "STTC", "CD", "HYP")


@dataclass(frozen=True, slots=True)
class Statement:
    """One SCP statement. Form and rhythm statements have no superclass; `snomed` is a scored code or None."""

    code: str
    superclass: str | None = None
    subclass: str | None = None
    snomed: str | None = None


_TABLE = (
    Statement("NDT", "STTC", "STTC", "164934002"),
    Statement("NST_", "STTC", "NST_"),
    Statement("DIG", "STTC", "STTC"),
    Statement("LNGQT", "STTC", "STTC", "111975006"),
    Statement("NORM", "NORM", "NORM", "426783006"),
    Statement("IMI", "MI", "IMI"),
    Statement("ASMI", "MI", "AMI"),
    Statement("LVH", "HYP", "LVH"),
    Statement("LAFB", "CD", "LAFB/LPFB", "445118002"),
    Statement("ISC_", "STTC", "ISC_"),
    Statement("IRBBB", "CD", "IRBBB", "713426002"),
    Statement("1AVB", "CD", "_AVB", "270492004"),
    Statement("IVCD", "CD", "IVCD", "698252002"),
    Statement("ISCAL", "STTC", "ISCA"),
    Statement("CRBBB", "CD", "CRBBB", "713427006"),
    Statement("CLBBB", "CD", "CLBBB", "164909002"),
    Statement("ILMI", "MI", "IMI"),
    Statement("LAO/LAE", "HYP", "LAO/LAE"),
    Statement("AMI", "MI", "AMI"),
    Statement("ALMI", "MI", "AMI"),
    Statement("ISCIN", "STTC", "ISCI"),
    Statement("INJAS", "MI", "AMI"),
    Statement("LMI", "MI", "LMI"),
    Statement("ISCIL", "STTC", "ISCI"),
    Statement("LPFB", "CD", "LAFB/LPFB"),
    Statement("ISCAS", "STTC", "ISCA"),
    Statement("INJAL", "MI", "AMI"),
    Statement("ISCLA", "STTC", "ISCA"),
    Statement("RVH", "HYP", "RVH"),
    Statement("ANEUR", "STTC", "STTC"),
    Statement("RAO/RAE", "HYP", "RAO/RAE"),
    Statement("EL", "STTC", "STTC"),
    Statement("WPW", "CD", "WPW"),
    Statement("ILBBB", "CD", "ILBBB"),
    Statement("IPLMI", "MI", "IMI"),
    Statement("ISCAN", "STTC", "ISCA"),
    Statement("IPMI", "MI", "IMI"),
    Statement("SEHYP", "HYP", "SEHYP"),
    Statement("INJIN", "MI", "IMI"),
    Statement("INJLA", "MI", "AMI"),
    Statement("PMI", "MI", "PMI"),
    Statement("3AVB", "CD", "_AVB"),
    Statement("INJIL", "MI", "IMI"),
    Statement("2AVB", "CD", "_AVB"),
    Statement("ABQRS"),
    Statement("PVC", snomed="427172004"),
    Statement("STD_"),
    Statement("VCLVH"),
    Statement("QWAVE", snomed="164917005"),
    Statement("LOWT", snomed="164934002"),
    Statement("NT_", snomed="164934002"),
    Statement("PAC", snomed="284470004"),
    Statement("LPR", snomed="164947007"),
    Statement("INVT", snomed="59931005"),
    Statement("LVOLT", snomed="251146004"),
    Statement("HVOLT"),
    Statement("TAB_", snomed="164934002"),
    Statement("STE_"),
    Statement("PRC(S)"),
    Statement("SR", snomed="426783006"),
    Statement("AFIB", snomed="164889003"),
    Statement("STACH", snomed="427084000"),
    Statement("SARRH", snomed="427393009"),
    Statement("SBRAD", snomed="426177001"),
    Statement("PACE", snomed="10370003"),
    Statement("SVARR", snomed="63593006"),
    Statement("BIGU"),
    Statement("AFLT", snomed="164890007"),
    Statement("SVTAC"),
    Statement("PSVT"),
    Statement("TRIGU"),
)
STATEMENTS = {statement.code: statement for statement in _TABLE}

# PTB-XL's `heart_axis` column: (extreme) left and right deviation, 5,146 and 343 records as in the Challenge
_AXIS_SNOMED = {"LAD": "39732003", "ALAD": "39732003", "RAD": "47665007", "ARAD": "47665007"}


def superclasses(statements: Iterable[str]) -> set[str]:
    """The diagnostic superclasses (`SUPERCLASSES`) of a record's statements, as the database's example code derives
    them: one diagnostic statement is enough, whatever its likelihood. Statements that PTB-XL does not have add none."""
    found = (STATEMENTS[code].superclass for code in statements if code in STATEMENTS)
    return {superclass for superclass in found if superclass is not None}


def snomed_labels(statements: Iterable[str], heart_axis: str = "") -> tuple[str, ...]:
    """Scored SNOMED CT codes of a record's statements (any likelihood) and of its `heart_axis`, equivalents merged."""
    codes = [STATEMENTS[code].snomed for code in statements if code in STATEMENTS]
    codes.append(_AXIS_SNOMED.get(heart_axis.strip().upper()))
    return merge_labels(code for code in codes if code is not None)
