"""Numbers with intervals, as every section of this page writes them."""

from __future__ import annotations

from collections.abc import Hashable

from engine.ablation import Ablation
from engine.evaluation.bootstrap import Interval
from engine.evaluation.evaluate import Evaluation
from pages.shared import look
from pages.shared.view import View

REPLACED_BY = {
    Ablation.MEAN: "mean of the corrupted prompts",
    Ablation.RESAMPLE: "value on the own corrupted prompt",
    Ablation.ZERO: "zero",
}


def ablation_of(view: View) -> Ablation:
    return Ablation(view.ablation)


def identity(found: Evaluation) -> Hashable:
    """Names what an evaluation's charts show."""
    return found.circuit, found.seed, found.plan


def value(found: Interval, digits: int, times: float = 1.0, signed: bool = False) -> str:
    return _written(times * found.value, digits, signed) if found.defined else "–"


def span(found: Interval, digits: int, times: float = 1.0, signed: bool = False) -> str:
    """``0.88 to 0.97``, or why there is none."""
    if not found.known:
        return found.note
    return f"{_written(times * found.low, digits, signed)} to {_written(times * found.high, digits, signed)}"


def fact(
    label: str, found: Interval, digits: int, unit: str = "", note: str = "", times: float = 1.0, signed: bool = False
) -> look.Fact:
    """A card: the value, its interval, then ``note``."""
    parts = [f"95 %: {span(found, digits, times, signed)}" if found.known else found.note, note]
    return look.Fact(label, value(found, digits, times, signed), unit, " · ".join(part for part in parts if part))


def where(n: int, seed: int, fresh: bool, ablation: Ablation) -> str:
    """What the numbers of a section were measured on."""
    pairs = look.count(n, "fresh pair" if fresh else "pair")
    intervals = ", 95 % intervals" if n > 1 else ""
    return f"n = {pairs}, seed {seed}, {ablation.value} ablation{intervals}."


def measured_on(found: Evaluation) -> str:
    return where(found.n, found.seed, found.fresh, found.plan.ablation)


def _written(number: float, digits: int, signed: bool) -> str:
    if round(number, digits) == 0:
        return look.number(0.0, digits)  # neither +0.00 nor −0.00
    return (look.signed if signed else look.number)(number, digits)
