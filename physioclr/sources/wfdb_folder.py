"""Any folder of WFDB files, with an optional CSV that says whose recordings they are and what they show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from physioclr import storage
from physioclr.ecg.record import RecordingRef
from physioclr.ecg.snomed import merge_labels
from physioclr.errors import SourceError
from physioclr.sources.base import WfdbSource
from physioclr.sources.paths import wfdb_paths
from physioclr.sources.person import parse_age, parse_sex
from physioclr.sources.tables import read_table

REQUIRED = ("record", "patient_id", "labels")


@dataclass(frozen=True)
class WfdbFolder(WfdbSource):
    """A recording is named by its path below the folder, without `.hea`.

    `config.labels_csv` has columns `record`, `patient_id` (may be empty: then the recording is a patient of its own),
    `labels` (SNOMED CT codes or own words, separated by `;` or `|`, may be empty) and, if wanted, `age` and `sex`.
    Recordings that it does not name stay, without labels. Raises `SourceError` that names a missing column, a record
    named twice, or records that the folder has not.
    """

    def _index(self) -> Iterator[RecordingRef]:
        rows = self._rows()
        for path in wfdb_paths(self.uri, self.config.anonymous):
            row = rows.pop(path, {})
            ref = self._ref(path, path, row.get("patient_id", ""))
            labels = merge_labels(re.split(r"[;|]", row.get("labels", "")))
            age, sex = parse_age(row.get("age")), parse_sex(row.get("sex"))
            yield replace(ref, labels=labels, age=age, sex=sex)
        if rows:
            names = ", ".join(sorted(rows)[:5])
            raise SourceError(
                f"{self.config.labels_csv} names {len(rows)} records that {self.uri} has not ({names}); `record` is "
                "the path below the folder, without .hea."
            )

    def _rows(self) -> dict[str, dict[str, str]]:
        """Cells of `config.labels_csv` by record; none without such a file."""
        rows: dict[str, dict[str, str]] = {}
        if self.config.labels_csv is None:
            return rows
        uri = storage.absolute(self.config.labels_csv)
        for line, row in read_table(uri, REQUIRED, self.config.anonymous):
            record = row["record"].removesuffix(".hea")
            if not record:
                raise SourceError(f"{uri} line {line} names no record; fill in its `record`.")
            if record in rows:
                raise SourceError(f"{uri} line {line} names record {record!r} again; give each record one line.")
            rows[record] = row
        return rows
