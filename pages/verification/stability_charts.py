"""Frequencies as a map, bars and lists; and the runs themselves."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

import streamlit as st

from engine.circuit import Circuit
from engine.figures.export import figure_html, rows_csv
from engine.figures.frequency import (
    edge_frequency_figure,
    edge_frequency_rows,
    frequency_figure,
    head_frequency_rows,
)
from engine.figures.refinds import NAMES, left_out_figure, refind_rows, refinds_figure
from engine.heads import Head
from engine.prepare import Prepared
from engine.record.json_values import dumps
from engine.record.trust_record import stability_json
from engine.trust.draws import Kind
from engine.trust.frequency import Frequency
from engine.trust.overlap import EdgeName, name_of
from engine.trust.stability import Stability
from pages.shared import edges, look, state
from pages.shared.chart import chart, drawn, is_dark
from pages.shared.glossary import term
from pages.shared.view import RUNS_OF, View

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

MOST_EDGES = 20
ALL = RUNS_OF[0]


def show(prepared: Prepared, circuit: Circuit, done: Stability, view: View) -> None:
    """``circuit`` is ringed and marked in everything that ``done`` counted."""
    kind = _counted(done, view)
    frequency = _of(done, kind)
    dark, identity = is_dark(), (done.settings, done.plan, circuit)
    figures = _frequencies(prepared, circuit, done, kind, dark, identity)
    figures |= _runs(circuit, done, dark, identity)
    _twin(circuit, done, frequency, figures, dark)


def _of(done: Stability, kind: Kind | None) -> Frequency:
    return done.overall if kind is None else done.by_kind[kind]


def _counted(done: Stability, view: View) -> Kind | None:
    """The kind of runs that count; None is all of them."""
    kinds = {kind.name.lower(): kind for kind in done.by_kind}
    options = [ALL, *kinds]
    chosen = view.runs_of if view.runs_of in options else ALL
    if len(options) > 2:
        state.show("runs_of", chosen)
        st.segmented_control(
            "Count", options, required=True, format_func=lambda name: _option(name, done), **state.bound("runs_of")
        )
    return kinds.get(chosen)


def _option(name: str, done: Stability) -> str:
    if name == ALL:
        return f"all {done.overall.n} runs"
    kind = Kind[name.upper()]
    return f"{NAMES[kind]} ({done.by_kind[kind].n})"


def _frequencies(
    prepared: Prepared, circuit: Circuit, done: Stability, kind: Kind | None, dark: bool, identity: Hashable
) -> dict[str, Figure]:
    model, frequency = prepared.model, _of(done, kind)
    shape = model.n_layers, model.n_heads
    if not frequency.judged:
        look.empty("No frequency", "One run alone says nothing about how often. Count all runs, or ask for more.")
        return {}
    heads, lines = circuit.heads, tuple(name_of(edge) for edge in circuit.edges)
    head = state.selected_head(*shape)
    left, right = st.columns([1, 1], gap="medium")
    with left:
        st.markdown("**Heads**; ringed are this circuit’s")
        map_figure = drawn(_map, done, kind, heads, shape, dark)
        chart(
            map_figure, "frequency_map", f"Share of {frequency.n} runs that found each head", identity=identity,
            on_click=lambda data: state.change(head=str(Head(*map(int, data)))),
            selected=None if head is None else {"x": head.index, "y": head.layer},
        )  # fmt: skip
        _coin_flips(frequency)
    with right:
        st.markdown("**Edges**; hollow are not this circuit’s")
        bars = drawn(_bars, done, kind, lines, dark)
        chart(
            bars, "frequency_edges", f"Share of {frequency.n} runs that found each edge", identity=identity,
            on_click=lambda data: state.change(edge=edges.name(*data)),
        )  # fmt: skip
        total = len(frequency.edge_counts)
        if total > MOST_EDGES:
            look.note(f"Shown: the {MOST_EDGES} found most often, of {total}.")
    return {"frequency-heads": map_figure, "frequency-edges": bars}


def _map(
    done: Stability, kind: Kind | None, heads: tuple[Head, ...], shape: tuple[int, int], dark: bool
) -> Figure:
    """The selected head is no part of it: chart.js moves that mark."""
    return frequency_figure(_of(done, kind), heads, *shape, dark=dark)


def _bars(done: Stability, kind: Kind | None, mine: tuple[EdgeName, ...], dark: bool) -> Figure:
    return edge_frequency_figure(_of(done, kind), mine, dark, MOST_EDGES)


def _marks(done: Stability, size: int | None, dark: bool) -> Figure:
    return refinds_figure(done.refinds, size, dark)


def _templates(done: Stability, dark: bool) -> Figure:
    return left_out_figure(done.refinds, dark)


def _coin_flips(frequency: Frequency) -> None:
    if not frequency.coin_flips:
        return
    look.lead(
        f"{term('coin flip', 'Coin flips')}: whether they are in a circuit says as much about the prompts as about the "
        "model."
    )
    chips = "".join(f"<span>{head} · {100 * frequency.head(head):.0f} %</span>" for head in frequency.coin_flips)
    st.html(f'<div class="hl-heads">{chips}</div>')


def _runs(circuit: Circuit, done: Stability, dark: bool, identity: Hashable) -> dict[str, Figure]:
    left, right = st.columns([1, 1], gap="medium")
    with left:
        st.markdown("**Each run’s circuit**, on the report prompts")
        marks = drawn(_marks, done, len(circuit.heads) or None, dark)
        chart(marks, "refinds", f"Size and faithfulness of {len(done.refinds)} circuits", identity=identity)
    figures = {"runs": marks}
    if any(each.draw.left_out is not None and each.circuit is not None for each in done.refinds):
        with right:
            st.markdown("**Templates left out**: does it hold where it was not looked for?")
            figures["templates"] = drawn(_templates, done, dark)
            chart(figures["templates"], "left_out", "Faithfulness on templates used and left out", identity=identity)
    look.note(
        f"n = {look.count(done.n, 'fresh pair' if done.fresh else 'pair')} of seed {done.report_seed}; all other heads "
        f"by {done.ablation.value} ablation. On templates: the run’s own pairs."
    )
    return figures


def _twin(circuit: Circuit, done: Stability, frequency: Frequency, figures: dict[str, Figure], dark: bool) -> None:
    tables = {
        "frequency-heads": head_frequency_rows(frequency, circuit.heads),
        "frequency-edges": edge_frequency_rows(frequency, [name_of(edge) for edge in circuit.edges]),
        "runs": refind_rows(done.refinds),
    }
    titles = {"frequency-heads": "Heads", "frequency-edges": "Edges", "runs": "Runs", "templates": "Templates"}
    with st.expander("Heads, edges and runs as tables, and downloads", key="twin_stability"):
        for name, rows in tables.items():
            st.dataframe(rows, hide_index=True, height=min(260, 38 + 35 * max(1, len(rows))), key=f"stability_{name}")
        with st.container(horizontal=True):
            for name, rows in tables.items():
                look.download(f"{titles[name]} as CSV", lambda rows=rows: rows_csv(rows), f"{name}.csv", "text/csv")
            for name, figure in figures.items():
                look.download(
                    f"{titles[name]} as HTML",
                    lambda figure=figure, name=name: figure_html(figure, titles[name], dark), f"{name}.html",
                    "text/html",
                )  # fmt: skip
            look.download(
                "Stability as JSON", lambda: dumps({"stability": stability_json(done, circuit)}), "stability.json",
                "application/json",
            )  # fmt: skip
