"""Step 4: the circuit as a graph, and beside it how true and how cheap it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from engine.circuit import Circuit, Edge
from engine.estimate import dense_cost
from engine.figures.export import circuit_graphml, figure_html, rows_csv
from engine.figures.graph import edge_text, graph_figure
from engine.figures.tables import edge_rows
from engine.heads import Head, mask_of
from engine.pipeline import Discovery
from engine.prepare import Prepared
from engine.record import discovery_json, dumps
from engine.search import STAGE as SEARCH
from engine.settings import Method, Settings
from engine.verification import agreement
from pages.shared import background, look, state
from pages.shared.chart import chart, is_dark
from pages.shared.glossary import term
from pages.shared.job_panel import duration
from pages.shared.view import INPUTS, View

LEAD = (
    "Layers upward, the logits on top. An edge says that the sender’s output matters to the receiver’s query, key or "
    f"value. Its width is the size of the {term('effect')}; a dashed edge’s patch raises the metric. MLPs are part of "
    "every path and not drawn."
)


def show(prepared: Prepared, view: View, found: Discovery | None) -> None:
    look.step(4, "The circuit", LEAD)
    if found is None:
        look.empty("No circuit yet", "Start the search above; heads and edges appear while it runs.")
        return
    if not found.circuit.heads:
        look.empty("An empty circuit", "The search ended without an important head, so there is nothing to draw.")
        return
    left, right = st.columns([2.4, 1], gap="medium")
    with left:
        figure = _graph(found, view)
    with right:
        _facts(prepared, found)
        _selection(found, view)
    _twin(prepared, found, figure)


def _graph(found: Discovery, view: View) -> Any:
    circuit = found.circuit
    head = _selected(circuit, view)
    figure = graph_figure(circuit, dark=is_dark(), min_effect=view.weakest, selected=head)
    _hide_inputs(figure, view.inputs)
    _filters(circuit, view)
    shown = [edge for edge in circuit.edges if abs(edge.effect) >= view.weakest and edge.input.value in view.inputs]
    look.note(f"{len(shown)} of {look.count(len(circuit.edges), 'edge')} shown. Click a head or an edge.")
    chart(
        figure, "circuit", f"Graph of a circuit of {len(circuit.heads)} heads and {len(circuit.edges)} edges.",
        identity=found.settings, on_click=_clicked,
    )  # fmt: skip
    return figure


def _filters(circuit: Circuit, view: View) -> None:
    left, right = st.columns([1.3, 1], vertical_alignment="bottom")
    largest = max((abs(edge.effect) for edge in circuit.edges), default=0.0)
    if largest > 0:
        top = round(largest + 0.005, 2)
        state.show("weakest", min(view.weakest, top))
        left.slider(
            "Edges with |effect| of at least", 0.0, top, step=0.01, format="%.2f",
            help="1 would be the whole difference between clean and corrupted.",
            **state.bound("weakest", read=lambda value: round(value, 2)),
        )  # fmt: skip
    state.show("inputs", list(view.inputs))
    right.pills(
        "Edges into",
        INPUTS,
        selection_mode="multi",
        **state.bound("inputs", read=lambda x: tuple(i for i in INPUTS if i in x)),
    )


def _hide_inputs(figure: Any, inputs: tuple[str, ...]) -> None:
    """Leave nodes where they are, and show the edges into ``inputs`` only."""
    for trace in figure.data:
        if trace.legendgroup in INPUTS and trace.legendgroup not in inputs:
            trace.visible = "legendonly"


def _clicked(data: list) -> None:
    """A node ``[layer, head]``, or the middle of an edge ``[sender, receiver, input]``."""
    if isinstance(data[0], str):
        state.change(edge=_edge_name(*data))
    else:
        state.change(head=str(Head(int(data[0]), int(data[1]))))


def _edge_name(sender: str, receiver: str, letter: str) -> str:
    """As in the URL: ``9.6-logits``, ``5.5-9.6.q``."""
    return f"{sender}-{receiver}" if receiver == "logits" else f"{sender}-{receiver}.{letter}"


def name_of(edge: Edge) -> str:
    return _edge_name(str(edge.sender), "logits" if edge.receiver is None else str(edge.receiver), edge.input.value)


def _selected(circuit: Circuit, view: View) -> Head | None:
    head = Head.parse(view.head) if view.head else None
    return head if head in circuit.heads else None


def _facts(prepared: Prepared, found: Discovery) -> None:
    circuit, checked = found.circuit, found.verification
    total = circuit.n_layers * circuit.n_heads
    items = [
        look.Fact("Size", f"{len(circuit.heads)}", f"of {total} heads", f"sparsity {100 * circuit.sparsity:.1f} %")
    ]
    if checked is not None:
        where = f"n = {checked.n} fresh pairs, seed {checked.seed}, {checked.ablation.value} ablation"
        items += [
            look.Fact("Performance", f"{checked.performance:.1f}", "%", f"LD circuit / LD model; {where}"),
            look.Fact(
                "Faithfulness", f"{checked.faithfulness:.3f}", "",
                "(LD circuit − LD corrupted) / (LD clean − LD corrupted); same prompts",
            ),
        ]  # fmt: skip
    items += _against_dense(found)
    items.append(_cost_fact(prepared, found))
    look.facts(items)
    if checked is None:
        look.note("Not verified: the search was cancelled before.")


def _against_dense(found: Discovery) -> list[look.Fact]:
    """Precision and recall against a dense run of the same task, if there has been one."""
    if found.settings.method is Method.DENSE:
        return []
    dense = background.result_of(
        background.search_job(replace(found.settings, method=Method.DENSE, sparsity=None, score=Settings.score))
    )
    if dense is None or not dense.complete:
        return []
    shape = found.circuit.n_layers, found.circuit.n_heads
    same = agreement(mask_of(found.circuit.heads, *shape), mask_of(dense.circuit.heads, *shape))
    where = f"{same.common} heads in common with the dense run"
    return [
        look.Fact("Precision", f"{100 * same.precision:.0f}", "%", f"{where}, of {same.found} found"),
        look.Fact("Recall", f"{100 * same.recall:.0f}", "%", f"{where}, of its {same.known}"),
    ]


def _cost_fact(prepared: Prepared, found: Discovery) -> look.Fact:
    seconds = sum(row.seconds for row in found.cost)
    passes = sum(row.forward_passes for row in found.cost)
    if found.settings.method is Method.DENSE or not found.complete:
        return look.Fact("Cost", f"{passes:,.0f}", "passes", f"measured, pruning included; {duration(seconds)}")
    search = sum(row.flops for row in found.cost if row.stage == SEARCH)
    receivers = [head for head in found.circuit.heads if head.layer > 0]
    ratio = dense_cost(prepared, receivers).flops / search if search else float("nan")
    return look.Fact(
        "Cost", f"{passes:,.0f}", "passes",
        f"{duration(seconds)}, pruning included; the same receivers densely ≈ {ratio:.1f} × the search (estimate)",
    )  # fmt: skip


def _selection(found: Discovery, view: View) -> None:
    """The keyboard's way to a head and an edge, and what the edge says."""
    heads = [str(head) for head in found.circuit.heads]
    st.session_state["circuit_head"] = view.head if view.head in heads else None

    def pick() -> None:
        state.change(head=st.session_state["circuit_head"])

    st.selectbox("Head", heads, key="circuit_head", placeholder="search, or click one", on_change=pick)
    edges = {name_of(edge): edge for edge in sorted(found.circuit.edges, key=lambda edge: -abs(edge.effect))}
    st.session_state["circuit_edge"] = view.edge if view.edge in edges else None

    def pick_edge() -> None:
        state.change(edge=st.session_state["circuit_edge"])

    st.selectbox(
        "Edge", list(edges), key="circuit_edge", placeholder="strongest first", on_change=pick_edge,
        format_func=lambda name: f"{name.replace('-', ' → ')}   ({edges[name].effect:+.3f})",
    )  # fmt: skip
    if view.edge in edges:
        _edge_note(edges[view.edge])
    if view.head in heads:
        st.markdown(f"[Head {view.head}: its card](#head-card)")


def _edge_note(edge: Edge) -> None:
    plain = edge_text(edge).replace("<br>", ". ").replace("<b>", "").replace("</b>", "")
    look.note(f"{plain}. In units of clean − corrupted: −1 is as bad as the corrupted prompt.")


def _twin(prepared: Prepared, found: Discovery, figure: Any) -> None:
    circuit = found.circuit
    with st.expander(f"All {len(circuit.edges)} edges as a table, and downloads"):
        rows = edge_rows(circuit)
        effect = st.column_config.NumberColumn("effect (clean − corrupted = 1)", format="%.4f")
        st.dataframe(rows, hide_index=True, height=320, column_config={"effect": effect})
        dark = is_dark()
        with st.container(horizontal=True):
            _download(
                "Whole run as JSON",
                lambda: dumps(discovery_json(prepared.model, found)),
                "headlight-run.json",
                "application/json",
            )
            _download("Edges as CSV", lambda: rows_csv(rows), "circuit.csv", "text/csv")
            _download("Circuit as GraphML", lambda: circuit_graphml(circuit), "circuit.graphml", "application/xml")
            _download("Graph as HTML", lambda: figure_html(figure, "Circuit", dark), "circuit.html", "text/html")


def _download(label: str, make: Any, file_name: str, mime: str) -> None:
    st.download_button(label, make, file_name, mime, icon=":material/download:", on_click="ignore")
