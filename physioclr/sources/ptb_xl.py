"""PTB-XL (Wagner et al. 2020, PhysioNet): `ptbxl_database.csv` and the 500 Hz records that it names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace

from physioclr import storage
from physioclr.ecg.record import RecordingRef
from physioclr.ecg.scp import snomed_labels
from physioclr.errors import SourceError
from physioclr.sources.base import WfdbSource
from physioclr.sources.person import parse_age
from physioclr.sources.tables import read_table

INDEX = "ptbxl_database.csv"
_SEX = {"0": "male", "1": "female"}  # PTB-XL's coding


@dataclass(frozen=True)
class PtbXl(WfdbSource):
    """`statements` are the SCP codes of any likelihood, `labels` their scored SNOMED codes (`physioclr.ecg.scp`).

    Age 300, which stands for "over 89", becomes 90. The folds (`strat_fold`) are not used: splits are by patient.
    """

    def _index(self) -> Iterator[RecordingRef]:
        uri = storage.join(self.uri, INDEX)
        for line, row in read_table(uri, ("ecg_id", "patient_id", "scp_codes", "filename_hr"), self.config.anonymous):
            statements = _scp_codes(row["scp_codes"], f"{uri} line {line}")
            name = f"{_whole(row['ecg_id'], uri, line, 'ecg_id'):05d}"
            patient = row["patient_id"] and str(_whole(row["patient_id"], uri, line, "patient_id"))
            yield replace(
                self._ref(name, row["filename_hr"], patient),
                labels=snomed_labels(statements, row.get("heart_axis", "")),
                statements=statements,
                age=parse_age(row.get("age")),
                sex=_SEX.get(row.get("sex", "").removesuffix(".0")),
            )


def _whole(cell: str, uri: str, line: int, column: str) -> int:
    """A whole number; PTB-XL writes patient 15709 as 15709.0."""
    try:
        return int(float(cell))
    except (ValueError, OverflowError):
        raise SourceError(f"{uri} line {line}: {column} is not a number; correct it.") from None  # which would quote it


def _scp_codes(cell: str, where: str) -> tuple[str, ...]:
    """The keys of a cell such as "{'NORM': 100.0, 'SR': 0.0}"."""
    try:
        codes = ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        codes = None
    if not isinstance(codes, dict):
        raise SourceError(f"{where}: scp_codes is not a dictionary of statements; restore the published file.")
    return tuple(str(code) for code in codes)
