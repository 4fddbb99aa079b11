"""What a source of recordings is: `list()` knows recordings from an index alone, `read()` fetches one of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Protocol

from physioclr import storage
from physioclr.config import SourceConfig
from physioclr.ecg.record import Recording, RecordingRef
from physioclr.errors import SourceError
from physioclr.sources.paths import below
from physioclr.sources.pseudonyms import needed_key
from physioclr.sources.wfdb_reader import read_recording


class Source(Protocol):
    """A place that recordings come from. Sources are small and can be pickled: Ray sends them to its workers."""

    def list(self) -> list[RecordingRef]:
        """Every recording of the index, sorted by `record_id`, no signal opened. Raises `SourceError`."""

    def read(self, ref: RecordingRef) -> Recording:
        """One recording. Raises `RejectedRecording` for what is wrong with it, `StorageError` for an outage."""


@dataclass(frozen=True)
class WfdbSource(ABC):
    """A source whose recordings are WFDB files; its kinds differ in their index."""

    config: SourceConfig

    @cached_property
    def uri(self) -> str:
        """The source's folder, the same on every machine of a cluster."""
        return storage.absolute(self.config.uri).rstrip("/")

    def list(self) -> list[RecordingRef]:
        """The first `config.limit` recordings of the index, sorted by `record_id`."""
        refs = sorted(self._index(), key=lambda ref: ref.record_id)
        if not refs:
            raise SourceError(f"{self.uri} holds no recordings in the layout of {self.config.kind!r}; check the URI.")
        for first, second in pairwise(refs):
            if first.record_id == second.record_id:
                raise SourceError(f"{self.uri} lists {first.record_id!r} twice; leave one of them in its index.")
        return with_patients(refs[: self.config.limit], self.config)

    def read(self, ref: RecordingRef) -> Recording:
        """The recording at `ref.uri`, with labels, age and sex from its header where the index had none."""
        return read_recording(ref, self.config.anonymous)

    @abstractmethod
    def _index(self) -> Iterable[RecordingRef]:
        """Recordings in any order, `patient_id` "" where none is known, else `<dataset>/<id>`. Raises `SourceError`
        where the layout is not there."""

    def _ref(self, name: str, path: str, patient: str = "") -> RecordingRef:
        """A recording called `name` at `path` below the source, of `patient`, "" where that is not known."""
        dataset = self.config.dataset
        return RecordingRef(
            record_id=f"{dataset}/{name}",
            dataset=dataset,
            uri=f"{self.uri}/{below(self.uri, path)}",
            patient_id=f"{dataset}/{patient}" if patient else "",
        )


def with_patients(refs: list[RecordingRef], config: SourceConfig) -> list[RecordingRef]:
    """`refs` with the patient ids that are stored: pseudonyms where the source asks for them, and for recordings of
    an unknown patient a patient of their own. Raises `SourceError` when there is no key."""
    if not config.pseudonymised:
        return [ref if ref.patient_id else replace(ref, patient_id=ref.record_id) for ref in refs]
    key = needed_key(config.dataset)
    archive = "" if config.kind == "wfdb" else config.kind  # patient 17 of PTB-XL is no patient of one's own

    def pseudonym(ref: RecordingRef) -> str:
        if not ref.patient_id:
            return key.of_record(ref.record_id)
        return key.of_patient(ref.patient_id.removeprefix(f"{ref.dataset}/"), archive)

    return [replace(ref, patient_id=pseudonym(ref)) for ref in refs]
