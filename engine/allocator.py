"""Keep freed memory for the next tensor instead of returning it to the system (glibc only).

A sweep allocates and frees blocks of tens of megabytes thousands of times. By default glibc gives each
back at once, and the next one pays for fresh, zeroed pages. Up to ``KEEP`` bytes stay with the
process instead.
"""

from __future__ import annotations

import ctypes
import sys

KEEP = 1 << 30
LARGEST = 32 << 20  # blocks up to here come from the heap; glibc allows no more
# Parameters of mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8


def keep_freed_memory() -> bool:
    """Ask the allocator to; False where there is none that listens."""
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # another C library
        return False
    # One arena: those of other threads are capped at blocks smaller than ours.
    settings = ((M_MMAP_THRESHOLD, LARGEST), (M_TRIM_THRESHOLD, KEEP), (M_ARENA_MAX, 1))
    return all(mallopt(name, value) == 1 for name, value in settings)
