"""Step 4: the circuit as a graph, and beside it how true and how cheap it is."""

from __future__ import annotations

from typing import Any

import streamlit as st

from engine.circuit import Circuit
from engine.discovery import Discovery
from engine.figures.export import figure_html, rows_csv
from engine.figures.graph import graph_figure
from engine.figures.tables import edge_rows
from engine.heads import Head
from engine.interchange.graphml import write_graphml
from engine.interchange.of_run import file_of_run
from engine.prepare import Prepared
from engine.record.json_values import dumps
from engine.record.writing import discovery_json
from pages.explorer import grid_view
from pages.shared import algorithm_words, circuit_facts, edges, look, rooms, search_run, state
from pages.shared.chart import chart, drawn, is_dark
from pages.shared.glossary import term
from pages.shared.view import INPUTS, View

LEAD = (
    "Layers upward, the logits on top. An edge says that the sender’s output matters to the receiver’s query, key or "
    f"value, or to an MLP. Its width is the size of the {term('effect')}; a dashed edge’s patch raises the metric. "
    "Unless they are nodes, MLPs are part of every path and not drawn."
)


def show(prepared: Prepared, view: View, found: Discovery | None) -> None:
    look.step(4, "The circuit", LEAD)
    if found is None:
        look.empty("No circuit yet", "Start the search above; heads and edges appear while it runs.")
        return
    if not found.circuit.nodes and not found.complete:
        look.empty("No circuit yet", "The search was cancelled before it had found a head.")
        return
    if not found.circuit.nodes:
        look.empty("An empty circuit", "The search ended without an important head, so there is nothing to draw.")
        grid_view.show(found)
        return
    left, right = st.columns([2.4, 1], gap="medium")
    with left:
        figure = _graph(found, view)
    with right:
        circuit_facts.show(prepared, found)
        _selection(found, view)
    rooms.link("circuit", "The circuit in a room of its own: roles, filters, names, answer keys, files")
    grid_view.show(found)
    _twin(prepared, found, figure)


def _graph(found: Discovery, view: View) -> Any:
    circuit = found.circuit
    head = _selected(circuit, view)
    figure = drawn(_drawn_for, circuit, view.weakest, view.inputs, head, is_dark())
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        edges.filters(circuit, view)
    shown = [edge for edge in circuit.edges if abs(edge.effect) >= view.weakest and edge.input.value in view.inputs]
    look.note(f"{len(shown)} of {look.count(len(circuit.edges), 'edge')} shown. Click a head or an edge.")
    chart(
        figure, "circuit", f"Graph of a circuit of {search_run.size_words(circuit)}.",
        identity=found.settings, on_click=_clicked,
    )  # fmt: skip
    return figure


def _drawn_for(circuit: Circuit, weakest: float, inputs: tuple[str, ...], head: Head | None, dark: bool) -> Any:
    figure = graph_figure(circuit, dark=dark, min_effect=weakest, selected=head)
    _hide_inputs(figure, inputs)
    return figure


def _hide_inputs(figure: Any, inputs: tuple[str, ...]) -> None:
    """Leave nodes where they are, and show the edges into ``inputs`` only."""
    for trace in figure.data:
        if trace.legendgroup in INPUTS and trace.legendgroup not in inputs:
            trace.visible = "legendonly"
        elif trace.name == "edge targets":  # a hidden edge must not answer clicks
            shown = [entry in inputs for _, _, entry in trace.customdata]
            trace.x = [x if keep else None for x, keep in zip(trace.x, shown, strict=True)]


def _clicked(data: list) -> None:
    """A node ``[layer, head]``, or the middle of an edge ``[sender, receiver, input]``."""
    if isinstance(data[0], str):
        state.change(edge=edges.name(*data))
    else:
        state.change(head=str(Head(int(data[0]), int(data[1]))))


def _selected(circuit: Circuit, view: View) -> Head | None:
    head = Head.parse(view.head) if view.head else None
    return head if head in circuit.heads else None


def _selection(found: Discovery, view: View) -> None:
    """The keyboard's way to a head and an edge, and what the edge says."""
    heads = [str(head) for head in found.circuit.heads]
    st.session_state["circuit_head"] = view.head if view.head in heads else None

    def pick() -> None:
        state.change(head=st.session_state["circuit_head"])

    st.selectbox("Head", heads, key="circuit_head", placeholder="search, or click one", on_change=pick)
    by_name = edges.by_name(found.circuit)
    st.session_state["circuit_edge"] = view.edge if view.edge in by_name else None

    def pick_edge() -> None:
        state.change(edge=st.session_state["circuit_edge"])

    st.selectbox(
        "Edge", list(by_name), key="circuit_edge", placeholder="strongest first", on_change=pick_edge,
        format_func=lambda name: edges.title(name, by_name[name]),
    )  # fmt: skip
    if view.edge in by_name:
        edges.tell(by_name[view.edge])
        edges.receipt(by_name[view.edge])
    if view.head in heads:
        st.markdown(f"[Head {view.head}: its card](#head-card)")


def _twin(prepared: Prepared, found: Discovery, figure: Any) -> None:
    circuit = found.circuit
    with st.expander(f"All {len(circuit.edges)} edges as a table, and downloads", key="twin_edges"):
        rows = edge_rows(circuit)
        look.note(f"{algorithm_words.edge_words(found.settings)}.")
        effect = st.column_config.NumberColumn("effect (clean − corrupted = 1)", format="%.4f")
        st.dataframe(rows, hide_index=True, height=320, column_config={"effect": effect})
        dark = is_dark()
        with st.container(horizontal=True):
            look.download(
                "Whole run as JSON",
                lambda: dumps(discovery_json(prepared.model, found)),
                "headlight-run.json",
                "application/json",
            )
            look.download("Edges as CSV", lambda: rows_csv(rows), "circuit.csv", "text/csv")
            file = file_of_run(prepared.model, found.settings, circuit)
            look.download("Circuit as GraphML", lambda: write_graphml(file), "circuit.graphml", "application/xml")
            look.download("Graph as HTML", lambda: figure_html(figure, "Circuit", dark), "circuit.html", "text/html")
