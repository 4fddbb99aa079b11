"""The demo as a source: it lists from its parameters alone, and makes the files that are not there yet.

Laid out as the Challenge 2021: `<uri>/training/demo/g1/D00001.hea`, a thousand recordings to a group.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from dataclasses import dataclass

from physioclr.config import SourceConfig
from physioclr.ecg.record import Recording, RecordingRef
from physioclr.errors import SourceError
from physioclr.sources.base import with_patients
from physioclr.sources.demo.challenge_files import header_text, mat_bytes
from physioclr.sources.demo.history import make_history
from physioclr.sources.demo.patient import make_patient
from physioclr.sources.demo.recording import synthesise
from physioclr.sources.wfdb_reader import read_recording
from physioclr.storage import absolute, join, list_files, read_text, write_bytes

GENERATOR = 1  # raised when the same parameters begin to give other recordings
GROUP = 1000  # recordings in one folder
FOLDER = ("training", "demo")


def record_name(number: int) -> str:
    """Name of recording `number`, from 0: D00001, D00002, ..."""
    return f"D{number + 1:05d}"


def record_uri(uri: str, number: int) -> str:
    """Where recording `number` (from 0) lies below `uri`, without `.hea`."""
    return join(uri, *FOLDER, f"g{number // GROUP + 1}", record_name(number))


def write_patient(uri: str, seed: int, patient: int, recordings: int) -> None:
    """Make and write all recordings of one patient; written again, the files hold the same bytes.

    Patients depend on nothing but (`seed`, `patient`), so any number can be written at the same time, anywhere.
    Raises `StorageError` when `uri` cannot be written.
    """
    person = make_patient(seed, patient)
    for recording, visit in enumerate(make_history(seed, patient, recordings).visits):
        number = patient * recordings + recording
        signal = synthesise(person, visit, recording).signal
        origin = _origin(seed, recordings)
        header = header_text(record_name(number), signal, person.age, person.sex, visit.labels, origin)
        base = record_uri(uri, number)
        write_bytes(f"{base}.mat", mat_bytes(signal))
        write_bytes(f"{base}.hea", header.encode())  # last: where there is a header there is a signal


def _origin(seed: int, recordings: int) -> str:
    """What the header's `#Demo:` line says: all that decides which recording a name stands for."""
    return f"generator {GENERATOR}, seed {seed}, {recordings} recordings a patient"


@dataclass(frozen=True)
class DemoSource:
    """Demo recordings with the parameters of `config`. Small and picklable: workers get it as it is."""

    config: SourceConfig

    @property
    def uri(self) -> str:
        """The demo's folder, the same on every machine of a cluster."""
        return absolute(self.config.uri)

    def list(self) -> list[RecordingRef]:
        """All recordings with labels, age and sex, sorted by record id. The files need not be there."""
        refs = [ref for patient in range(self._patients) for ref in self._refs_of(patient)]
        return with_patients(sorted(refs[: self._recordings], key=lambda ref: ref.record_id), self.config)

    def read(self, ref: RecordingRef) -> Recording:
        """The recording of `ref`. Raises `RejectedRecording` when its files are not there or are damaged."""
        return read_recording(ref, self.config.anonymous)

    def missing(self) -> builtins.list[int]:
        """Patients of whose recordings at least one file is not there, by one listing.

        Raises `SourceError` when the folder holds demo recordings made with other parameters.
        """
        found = {name.rsplit("/", 1)[-1]: name for name in list_files(join(self.uri, *FOLDER))}
        self._refuse_others(found)
        each = self.config.recordings_per_patient
        return [
            patient
            for patient in range(self._patients)
            if not all(
                record_name(number) + suffix in found
                for number in range(patient * each, (patient + 1) * each)
                for suffix in (".hea", ".mat")
            )
        ]

    def write_patient(self, patient: int) -> None:
        """Make the files of one patient; see the function of that name."""
        write_patient(self.uri, self.config.seed, patient, self.config.recordings_per_patient)

    @property
    def _recordings(self) -> int:
        """Number of recordings listed: all, or as many as the configuration limits them to."""
        every = self.config.patients * self.config.recordings_per_patient
        return every if self.config.limit is None else min(every, self.config.limit)

    @property
    def _patients(self) -> int:
        """Number of patients that the listed recordings come from."""
        return -(-self._recordings // self.config.recordings_per_patient)

    def _refs_of(self, patient: int) -> Iterator[RecordingRef]:
        config = self.config
        each = config.recordings_per_patient
        history = make_history(config.seed, patient, each)
        for recording, visit in enumerate(history.visits):
            number = patient * each + recording
            yield RecordingRef(
                record_id=f"{config.dataset}/{record_name(number)}",
                dataset=config.dataset,
                uri=record_uri(self.uri, number),
                patient_id=f"{config.dataset}/{patient + 1}",
                labels=visit.labels,
                age=float(history.age),
                sex=history.sex,
            )

    def _refuse_others(self, found: dict[str, str]) -> None:
        """Names stand for recordings only together with the parameters: one header is asked what it was made with."""
        header = next((uri for name, uri in sorted(found.items()) if name.endswith(".hea")), None)
        if header is None:
            return
        expected = _origin(self.config.seed, self.config.recordings_per_patient)
        lines = read_text(header).splitlines()
        origin = next((line.removeprefix("#Demo: ") for line in lines if line.startswith("#Demo: ")), "unknown")
        if origin != expected:
            raise SourceError(
                f"{self.uri} holds demo recordings of {origin}, and not of {expected}; "
                "choose another source uri, delete that folder, or go back to those parameters."
            )
