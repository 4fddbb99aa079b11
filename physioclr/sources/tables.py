"""CSV files that index a source, read with errors that name file, line and column."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from physioclr import storage
from physioclr.errors import SourceError, StorageError
from physioclr.sources.paths import is_missing


def read_table(uri: str, required: Sequence[str], anonymous: bool | None) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells (trimmed, "" where empty) of every row of the CSV file at `uri`.

    Raises `SourceError` when the file is missing, has no column of a `required` name, or a row has too many cells. It
    quotes no cell: a file without a header begins with a patient.
    """
    try:
        data = storage.read_bytes(uri, anonymous)
    except StorageError as error:
        if is_missing(error):
            raise SourceError(f"{uri} is not there; point the source's uri at the folder that holds it.") from error
        raise
    lines = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")  # Excel starts files with a BOM
    reader = csv.DictReader(lines)
    try:
        reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
        for column in required:
            if column not in reader.fieldnames:
                seen = f"its comma-separated columns: {', '.join(reader.fieldnames[:12])}"
                if not set(required) & set(reader.fieldnames):
                    seen = f"its first line is no header with {', '.join(required)}, separated by commas"
                raise SourceError(f"{uri} has no column {column!r} ({seen}); add it.")
        for row in reader:
            if len(row) > len(reader.fieldnames):  # DictReader puts what is left over under None
                raise SourceError(f"{uri} line {reader.line_num} has more cells than columns; quote cells with commas.")
            yield reader.line_num, {column: cell.strip() if cell else "" for column, cell in row.items()}
    except UnicodeDecodeError as error:
        raise SourceError(f"{uri} is not a UTF-8 text file; save it as UTF-8.") from error
    except csv.Error as error:
        raise SourceError(f"{uri} line {reader.line_num} is not CSV ({error}); correct it.") from error
