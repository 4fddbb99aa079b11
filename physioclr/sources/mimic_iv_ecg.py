"""MIMIC-IV-ECG (PhysioNet): `record_list.csv` and the records that it names. It has no labels, age or sex.

Its headers list aVF before aVL and store missing samples as -32768: leads go by name and WFDB reads these as NaN.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from physioclr import storage
from physioclr.ecg.record import RecordingRef
from physioclr.errors import SourceError
from physioclr.sources.base import WfdbSource
from physioclr.sources.tables import read_table

INDEX = "record_list.csv"


@dataclass(frozen=True)
class MimicIvEcg(WfdbSource):
    """Recordings are named by `study_id`, patients by `subject_id`."""

    def _index(self) -> Iterator[RecordingRef]:
        uri = storage.join(self.uri, INDEX)
        for line, row in read_table(uri, ("subject_id", "study_id", "path"), self.config.anonymous):
            if not (row["subject_id"] and row["study_id"]):
                raise SourceError(f"{uri} line {line} has no subject_id or no study_id; fill it in.")
            yield self._ref(row["study_id"], row["path"], row["subject_id"])
