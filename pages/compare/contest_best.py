"""Which search is ahead in what."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from engine.views.contest_table import ContestRow
from pages.compare.contest_lines import few_digits
from pages.shared import look


def show(names: Sequence[str], rows: Sequence[ContestRow]) -> None:
    if facts := best_facts(names, rows):
        look.facts(facts)


def best_facts(names: Sequence[str], rows: Sequence[ContestRow]) -> list[look.Fact]:
    """Who is ahead in what; nothing where there are not two to choose from."""
    whole = [(name, row) for name, row in zip(names, rows, strict=True) if row.complete and row.size]
    if len(whole) < 2:
        return []
    return [
        _best("Smallest", whole, lambda row: row.size, lambda row: (f"{row.size}", "heads")),
        _best(
            "Nearest to the whole model", whole, lambda row: abs(1 - row.faithfulness),
            lambda row: (look.number(row.faithfulness, 2), "faithfulness"),
        ),
        _best(
            "Least work", whole, lambda row: row.gigaflops,
            lambda row: (few_digits(row.gigaflops), "GFLOP"),
        ),
    ]  # fmt: skip


def _best(
    label: str,
    runs: Sequence[tuple[str, ContestRow]],
    by: Callable[[ContestRow], float],
    words: Callable[[ContestRow], tuple[str, str]],
) -> look.Fact:
    """The first of those with the lowest value, and how many share it."""
    known = [(name, row) for name, row in runs if math.isfinite(by(row))]
    if not known:
        return look.Fact(label, "–", "", "undefined for all")
    name, row = min(known, key=lambda each: by(each[1]))
    same = sum(by(other) == by(row) for _, other in known) - 1
    also = f" and {look.count(same, 'other')}" if same else ""
    return look.Fact(label, *words(row), f"{name}{also}, of {len(known)}")
