"""The graph itself: filtered, bundled if crowded, with roles, names, pins and an answer key."""

from __future__ import annotations

from typing import Any

import streamlit as st

from engine.behaviour.roles import Role
from engine.circuit import Circuit
from engine.figures.circuit_map import MOST_FLOWS, circuit_map, drawn_links
from engine.figures.node_look import Look
from engine.heads import Head
from engine.trust.answer_keys import AnswerKey, against_key
from engine.trust.frequency import CircuitFrequency
from engine.views.circuit_filter import filtered
from engine.views.circuit_layers import Flow, Overview, by_layer, every_head
from pages.circuit import filters
from pages.circuit.shown import Shown, parse_or_none
from pages.shared import edges, found_again, look, state
from pages.shared.chart import chart, is_dark
from pages.shared.view import View

FIGURE = "headlight_circuit_map"


def show(shown: Shown, view: View, roles: dict[Head, tuple[Role, ...]], key: AnswerKey | None) -> Any:
    """Draw it; the figure, for downloads."""
    part = part_of(shown, view)
    looks = look_of(shown, view, part, roles, key, is_dark())
    overview = overview_of(part, view, looks)
    _told(shown.circuit, part, overview, looks)
    figure = _figure(overview, part, looks)
    heads, links = len(part.heads), len(part.edges)
    chart(
        figure, "circuit_map", f"Graph of {heads} heads and {links} edges, layers upward, logits on top.",
        identity=("map", shown.found.settings if shown.found else shown.file and shown.file.circuit),
        on_click=clicked,
    )  # fmt: skip
    return figure


def frequency(shown: Shown, view: View) -> CircuitFrequency | None:
    """How often the run's heads and edges were found again; None where nobody asked."""
    return None if shown.found is None else found_again.frequency(shown.circuit, shown.found.settings, view)


def part_of(shown: Shown, view: View) -> Circuit:
    """What the filters leave of the circuit, that of presence first."""
    present = found_again.present_part(shown.circuit, frequency(shown, view), view)
    return filtered(present, filters.filter_of(view))


def look_of(
    shown: Shown, view: View, part: Circuit, roles: dict[Head, tuple[Role, ...]], key: AnswerKey | None, dark: bool
) -> Look:
    selected = parse_or_none(view.head)
    drawn = set(part.heads)
    missing = against_key(shown.circuit.heads, key).only_second if key is not None else ()
    return Look(
        dark=dark,
        selected=selected if selected in drawn or selected in missing else None,
        pinned=tuple(head for head in map(Head.parse, view.pins) if head in drawn),
        names={head: name for head, name in shown.names(view).items() if head in drawn},
        roles=roles,
        by_role=view.fill == "role",
        key_roles=key.roles if key is not None else None,
        missing=missing,
        frequency=frequency(shown, view),
    )


def overview_of(part: Circuit, view: View, looks: Look) -> Overview:
    """Heads that are selected, pinned or named stand apart from their layers."""
    if not filters.in_layers(view, part):
        return every_head(part)
    apart = {*looks.pinned, *looks.names, *([looks.selected] if looks.selected is not None else [])}
    return by_layer(part, [int(layer) for layer in view.opened], apart)


def _figure(overview: Overview, part: Circuit, looks: Look) -> Any:
    """Made again only if anything in it is different."""
    wanted = (overview, part, looks)
    if FIGURE not in st.session_state or st.session_state[FIGURE][0] != wanted:
        st.session_state[FIGURE] = (wanted, circuit_map(overview, part, looks))
    return st.session_state[FIGURE][1]


def _told(circuit: Circuit, part: Circuit, overview: Overview, looks: Look) -> None:
    words = (
        f"Shown: {len(part.heads)} of {look.count(len(circuit.heads), 'head')}, {len(part.edges)} of "
        f"{look.count(len(circuit.edges), 'edge')}."
    )
    flows = [link for link in overview.links if isinstance(link, Flow)]
    if flows:
        drawn = sum(isinstance(link, Flow) for link in drawn_links(overview, looks.selected))
        words += " A link between layers is the sum of |effect| of its edges for one input."
        if drawn < len(flows):
            words += f" Drawn: the strongest {MOST_FLOWS} of {len(flows)} such links."
        look.note(f"{words} Click a layer to open it, a head or an edge to see what it does.")
    else:
        look.note(f"{words} Click a head or an edge.")


def clicked(data: list) -> None:
    """A head, an edge, or layers to open (engine/figures/circuit_map.py)."""
    if data[0] == "layers":
        opened = dict.fromkeys([*state.current().opened, *(str(layer) for layer in data[1:])])
        state.change(opened=tuple(sorted(opened, key=int)))
    elif isinstance(data[0], str):
        state.change(edge=edges.name(*data))
    else:
        state.change(head=str(Head(int(data[0]), int(data[1]))))
