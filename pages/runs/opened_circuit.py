"""The circuit of an opened run: its graph, what a head or an edge says, and its edges as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from engine.circuit import Circuit
from engine.discovery import Discovery
from engine.figures.export import figure_html, rows_csv
from engine.figures.graph import graph_figure
from engine.figures.tables import edge_rows
from engine.heads import Head
from engine.interchange.graphml import write_graphml
from engine.record.circuit_file import circuit_in
from pages.runs.reading import Opened
from pages.shared import algorithm_words, edges, look, search_run, state
from pages.shared.chart import chart, drawn, is_dark
from pages.shared.glossary import term
from pages.shared.view import View

LEAD = (
    "Layers upward, the logits on top. An edge’s width is the size of its "
    f"{term('effect')}; a dashed edge’s patch raises the metric. Click a head or an edge."
)


def show(read: Opened, view: View) -> None:
    found = read.found
    look.step(None, "The circuit", LEAD)
    if not found.circuit.nodes:
        ended = "ended without an important head" if found.complete else "was stopped before it had found a head"
        look.empty("An empty circuit", f"The search {ended}, so there is nothing to draw.")
        return
    left, right = st.columns([2.4, 1], gap="medium")
    with left:
        figure = _graph(found, view)
    with right:
        _selection(found.circuit, read.names, view)
    _twin(read, figure)


def _graph(found: Discovery, view: View) -> Any:
    circuit, weakest = found.circuit, view.weakest
    largest = round(max((abs(edge.effect) for edge in circuit.edges), default=0.0) + 0.005, 2)
    if circuit.edges:
        state.show("weakest", min(weakest, largest))
        st.slider(
            "Edges with |effect| of at least", 0.0, largest, step=0.01, format="%.2f", width=260,
            **state.bound("weakest", read=lambda value: round(value, 2)),
        )  # fmt: skip
    shown = sum(abs(edge.effect) >= weakest for edge in circuit.edges)
    look.note(f"{shown} of {look.count(len(circuit.edges), 'edge')} shown, in units of clean − corrupted.")
    head = Head.parse(view.head) if view.head else None
    figure = drawn(
        graph_figure, circuit, dark=is_dark(), min_effect=weakest, selected=head if head in circuit.heads else None
    )
    chart(
        figure, "opened_graph", f"Graph of a circuit of {search_run.size_words(circuit)}.",
        identity=("opened", view.run), on_click=clicked,
    )  # fmt: skip
    return figure


def clicked(data: list) -> None:
    """A node ``[layer, head]``, or the middle of an edge ``[sender, receiver, input]``."""
    if isinstance(data[0], str):
        state.change(edge=edges.name(*data))
    else:
        state.change(head=str(Head(int(data[0]), int(data[1]))))


def _selection(circuit: Circuit, labels: Mapping[str, str], view: View) -> None:
    """The keyboard's way to a head and an edge, and what they say."""
    heads = [str(head) for head in circuit.heads]
    st.session_state["opened_head"] = view.head if view.head in heads else None
    st.selectbox(
        "Head", heads, key="opened_head", placeholder="search, or click one",
        format_func=lambda name: f"{name} · {labels[name]}" if name in labels else name,
        on_change=lambda: state.change(head=st.session_state["opened_head"]),
    )  # fmt: skip
    by_name = edges.by_name(circuit)
    st.session_state["opened_edge"] = view.edge if view.edge in by_name else None
    st.selectbox(
        "Edge", list(by_name), key="opened_edge", placeholder="strongest first",
        on_change=lambda: state.change(edge=st.session_state["opened_edge"]),
        format_func=lambda name: edges.title(name, by_name[name]),
    )  # fmt: skip
    if view.head in heads:
        _head(circuit, Head.parse(view.head or ""), labels)
    if view.edge in by_name:
        edges.tell(by_name[view.edge])


def _head(circuit: Circuit, head: Head, labels: Mapping[str, str]) -> None:
    out = [edge for edge in circuit.edges if edge.sender == head]
    into = [edge for edge in circuit.edges if edge.receiver == head]
    total = sum(edge.effect for edge in out)
    named = f", named “{labels[str(head)]}”" if str(head) in labels else ""
    look.note(
        f"Head {head}{named}: sends along {look.count(len(out), 'edge')} (sum of effects {look.signed(total, 3)}), "
        f"hears from {len(into)}."
    )


def _twin(read: Opened, figure: Any) -> None:
    circuit, dark = read.found.circuit, is_dark()
    with st.expander(f"All {len(circuit.edges)} edges as a table, and downloads", key="twin_opened_edges"):
        rows = edge_rows(circuit)
        look.note(f"{algorithm_words.edge_words(read.settings)}.")
        effect = st.column_config.NumberColumn("effect (clean − corrupted = 1)", format="%+.4f")
        st.dataframe(rows, hide_index=True, height=320, column_config={"effect": effect})
        with st.container(horizontal=True):
            look.download("Edges as CSV", lambda: rows_csv(rows), "circuit.csv", "text/csv")
            look.download(
                "Circuit as GraphML", lambda: write_graphml(circuit_in(read.record)), "circuit.graphml",
                "application/xml",
            )  # fmt: skip
            look.download("Graph as HTML", lambda: figure_html(figure, "Circuit", dark), "circuit.html", "text/html")
