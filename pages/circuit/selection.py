"""Beside the graph: search a head, pin it, name it; choose an edge and read what it says."""

from __future__ import annotations

import streamlit as st

from engine.behaviour.roles import Role
from engine.circuit import Circuit
from engine.heads import Head
from engine.views.circuit_filter import neighbours
from pages.circuit.shown import Shown, parse_or_none, written
from pages.shared import edges, look, state
from pages.shared.background import background
from pages.shared.link_readers import MAX_NAME, MAX_NAMES, MAX_PINS
from pages.shared.view import View


def show(shown: Shown, view: View, roles: dict[Head, tuple[Role, ...]]) -> None:
    circuit, names = shown.circuit, shown.names(view)
    _search(circuit, view, names, roles)
    head = parse_or_none(view.head)
    if head in circuit.heads:
        _neighbours(circuit, head)
        _pin(view, head)
        _name(shown, view, head)
        st.markdown("[Its card](#head-card)")
    _edge(circuit, view)
    _pinned(view)


def _search(circuit: Circuit, view: View, names: dict[Head, str], roles: dict[Head, tuple[Role, ...]]) -> None:
    by_name = {str(head): head for head in circuit.heads}
    st.session_state["map_head"] = view.head if view.head in by_name else None

    def title(name: str) -> str:
        head = by_name[name]
        words = [names[head]] if head in names else [role.value for role in roles.get(head, ())[:1]]
        return " · ".join([name, *words])

    st.selectbox(
        "Find a head", list(by_name), key="map_head", placeholder="by number, name or role", format_func=title,
        on_change=lambda: state.change(head=st.session_state["map_head"]),
    )  # fmt: skip


def _neighbours(circuit: Circuit, head: Head) -> None:
    near = sorted(neighbours(circuit, head))
    shown = ", ".join(str(other) for other in near[:12]) + (f" and {len(near) - 12} more" if len(near) > 12 else "")
    to_logits = any(edge.sender == head and edge.receiver is None for edge in circuit.edges)
    words = f"{look.count(len(near), 'neighbour')}: {shown}." if near else "No head is an edge away."
    look.note(words + (" It reaches the logits directly." if to_logits else ""))


def _pin(view: View, head: Head) -> None:
    pinned = str(head) in view.pins
    st.session_state["map_pin"] = pinned

    def turn() -> None:
        others = tuple(name for name in state.current().pins if name != str(head))
        state.change(pins=others if pinned else (*others, str(head)))

    st.toggle(
        "Pin it", help="A pinned head is shown and labelled whatever the filters say.", key="map_pin", on_change=turn,
        disabled=not pinned and len(view.pins) >= MAX_PINS,
    )  # fmt: skip


def _name(shown: Shown, view: View, head: Head) -> None:
    key = f"map_name_{head}"
    st.session_state[key] = shown.names(view).get(head, "")

    def store() -> None:
        names = shown.names(state.current())
        text = plain_name(st.session_state[key])
        if text:
            names[head] = text
        else:
            names.pop(head, None)
        state.change(names=written(names)[:MAX_NAMES])
        if shown.found is not None:
            kept_names = {str(each): name for each, name in names.items()}
            background().kept.label(shown.found.settings, kept_names)

    st.text_input(
        "Your name for it", key=key, max_chars=MAX_NAME, placeholder="e.g. name mover", on_change=store,
        disabled=head not in shown.names(view) and len(view.names) >= MAX_NAMES,
    )  # fmt: skip


def plain_name(text: str) -> str:
    """What a link can carry: printable, without the signs that separate names there."""
    kept = "".join(" " if letter in ",~" else letter for letter in text if letter.isprintable())
    return " ".join(kept.split())[:MAX_NAME]


def _edge(circuit: Circuit, view: View) -> None:
    by_name = edges.by_name(circuit)
    st.session_state["map_edge"] = view.edge if view.edge in by_name else None
    st.selectbox(
        "Edge", list(by_name), key="map_edge", placeholder="strongest first",
        on_change=lambda: state.change(edge=st.session_state["map_edge"]),
        format_func=lambda name: edges.title(name, by_name[name]),
    )  # fmt: skip
    if view.edge not in by_name:
        return
    edge = by_name[view.edge]
    edges.tell(edge)
    edges.receipt(edge)
    with st.container(horizontal=True, gap="small"):
        for end in (edge.sender, edge.receiver):
            if isinstance(end, Head):
                st.button(f"Head {end}", key=f"end_{end}", on_click=state.change, kwargs={"head": str(end)})


def _pinned(view: View) -> None:
    if view.pins:
        look.note(f"Pinned: {', '.join(view.pins)}.")
        st.button("Unpin all", key="unpin_all", on_click=state.change, kwargs={"pins": ()})
