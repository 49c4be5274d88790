"""Work in chunks that survives running out of memory: half the chunk, tried once.

1. A chunk is run whole: rows of one tensor axis (senders, pairs, nodes), which do not depend on each other.
2. Where memory runs out, what the attempt held is let go, and the same rows are run as two halves, one after the
   other; a single row is tried again as it is.
3. Where memory runs out again the run ends, with a HeadlightError that says what to lower.

Halves give what the whole gives, to rounding: cutting never changes a result (memory.py). What an attempt
that failed had booked is taken back, so that the ledger holds the work that counts.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from engine.errors import HeadlightError
from engine.machine.out_of_memory import WAY_ON, in_short, is_out_of_memory

if TYPE_CHECKING:
    from engine.cost.ledger import Ledger

T = TypeVar("T")


def chunked(work: Callable[[slice], T], count: int, size: int, ledger: Ledger | None = None) -> list[T]:
    """``work`` on ``count`` rows, ``size`` at a time: what each chunk gave, a halved chunk having given two."""
    starts = range(0, max(count, 1), size)
    return [part for first in starts for part in _chunk(work, slice(first, min(first + size, count)), ledger)]


def halved(work: Callable[[slice], Tensor], count: int, ledger: Ledger | None = None, dim: int = 0) -> Tensor:
    """``work`` on ``count`` rows at once, by halves where memory runs out; ``dim`` is the rows' axis of the result."""
    parts = chunked(work, count, max(count, 1), ledger)
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=dim)


def halved_grid(
    work: Callable[[slice, slice], Tensor],
    shape: Sequence[int],
    ledger: Ledger | None = None,
    summed: bool = False,
) -> Tensor:
    """``work`` on the senders and pairs of a ``shape [sender batch ...]`` at once: ``[sender batch ...]``, or
    ``[sender]`` if ``summed`` over pairs.

    Where memory runs out the senders are halved, and the pairs of a sender that is alone.
    """
    senders, pairs = shape[0], shape[1]
    if senders > 1:
        return halved(lambda some: work(some, slice(0, pairs)), senders, ledger)
    parts = chunked(lambda some: work(slice(0, senders), some), pairs, max(pairs, 1), ledger)
    if len(parts) == 1:
        return parts[0]
    return torch.stack(parts).sum(dim=0) if summed else torch.cat(parts, dim=1)


def _chunk(work: Callable[[slice], T], rows: slice, ledger: Ledger | None) -> list[T]:
    booked = ledger.booked if ledger is not None else 0.0
    try:
        return [work(rows)]
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    # Outside the clause above: the error's traceback held all tensors of the attempt.
    _let_go()
    if ledger is not None:
        ledger.take_back(booked)
    try:
        return [work(half) for half in _halves(rows)]
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise HeadlightError(_told(rows, error)) from error


def _halves(rows: slice) -> list[slice]:
    middle = (rows.start + rows.stop + 1) // 2
    return [rows] if rows.stop - rows.start < 2 else [slice(rows.start, middle), slice(middle, rows.stop)]


def _told(rows: slice, error: BaseException) -> str:
    count = rows.stop - rows.start
    tried = f"{count} rows at once, and again by halves" if count > 1 else "a single row, twice"
    return f"Memory ran out while computing {tried} ({in_short(error)}). {WAY_ON}"


def _let_go() -> None:
    """Hand back what the failed attempt held: cycles, and the blocks an allocator keeps for later."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
