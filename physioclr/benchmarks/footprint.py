"""Peak memory of measuring the features of a batch, in this process: `python -m ... SIGNALS.npy RECORDINGS LEAD`.

It is run in a process of its own for each batch, as a peak never goes down.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import numpy as np

from physioclr.config import FeatureConfig
from physioclr.features.extract import FeatureExtractor

MEGABYTE = 1_000_000


def peak_of_this_program() -> float:
    """The most memory in MB since this program was started.

    Linux counts in `ru_maxrss` what the process held before it became this program, which is what its parent held, so
    it is asked for the peak of the program alone.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024 / MEGABYTE
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEGABYTE


def footprint(file: str, recordings: int, lead: str) -> dict[str, float]:
    """Peak in MB after the imports, and above that after measuring; recordings repeat where the file has too few."""
    imports = peak_of_this_program()
    stored = np.load(file, mmap_mode="r")
    signals = np.empty((recordings, *stored.shape[1:]), dtype=stored.dtype)
    for i in range(recordings):
        signals[i] = stored[i % len(stored)]
    del stored  # its pages count as this process's memory
    FeatureExtractor(FeatureConfig(engine="batched", lead=lead))(signals)
    above = peak_of_this_program() - imports
    return {
        "above_imports": round(above, 1),
        "signals": round(signals.nbytes / MEGABYTE, 1),
        "imports": round(imports, 1),
    }


if __name__ == "__main__":
    print(json.dumps(footprint(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
