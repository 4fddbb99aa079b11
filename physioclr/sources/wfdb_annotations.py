"""Wave boundaries in WFDB annotation files, as LUDB and QTDB have them: `(` symbol `)` for each wave.

Source: Kalyakulina et al. 2020, doi:10.1109/ACCESS.2020.3029211 (LUDB).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import wfdb
from numpy.typing import NDArray

from physioclr import storage
from physioclr.errors import SourceError, StorageError
from physioclr.sources.paths import is_missing

WAVES = {"p": "P", "N": "QRS", "t": "T"}  # symbols of annotation files
_NAME = "record"


def read_waves(uri: str, extension: str, anonymous: bool | None = None) -> dict[str, NDArray[np.float64]] | None:
    """Waves in the annotation file `extension` of the record at `uri`: `P`, `QRS`, `T` to [waves, 3], each onset, peak
    and offset as a sample index, NaN where it is not marked. None where there is no such file.

    Raises `SourceError` when the file is no WFDB annotation file.
    """
    file = f"{uri}.{extension}"
    try:
        data = storage.read_bytes(file, anonymous)
    except StorageError as error:
        if is_missing(error):
            return None
        raise
    symbols, samples = _decode(file, data, extension)
    rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in WAVES.values()}
    for i, symbol in enumerate(symbols):
        if symbol in WAVES:
            onset = samples[i - 1] if i > 0 and symbols[i - 1] == "(" else np.nan
            offset = samples[i + 1] if symbols[i + 1 : i + 2] == [")"] else np.nan
            rows[WAVES[symbol]].append((onset, samples[i], offset))
    return {name: np.array(marked, dtype=np.float64).reshape(-1, 3) for name, marked in rows.items()}


def _decode(file: str, data: bytes, extension: str) -> tuple[list[str], NDArray[np.int64]]:
    """Let `wfdb` read the file, alone in a temporary folder. What it raises says nothing to a user."""
    with tempfile.TemporaryDirectory(prefix="physioclr-") as folder:
        (Path(folder) / f"{_NAME}.{extension}").write_bytes(data)
        try:
            annotation = wfdb.rdann(str(Path(folder) / _NAME), extension)
        except Exception as error:  # wfdb raises bare Exception, and ValueError, IndexError, ... from within
            raise SourceError(
                f"{file} is not a WFDB annotation file ({type(error).__name__}); restore the published file."
            ) from None
    return list(annotation.symbol), np.asarray(annotation.sample, dtype=np.int64)
