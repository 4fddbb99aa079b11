"""Where the recordings of an index lie: paths that stay below its folder, and the index that WFDB itself has."""

from __future__ import annotations

from physioclr import storage
from physioclr.errors import SourceError, StorageError


def below(uri: str, path: str) -> str:
    """`path` as an index gives it, without `.` parts, if it stays below the folder `uri`; else raises `SourceError`."""
    inside = "/".join(part for part in path.split("/") if part != ".")
    if not inside or inside.startswith("/") or ".." in inside.split("/") or ":" in inside or "\\" in inside:
        raise SourceError(f"The index of {uri} names {path!r}, which is not a path below it; correct that line.")
    return inside


def wfdb_paths(uri: str, anonymous: bool | None) -> list[str]:
    """Paths below `uri`, without `.hea`, of its WFDB records: from `RECORDS` where it is, else by looking for headers.

    A line of `RECORDS` that ends with "/" is a folder, with a `RECORDS` of its own or without, as in PhysioNet's
    copy of the Challenge 2021.
    """
    try:
        lines = storage.read_text(storage.join(uri, "RECORDS"), anonymous).split()
    except StorageError as error:
        if not is_missing(error):
            raise
        root = storage.filesystem(uri, anonymous)[1].rstrip("/")
        found = storage.list_files(uri, ".hea", anonymous)
        return [header.partition(f"{root}/")[2].removesuffix(".hea") for header in found]
    paths: list[str] = []
    for line in dict.fromkeys(lines):
        path = below(uri, line)
        if path.endswith("/"):
            folder = path.strip("/")
            paths += (f"{folder}/{name}" for name in wfdb_paths(storage.join(uri, folder), anonymous))
        else:
            paths.append(path.removesuffix(".hea"))
    return paths


def is_missing(error: StorageError) -> bool:
    """Whether `error` only says that a file is not there (and not that it is refused or out of reach)."""
    return isinstance(error.__cause__, FileNotFoundError | IsADirectoryError | NotADirectoryError)
