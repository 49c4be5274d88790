"""What running out of memory looks like, and how it is told. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import HeadlightError

# torch has a type for it on devices; its allocator on CPU (Linux and macOS; Windows) and cuBLAS have words alone.
DEVICE_ERROR = "OutOfMemoryError"
SAYINGS = ("can't allocate memory", "not enough memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
LONGEST = 160
WAY_ON = (
    "Give a smaller memory budget (--memory-budget on the command line), fewer or shorter prompt pairs, or a smaller "
    "model; or close other programs."
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on whatever device."""
    if isinstance(error, MemoryError) or type(error).__name__ == DEVICE_ERROR:
        return True
    return isinstance(error, RuntimeError) and any(saying in str(error) for saying in SAYINGS)


def in_short(error: BaseException) -> str:
    """The first line of an allocator's message, which can be a page."""
    first = str(error).strip().partition("\n")[0]
    return first[:LONGEST].strip() or type(error).__name__


@contextmanager
def told_when_memory_runs_out() -> Iterator[None]:
    """For the border of a run: running out of memory anywhere in it becomes a HeadlightError that says so."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise HeadlightError(f"Memory ran out ({in_short(error)}). {WAY_ON}") from error
