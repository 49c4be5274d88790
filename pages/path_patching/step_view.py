"""One step: the question in words, what there is by then, all senders as a map and as bars, the graph so far."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from engine.cost.duration import duration
from engine.figures.effects import effects_figure
from engine.figures.export import figure_html, rows_csv
from engine.figures.step import step_graph, step_map
from engine.heads import Head
from engine.search.trail import Outcome, Station
from pages.path_patching import words
from pages.path_patching.walk import Walk
from pages.shared import algorithm_words, look, state
from pages.shared.chart import chart, drawn, is_dark
from pages.shared.glossary import term
from pages.shared.step_rows import all_effects, sender_rows, step_rows

MOST_BARS = 24
GRAPH_HEIGHTS = (520, 1100)  # pixels, least and most: it stands beside a map and bars
GROWING_HEIGHTS = (760, 760)  # while the search runs
Clicked = Callable[[list], None]
# Each chart has the same alternative text in all steps: another one would mount it anew.


def show(walk: Walk, station: Station, on_head: Clicked, on_edge: Clicked) -> None:
    kept = station.outcome is Outcome.KEPT
    look.verdict(
        words.question(station, len(walk.trail), walk.live), words.answer(station, walk.thresholds, walk.settings),
        "yes" if kept else "wait",
    )  # fmt: skip
    look.note(words.MEANINGS[station.step.input.value])
    _totals(walk, station)
    head = _selected(walk)
    left, right = st.columns([1, 1], gap="medium")
    with left:
        _senders(walk, station, head, on_head)
    with right:
        _graph(walk, station, head, on_edge)
    _twin(walk, station)


def _kind(station: Station) -> str:
    """What is counted."""
    return "node" if station.step.mlps else "head"


def _selected(walk: Walk) -> Head | None:
    return state.selected_head(walk.whole.n_layers, walk.whole.n_heads)


def _totals(walk: Walk, station: Station) -> None:
    """What there is at the end of this step, and what it had taken to get here."""
    facts = [
        look.Fact("Circuit so far", f"{station.heads}", look.count(station.heads, _kind(station)).split()[-1],
                  _gain(len(station.new_heads))),
        look.Fact("Edges so far", f"{station.edges}", "", _gain(len(station.new_edges))),
        look.Fact("Paths so far", f"{station.exact + station.estimated:,}", "",
                  f"{station.exact:,} exact, {station.estimated:,} estimates; n = {walk.pairs} pairs each"),
    ]  # fmt: skip
    spent = station.step.spent
    if spent is not None:
        first, last = station.together
        of = "" if first == last else f"; steps {first} to {last} are measured together"
        facts.append(look.Fact("Time until here", duration(spent.seconds), "", f"the search alone{of}"))
        work = f"{_gigaflop(spent.flops)} GFLOP{of}"
        facts.append(look.Fact("Work until here", f"{spent.forward_passes:,.1f}", "passes", work))
    look.facts(facts)


def _gain(more: int) -> str:
    return f"+{more} in this step" if more else "none new in this step"


def _gigaflop(flops: float) -> str:
    return f"{flops / 1e9:,.0f}" if flops >= 1e10 else f"{flops / 1e9:.3g}"


def _senders(walk: Walk, station: Station, head: Head | None, on_head: Clicked) -> None:
    step, dark = station.step, is_dark()
    st.markdown("##### All senders")
    hatched = f" A slash marks an {term('estimate')}." if station.guessed else ""
    look.lead(f"Colour is the {term('effect')}, scaled to this step. A cross: not measured, which is not 0.{hatched}")
    chart(
        drawn(step_map, step, dark=dark, selected=head), "step_map",
        "Map of all senders’ effects in the step named above; the table below has the numbers.",
        identity=walk.settings, on_click=on_head,
    )  # fmt: skip
    st.markdown("##### The strongest against their thresholds")
    shown = min(MOST_BARS, station.measured)
    look.note(
        f"Shown {shown} of {look.count(station.measured, 'sender')}. {algorithm_words.line_words(walk.settings)}."
    )
    chart(
        drawn(
            effects_figure, step.effects, step.estimated, step.thresholds, step.important, dark=dark, most=MOST_BARS,
            selected=head, mlps=step.mlps,
        ),
        "step_bars", "Bars of the strongest senders’ effects in the step named above, against their thresholds.",
        identity=walk.settings, on_click=on_head,
    )  # fmt: skip


def _graph(walk: Walk, station: Station, head: Head | None, on_edge: Clicked) -> None:
    circuit = walk.circuit_at(station.number)
    st.markdown("##### The circuit as of this step")
    look.note(
        f"{look.count(station.heads, _kind(station))} and {look.count(station.edges, 'edge')}; this step’s edges are "
        "bright. Click a head for its card, an edge for the step that found it."
    )
    figure = drawn(
        step_graph, circuit, station.new_edges, station.step.receivers, station.step.input, whole=walk.whole,
        dark=is_dark(), heights=GROWING_HEIGHTS if walk.live else GRAPH_HEIGHTS, selected=head,
    )  # fmt: skip
    chart(
        figure, "step_graph", "Graph of the circuit as of the step named above, whose edges are bright.",
        identity=walk.settings, on_click=on_edge,
    )  # fmt: skip


def _twin(walk: Walk, station: Station) -> None:
    dark, title = is_dark(), words.question(station, len(walk.trail), walk.live)
    with st.expander("This step and all steps as tables, and downloads", key="twin_step"):
        which = st.segmented_control(
            "Table", ("this step", "all steps"), default="this step", required=True, key="step_table"
        )
        if which == "this step":
            rows = sender_rows(station)
            effect = st.column_config.NumberColumn("effect (clean − corrupted = 1)", format="%.4f")
            limit = st.column_config.NumberColumn("threshold", format="%.4f")
            st.dataframe(rows, hide_index=True, height=320, column_config={"effect": effect, "threshold": limit})
        else:
            number = st.column_config.NumberColumn(format="%.3g")
            names = ("seconds until here", "passes until here", "GFLOP until here")
            st.dataframe(
                step_rows(walk.trail), hide_index=True, height=320, column_config=dict.fromkeys(names, number)
            )
        with st.container(horizontal=True):
            name = f"step-{station.number}"
            look.download("This step as CSV", lambda: rows_csv(sender_rows(station)), f"{name}.csv", "text/csv")
            look.download("List of steps as CSV", lambda: rows_csv(step_rows(walk.trail)), "steps.csv", "text/csv")
            look.download("All effects as CSV", lambda: rows_csv(all_effects(walk.trail)), "effects.csv", "text/csv")
            look.download(
                "Map as HTML", lambda: figure_html(step_map(station.step, dark=dark), title, dark), f"{name}.html",
                "text/html",
            )  # fmt: skip
