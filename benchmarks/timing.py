"""Seconds of one piece of work, several of them in words, and how fast this machine multiplies matrices."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

T = TypeVar("T")

SQUARE = 2048  # rows and columns of the plain matmul: what it reads is a small share of what it computes
TRIALS = 5


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds ``work`` takes, and what it returns."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def square_rate(size: int = SQUARE) -> float:
    """FLOPs a second of one large square float32 matmul: best of a few."""
    left, right = torch.randn(size, size), torch.randn(size, size)
    best = min(timed(lambda: left @ right)[0] for _ in range(TRIALS))
    return 2 * size**3 / best


def spread(values: Sequence[float], digits: int) -> str:
    """Median, and smallest and largest where there are several: ``3.1 (2.9 – 3.4)``."""
    if not values:
        return "–"
    middle = f"{statistics.median(values):,.{digits}f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):,.{digits}f} – {max(values):,.{digits}f})"


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Repeat by repeat, because both of a repeat ran right after one another."""
    return [one / other for one, other in zip(above, below, strict=True)]
