"""PhysioNet/CinC Challenge 2021: `training/<source>/g1/*.{hea,mat}` with SNOMED CT codes in the headers' `#Dx`.

Sources are Chapman-Shaoxing, Ningbo, Georgia, CPSC 2018, CPSC 2018 Extra, PTB, PTB-XL and St Petersburg (30 minutes
at 257 Hz: 180 windows a record). Labels, age and sex come from the header when a record is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from physioclr import storage
from physioclr.ecg.record import RecordingRef
from physioclr.sources.base import WfdbSource
from physioclr.sources.paths import wfdb_paths

_GROUP = re.compile(r"g\d+")


@dataclass(frozen=True)
class Challenge2021(WfdbSource):
    """The `dataset` of a recording is `<name of the source>/<source>`, such as `challenge-2021/georgia`.

    The uri may be the whole archive, `training`, or one source of it. The Challenge does not say which recordings
    share a patient, so each counts as a patient of its own.
    """

    def _index(self) -> Iterator[RecordingRef]:
        for path in wfdb_paths(self.uri, self.config.anonymous):
            uri = storage.join(self.uri, path)
            folders = PurePosixPath(uri).parts[:-1]
            source = next((folder for folder in reversed(folders) if not _GROUP.fullmatch(folder)), "unknown")
            dataset = f"{self.config.dataset}/{source}"
            name = f"{dataset}/{uri.rpartition(f'/{source}/')[2]}"  # with its group: unique in the source
            yield RecordingRef(record_id=name, dataset=dataset, uri=uri, patient_id="")
