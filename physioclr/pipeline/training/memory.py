"""Memory that a training process on a CPU has freed, kept for its next step."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's mallopt(3)
_LARGEST_BLOCK = 1 << 30
_MOST_KEPT = (1 << 31) - 1


def keep_freed_memory() -> bool:
    """Let glibc keep what a step frees. Whether it does: elsewhere than on glibc nothing is changed.

    It gives large blocks, as activations are, back to the system when they are freed, and at each step they come again
    page by page: a tenth of a small encoder's step on a CPU. Feature extraction, whose memory is to stay small, keeps
    less (`features/batched/engine.py`).
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL("libc.so.6")
    return bool(libc.mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK)) and bool(libc.mallopt(_TRIM_THRESHOLD, _MOST_KEPT))
