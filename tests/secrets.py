"""Looking for planted secrets in everything that a program leaves."""

from __future__ import annotations

import base64
from pathlib import Path

import pyarrow.parquet as pq

from physioclr.config import SourceConfig
from physioclr.sources.demo.source import DemoSource


def own_archive(folder: Path, patients: int, patient: str) -> Path:
    """An archive of one's own in `folder/archive`, two recordings a patient, whose ids begin with `patient` and are no
    pseudonyms; its labels.csv."""
    demo = DemoSource(SourceConfig(uri=str(folder / "archive"), patients=patients, recordings_per_patient=2))
    for missing in demo.missing():
        demo.write_patient(missing)
    names = [ref.uri.removeprefix(f"{folder}/archive/") for ref in demo.list()]
    rows = [f"{name},{patient}-{number // 2},426783006" for number, name in enumerate(names)]
    labels = folder / "labels.csv"
    labels.write_text("\n".join(["record,patient_id,labels", *rows]))
    return labels


def files_with(folder: Path, *secrets: str) -> list[str]:
    """Files below `folder`, and names of files, that have one of `secrets` in them: as it is, in base64, or in the
    values of a Parquet file, which are compressed. Sockets and the like are passed over."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        data = path.name.encode() + path.read_bytes()
        data += str(pq.read_table(path).to_pylist()).encode() if path.suffix == ".parquet" else b""
        found += [f"{path.relative_to(folder)}: {secret[:8]}..." for secret in secrets if stands_in(secret, data)]
    return found


def stands_in(secret: str, data: bytes) -> bool:
    """Whether `secret` is in `data`, also where base64 begins with it."""
    plain = secret.encode()
    return plain in data or base64.b64encode(plain)[: 4 * (len(plain) // 3)] in data
