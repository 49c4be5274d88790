"""Each step in a teacher's words. Plain text: whoever shows it escapes it."""

from __future__ import annotations

from collections.abc import Sequence

from engine.circuit import Input
from engine.nodes import Node, mlps_among, nodes_of
from engine.search.path_patching import Thresholds
from engine.search.trail import Outcome, Station
from engine.settings import ATTRIBUTING, Algorithm, Settings
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
# One sender, several, none: how a list says who was kept.
VERBS = {
    Algorithm.PATH_PATCHING: ("stands out", "stand out", "none stands out"),
    Algorithm.ACDC: ("stays", "stay", "none stays"),
    Algorithm.EAP: ("is taken", "are taken", "none is taken"),
    Algorithm.EAP_IG: ("is taken", "are taken", "none is taken"),
}


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


def short(station: Station, settings: Settings) -> str:
    """One line for a list: ``3 · query of 9.6 · 2 of 12 stand out``."""
    step = station.step
    heads = " and ".join(map(str, step.receivers))
    receiver = f"{PARTS[step.input.value]} of {heads}" if step.input.value in PARTS else heads or "logits"
    kept = len(step.important)
    one, several, none = VERBS[settings.algorithm]
    outcome = f"{kept} of {station.measured} {one if kept == 1 else several}" if kept else none
    return f"{station.number} · {receiver} · {outcome}"


def answer(station: Station, thresholds: Thresholds | None, settings: Settings) -> str:
    """What was measured, who was kept or why nobody was, and what that adds."""
    if station.outcome is Outcome.UNMEASURED:
        return "No candidate lies below it, so nobody was measured."
    if settings.algorithm in ATTRIBUTING:
        return f"{_scored(station)}{_added(station)}"
    if settings.algorithm is Algorithm.ACDC:
        return f"{_tried(station, settings.tolerance)}{_added(station)}"
    return f"{_measured(station)} {_verdict(station, thresholds)}{_added(station)}"


def _scored(station: Station) -> str:
    """Of a step of EAP: no sender is measured alone, and no threshold decides."""
    senders = f"{look.count(station.measured, 'sender')} scored to first order."
    if station.outcome is Outcome.KEPT:
        kept = len(station.step.important)
        which = "edge is" if kept == 1 else "edges are"
        return f"{senders} {kept} of their {which} among the strongest of the whole search: {_strongest_kept(station)}."
    return f"{senders} None is taken: the edges taken elsewhere are stronger than {_strongest(station)}."


def _tried(station: Station, tolerance: float) -> str:
    """Of a step of ACDC."""
    edges, exact = look.count(station.measured, "edge"), station.measured - station.guessed
    how = "each exactly" if not station.guessed else f"{exact or 'none'} of them exactly, the rest by estimates"
    tried = f"{edges} tried, {how}."
    if station.outcome is not Outcome.KEPT:
        return f"{tried} None stays: each can be taken out at a change of at most {tolerance:g}."
    kept = len(station.step.important)
    verb, it = ("stays", "it") if kept == 1 else ("stay", "one of them")
    return (
        f"{tried} {kept} {verb}, for taking {it} out changes the metric by more than {tolerance:g}: "
        f"{_strongest_kept(station)}."
    )


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
    head = _strongest_node(station)
    strongest = f"the strongest, {head} with {look.signed(_effect(station, head), 4)},"
    if station.outcome is Outcome.BELOW:
        limit = float(station.step.thresholds[head.layer])
        return f"None stands out: {strongest} stays below its layer’s threshold of {limit:.4f}."
    smallest = f", {thresholds.min_effect:g}" if thresholds is not None else ""
    return f"None stands out: {strongest} is not above the smallest effect that counts{smallest}."


def _kept(station: Station) -> str:
    kept, named = station.step.important, _strongest_kept(station)
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


def _strongest_kept(station: Station) -> str:
    """Those kept with their effects, the strongest first."""
    kept = sorted(station.step.important, key=lambda node: -abs(_effect(station, node)))
    return _names([f"{node} ({look.signed(_effect(station, node), 3)})" for node in kept])


def _strongest(station: Station) -> str:
    node = _strongest_node(station)
    return f"its strongest, {node} with {look.signed(_effect(station, node), 4)}"


def _strongest_node(station: Station) -> Node:
    return max(_measured_nodes(station), key=lambda node: abs(_effect(station, node)))


def _measured_nodes(station: Station) -> tuple[Node, ...]:
    return nodes_of(~station.step.effects.isnan(), station.step.n_heads)


def _effect(station: Station, head: Node) -> float:
    return float(station.step.effects[head.layer, head.index])


def _names(items: Sequence[object]) -> str:
    """``a``, ``a and b``, ``a, b and c``, or the first few ``and 9 more``."""
    names = [str(item) for item in items[:MOST_NAMED]]
    if len(items) > len(names):
        names.append(f"{len(items) - len(names)} more")
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
