"""Pseudonyms of patients: HMAC-SHA256 of their ids with a key that is in the environment and nowhere else.

Ids of patients are short numbers, so a plain hash of them is undone by trying them all; without the key that cannot be
done. Only listing a source needs the key: what is handed on, to plans, workers and files, has pseudonyms already.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from physioclr.errors import SourceError

VARIABLE = "PHYSIOCLR_PATIENT_KEY"
FILE_VARIABLE = f"{VARIABLE}_FILE"  # a file that holds it, as secrets are mounted: its path may be seen by others
LEAST = 32  # characters: a hexadecimal key of 128 bits
DIGITS = 20  # of a pseudonym: 80 bits, no two alike among millions of patients
KEY_DIGITS = 8
_PSEUDONYM = re.compile(rf"(key-[0-9a-f]{{{KEY_DIGITS}}})/[0-9a-f]{{{DIGITS}}}")


@dataclass(frozen=True)
class PatientKey:
    """The key. It is never shown, and `name` tells two keys apart without saying anything about either."""

    secret: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """`key-` and a hash under the key itself of a text that is always the same."""
        return f"key-{self._digest('key')[:KEY_DIGITS]}"

    def of_patient(self, patient: str, archive: str = "") -> str:
        """The pseudonym of a patient's id: the same in every source, run and machine that has this key.

        `archive` is the published database that the id comes from; all archives of one's own count as one.
        """
        return f"{self.name}/{self._digest('patient', archive, patient)[:DIGITS]}"

    def of_record(self, record_id: str) -> str:
        """The pseudonym of a patient who is only known by the id of one recording."""
        return f"{self.name}/{self._digest('record', record_id)[:DIGITS]}"

    def _digest(self, *words: str) -> str:
        return hmac.new(self.secret, "\0".join(("physioclr", *words)).encode(), hashlib.sha256).hexdigest()

    def __reduce__(self) -> tuple[type[PatientKey], tuple[bytes]]:
        raise TypeError("a key of patients is not pickled: it would get into Ray's object store and files")


def key_at_hand() -> PatientKey | None:
    """The key of the environment, None where there is none. Raises `SourceError` when it cannot be one."""
    text, where = os.environ.get(VARIABLE, ""), VARIABLE
    file = os.environ.get(FILE_VARIABLE)
    if not text and file:
        where = FILE_VARIABLE
        try:
            text = Path(file).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError(f"{FILE_VARIABLE} names {file}, which cannot be read; correct the path.") from error
    text = text.strip()
    if not text:
        return None
    if len(text) < LEAST:
        raise SourceError(
            f"The key in {where} is shorter than {LEAST} characters, so that patients' ids could be guessed; make one "
            "with `openssl rand -hex 32`."
        )
    return PatientKey(text.encode())


def needed_key(source: str) -> PatientKey:
    """The key of the environment, for the source of that name. Raises `SourceError` when there is none."""
    key = key_at_hand()
    if key is None:
        raise SourceError(
            f"Patient ids of {source} are to become pseudonyms and there is no key for that; put one that you keep "
            f"(`openssl rand -hex 32` makes one) into the environment as {VARIABLE}, or its file's path as "
            f"{FILE_VARIABLE}, or set the source's pseudonymise=false if its ids are pseudonyms already."
        )
    return key


def key_name(patient_id: str) -> str | None:
    """Name of the key that `patient_id` was made with, None if it is as its source gave it."""
    found = _PSEUDONYM.fullmatch(patient_id)
    return found[1] if found else None
