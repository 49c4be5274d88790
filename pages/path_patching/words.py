"""Each step in a teacher's words. Plain text: whoever shows it escapes it."""

from __future__ import annotations

from collections.abc import Sequence

from engine.circuit import Input
from engine.nodes import Node, mlps_among, nodes_of
from engine.search import Thresholds
from engine.trail import Outcome, Station
from pages.shared import look

PARTS = {"q": "query", "k": "key", "v": "value"}
MEANINGS = {
    "logits": "The logits are the answer itself: a head found here writes towards it, past all other heads.",
    "q": "A query is what a head looks for: who feeds it decides where the head looks.",
    "k": "A key is what a head is found by: who feeds it decides where the head looks, from the other side.",
    "mlp": "An MLP reworks what the stream holds: who feeds it decides what it has to work with.",
    "v": "A value is what a head hands on from where it looks: who feeds it decides what is handed on.",
}
MOST_NAMED = 6


def question(station: Station, total: int, more_to_come: bool) -> str:
    """``Step 3 of 9: who feeds the query of 9.6?``"""
    of = f"{total} so far" if more_to_come else f"{total}"
    return f"Step {station.number} of {of}: {asked(station)}?"


def asked(station: Station) -> str:
    step = station.step
    if not step.receivers:
        return "who reaches the logits"
    if step.input is Input.MLP:
        return f"who feeds the MLP {step.receivers[0]}"
    heads, part = _names(step.receivers), PARTS[step.input.value]
    return f"who feeds the {part} that {heads} share" if step.shared else f"who feeds the {part} of {heads}"


def short(station: Station) -> str:
    """One line for a list: ``3 · query of 9.6 · 2 of 12 stand out``."""
    step = station.step
    heads = " and ".join(map(str, step.receivers))
    receiver = f"{PARTS[step.input.value]} of {heads}" if step.input.value in PARTS else heads or "logits"
    kept = len(step.important)
    outcome = f"{kept} of {station.measured} {'stands' if kept == 1 else 'stand'} out" if kept else "none stands out"
    return f"{station.number} · {receiver} · {outcome}"


def answer(station: Station, thresholds: Thresholds | None) -> str:
    """What was measured, who was kept or why nobody was, and what that adds."""
    if station.outcome is Outcome.UNMEASURED:
        return "No candidate lies below it, so nobody was measured."
    return f"{_measured(station)} {_verdict(station, thresholds)}{_added(station)}"


def _measured(station: Station) -> str:
    senders = look.count(station.measured, "sender")
    exact = station.measured - station.guessed
    if not station.guessed:
        return f"{senders} measured, each exactly."
    return f"{senders} measured, {exact or 'none'} of them exactly; the rest are estimates too weak to matter."


def _verdict(station: Station, thresholds: Thresholds | None) -> str:
    """Who was kept, or why nobody was."""
    if station.outcome is Outcome.KEPT:
        return _kept(station)
    head = max(_measured_heads(station), key=lambda head: abs(_effect(station, head)))
    strongest = f"the strongest, {head} with {look.signed(_effect(station, head), 4)},"
    if station.outcome is Outcome.BELOW:
        limit = float(station.step.thresholds[head.layer])
        return f"None stands out: {strongest} stays below its layer’s threshold of {limit:.4f}."
    smallest = f", {thresholds.min_effect:g}" if thresholds is not None else ""
    return f"None stands out: {strongest} is not above the smallest effect that counts{smallest}."


def _kept(station: Station) -> str:
    kept = sorted(station.step.important, key=lambda head: -abs(_effect(station, head)))
    named = _names([f"{head} ({look.signed(_effect(station, head), 3)})" for head in kept])
    if len(kept) == 1:
        return f"{named} stands out: its effect exceeds its layer’s threshold."
    return f"{len(kept)} stand out, each above its layer’s threshold: {named}."


def _added(station: Station) -> str:
    """What the step adds to the circuit."""
    joined, kept = len(station.new_heads), len(station.step.important)
    if not kept:
        return ""
    edges = look.count(len(station.new_edges), "edge")
    if not joined:
        return f" {'It was' if kept == 1 else 'All were'} in the circuit already; it gains {edges}."
    verb = "joins" if joined == 1 else "join"
    before = kept - joined
    others = {0: "", 1: "; the other was in already"}.get(before, f"; the other {before} were in already")
    kind = "node" if mlps_among(station.new_heads) else "head"
    return f" {look.count(joined, kind)} {verb} the circuit, with {edges}{others}."


def _measured_heads(station: Station) -> tuple[Node, ...]:
    return nodes_of(~station.step.effects.isnan(), station.step.n_heads)


def _effect(station: Station, head: Node) -> float:
    return float(station.step.effects[head.layer, head.index])


def _names(items: Sequence[object]) -> str:
    """``a``, ``a and b``, ``a, b and c``, or the first few ``and 9 more``."""
    names = [str(item) for item in items[:MOST_NAMED]]
    if len(items) > len(names):
        names.append(f"{len(items) - len(names)} more")
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
