"""What a source of recordings is: `list()` knows recordings from an index alone, `read()` fetches one of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Protocol

from physioclr import storage
from physioclr.config import SourceConfig
from physioclr.ecg.record import Recording, RecordingRef
from physioclr.errors import SourceError
from physioclr.sources.paths import below
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
        return refs[: self.config.limit]

    def read(self, ref: RecordingRef) -> Recording:
        """The recording at `ref.uri`, with labels, age and sex from its header where the index had none."""
        return read_recording(ref, self.config.anonymous)

    @abstractmethod
    def _index(self) -> Iterable[RecordingRef]:
        """Recordings in any order. Raises `SourceError` where the layout is not there."""

    def _ref(self, name: str, path: str, patient: str = "") -> RecordingRef:
        """A recording called `name` at `path` below the source, of `patient` or else of nobody but itself."""
        dataset = self.config.dataset
        return RecordingRef(
            record_id=f"{dataset}/{name}",
            dataset=dataset,
            uri=f"{self.uri}/{below(self.uri, path)}",
            patient_id=f"{dataset}/{patient or name}",
        )
