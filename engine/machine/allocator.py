"""Keep freed memory for the next tensor instead of returning it to the system (glibc only), until work is over.

A sweep allocates and frees blocks of tens of megabytes thousands of times. By default glibc gives each
back at once, and the next one pays for fresh, zeroed pages. Up to ``KEEP`` bytes stay with the
process instead. What lies free between blocks in use would stay as well, and that adds up in a server at work for
days: so whoever has done a piece of work gives back what it left.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable

KEEP = 1 << 30
LARGEST = 32 << 20  # blocks up to here come from the heap; glibc allows no more
# Parameters of mallopt(3).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8


def keep_freed_memory() -> bool:
    """Ask the allocator to; False where there is none that listens."""
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        return False
    # One arena: those of other threads are capped at blocks smaller than ours.
    settings = ((M_MMAP_THRESHOLD, LARGEST), (M_TRIM_THRESHOLD, KEEP), (M_ARENA_MAX, 1))
    return all(mallopt(name, value) == 1 for name, value in settings)


def give_back_freed_memory() -> bool:
    """Return every free page to the system, wherever it lies; False if there was none, or nobody to ask."""
    trim = _of_glibc("malloc_trim")
    return trim is not None and trim(ctypes.c_size_t(0)) == 1


def _of_glibc(function: str) -> Callable[..., int] | None:
    """None with another system or C library."""
    return getattr(ctypes.CDLL(None), function, None) if sys.platform.startswith("linux") else None
