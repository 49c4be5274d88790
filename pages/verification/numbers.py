"""Numbers with intervals, as every section of this page writes them."""

from __future__ import annotations

from collections.abc import Hashable

from engine.ablation import Ablation
from engine.evaluation.bootstrap import Interval
from engine.evaluation.evaluate import Evaluation
from pages.shared import look
from pages.shared.view import View

REPLACED_BY = {
    Ablation.MEAN: "mean of corrupted prompts",
    Ablation.RESAMPLE: "own corrupted prompt",
    Ablation.ZERO: "zero",
}


def ablation_of(view: View) -> Ablation:
    return Ablation(view.ablation)


def identity(found: Evaluation) -> Hashable:
    """Names what an evaluation's charts show."""
    return found.circuit, found.seed, found.plan


def value(found: Interval, digits: int, times: float = 1.0, signed: bool = False) -> str:
    if not found.defined:
        return "–"
    return (look.signed if signed else look.number)(times * found.value, digits)


def span(found: Interval, digits: int, times: float = 1.0, signed: bool = False) -> str:
    """``0.88 to 0.97``, or why there is none."""
    if not found.known:
        return found.note
    write = look.signed if signed else look.number
    return f"{write(times * found.low, digits)} to {write(times * found.high, digits)}"


def fact(
    label: str, found: Interval, digits: int, unit: str = "", note: str = "", times: float = 1.0, signed: bool = False
) -> look.Fact:
    """A card: the value, its interval, then ``note``."""
    parts = [f"95 %: {span(found, digits, times, signed)}" if found.known else found.note, note]
    return look.Fact(label, value(found, digits, times, signed), unit, ". ".join(part for part in parts if part))


def where(n: int, seed: int, fresh: bool, ablation: Ablation, draws: int) -> str:
    """What every number of a section was measured on."""
    pairs = look.count(n, "fresh pair" if fresh else "pair")
    return (
        f"n = {pairs}, seed {seed}. Removed heads: {ablation.value} ablation. Intervals: the middle 95 % of "
        f"{draws:,} drawings of the pairs."
    )
