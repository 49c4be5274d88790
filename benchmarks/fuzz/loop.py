"""The fuzzing loop: draws inputs for a target, runs them, and calls whatever is not an answer a finding.

An answer is a return or a HeadlightError. Everything else is a finding: another exception, an input that takes
longer than ``SLOW`` seconds, or one that makes the process grow by more than ``GROWTH`` bytes.
"""

from __future__ import annotations

import resource
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from engine.errors import HeadlightError

SLOW = 5.0  # seconds for one input: the largest file that is read takes well below one
HANGS = 60  # seconds after which an input is given up
GROWTH = 1_000_000_000  # bytes
SHOWN = 400


class Slow(Exception):
    """An input took too long."""


@dataclass(frozen=True)
class Target:
    """``make`` draws an input; ``run`` gives it to the program, in an empty folder of its own."""

    name: str
    make: Callable[[Random], Any]
    run: Callable[[Any, Path], None]


@dataclass
class Count:
    """What came of one target's inputs."""

    part: str
    seed: int
    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    grown: int = 0  # bytes: the most that the process grew by at one input
    findings: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)


def fuzzed(target: Target, seed: int, seconds: float, folder: Path, most: int | None = None) -> Count:
    """Inputs for ``seconds``, or ``most`` of them; input number i of a seed is always the same."""
    count = Count(target.name, seed)
    target.make(Random(seed))  # what inputs are made from is made once, and takes its time
    began = time.monotonic()
    while time.monotonic() - began < seconds and (most is None or count.inputs < most):
        given = target.make(Random(f"{target.name} {seed} {count.inputs}"))
        _one(target, given, folder, count)
        count.inputs += 1
    count.seconds = time.monotonic() - began
    return count


def _one(target: Target, given: Any, folder: Path, count: Count) -> None:
    before, began = _peak(), time.monotonic()
    try:
        with _given_up(HANGS):
            target.run(given, folder)
        count.accepted += 1
    except HeadlightError:
        count.refused += 1
    except Exception as error:
        _found(count, type(error).__name__, f"{traceback.format_exc(limit=-4)}\ninput: {given!r:.{SHOWN}}")
    took, grown = time.monotonic() - began, _peak() - before
    count.slowest, count.grown = max(count.slowest, took), max(count.grown, grown)
    if took > SLOW:
        _found(count, "slow", f"{took:.1f} s for {given!r:.{SHOWN}}")
    if grown > GROWTH:
        _found(count, "large", f"{grown:,} bytes for {given!r:.{SHOWN}}")


def _found(count: Count, kind: str, text: str) -> None:
    """The first of a kind is kept in full; how often it came is counted."""
    place = f"{kind} {text.splitlines()[-2] if kind[0].isupper() else ''}"[:200]
    count.kinds[place] += 1
    if count.kinds[place] == 1:
        count.findings.append(f"input {count.inputs}: {text}")


def _peak() -> int:
    """The most memory the process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def _given_up(seconds: float) -> Iterator[None]:
    def over(number: int, frame: FrameType | None) -> None:
        raise Slow(f"given up after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
