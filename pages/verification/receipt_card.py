"""One receipt as a card: the verdict, the claim, effect and control on one scale."""

from __future__ import annotations

import math
from html import escape

import streamlit as st

from engine.evaluation.bootstrap import Interval
from engine.heads import Head
from engine.trust.claim import Verdict
from engine.trust.receipt import Receipt, Receipts
from pages.shared import look

KINDS = {Verdict.CONFIRMED: "yes", Verdict.INSIDE_NOISE: "wait", Verdict.CONTRADICTS: "no"}
MEANS = {
    (Verdict.CONFIRMED, True): "It matters, and more than its control does.",
    (Verdict.CONFIRMED, False): "It does nothing that counts, as the circuit says by leaving it out.",
    (Verdict.INSIDE_NOISE, True): "These pairs cannot tell its effect from nothing, or from its control’s.",
    (Verdict.INSIDE_NOISE, False): "These pairs leave it open whether it matters.",
    (Verdict.CONTRADICTS, True): "Its effect is clear and goes the other way.",
    (Verdict.CONTRADICTS, False): "It matters, and the circuit leaves it out.",
}


def show(done: Receipts) -> None:
    for each in done.receipts:
        st.html(card(each, done))


def card(each: Receipt, done: Receipts) -> str:
    """The whole card as HTML; everything in it is ours or escaped."""
    claim = each.claim
    said = "matters" if claim.matters else "does not matter"
    if claim.matters and math.isfinite(claim.effect):
        said += f", effect {look.signed(claim.effect, 3)}"
    rows = [_row(each.name, each.effect, "effect", _scale(each))]
    if each.control is not None and each.control_effect is not None:
        rows.append(_row(f"control {each.control}", each.control_effect, "control", _scale(each)))
    else:
        rows.append('<p class="none">No control: its layer has no other head.</p>')
    return (
        f'<div class="hl-receipt {KINDS[each.verdict]}">'
        f"<header><b>{escape(each.verdict.value.capitalize())}</b><span>{_kind(each)} {escape(each.name)}</span>"
        "</header>"
        f"<p>The circuit says: it {escape(said)}. <strong>{escape(MEANS[each.verdict, claim.matters])}</strong></p>"
        f'<div class="bars">{"".join(rows)}</div><footer>{escape(_footer(each, done))}</footer></div>'
    )


def _kind(each: Receipt) -> str:
    return "head" if isinstance(each.target, Head) else "edge"


def _footer(each: Receipt, done: Receipts) -> str:
    pairs = look.count(done.n, "fresh pair") if done.fresh else f"{look.count(done.n, 'pair')}, those it was found on"
    how = f"{done.ablation.value} ablation of it alone" if isinstance(each.target, Head) else "exact path patching"
    parts = [
        f"n = {pairs}, seed {done.seed}", how, "signed, clean − corrupted = 1",
        f"intervals: the middle 95 % of {each.effect.draws:,} drawings of the pairs",
    ]  # fmt: skip
    if each.difference is not None:
        parts.append(f"|effect| − |control|: {_words(each.difference)}")
    if math.isfinite(each.control_norm):
        parts.append(f"mean norm written {each.norm:.3g}, control {each.control_norm:.3g}")
    return " · ".join(parts)


def _words(found: Interval) -> str:
    if not found.known:
        return f"{look.signed(found.value, 3)} ({found.note})" if found.defined else found.note
    return f"{look.signed(found.value, 3)} ({look.signed(found.low, 3)} to {look.signed(found.high, 3)})"


def _scale(each: Receipt) -> tuple[float, float]:
    """Both ends of the bars, 0 among them."""
    found = [each.effect, *([each.control_effect] if each.control_effect is not None else [])]
    values = [0.0] + [v for one in found for v in (one.value, one.low, one.high) if math.isfinite(v)]
    room = 0.08 * (max(values) - min(values)) or 0.05
    return min(values) - room, max(values) + room


def _row(name: str, found: Interval, kind: str, scale: tuple[float, float]) -> str:
    low, high = scale

    def at(value: float) -> str:
        return f"{100 * (value - low) / (high - low):.2f}%"

    marks = f'<i class="zero" style="left:{at(0.0)}"></i>'
    if found.known:
        width = 100 * (found.high - found.low) / (high - low)
        marks += f'<i class="span" style="left:{at(found.low)};width:{max(width, 0.4):.2f}%"></i>'
    if found.defined:
        marks += f'<i class="dot" style="left:{at(found.value)}"></i>'
    return (
        f'<div class="row {kind}"><span>{escape(name)}</span><div class="track">{marks}</div>'
        f"<span>{escape(_words(found))}</span></div>"
    )
