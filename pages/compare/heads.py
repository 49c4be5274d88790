"""The heads and edges both circuits have, and what each has alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from engine.circuit import LOGITS_NODE, Circuit
from engine.figures.export import figure_html, rows_csv
from engine.figures.tables import Row
from engine.figures.union_graph import union_figure
from engine.heads import Head
from engine.trust.overlap import Overlap, edge_overlap, edges_by_name, head_overlap
from pages.compare.choice import Pair
from pages.shared import look, state
from pages.shared.chart import chart, drawn, is_dark
from pages.shared.view import View

LEAD = (
    "What both circuits have is grey; what one has alone has its side’s colour, shape and dash. Click a head for its "
    "card."
)
LISTS = (("common", "In both"), ("only_first", "Left only"), ("only_second", "Right only"))


def show(pair: Pair, view: View) -> None:
    left, right = pair.left.summary.circuit, pair.right.summary.circuit
    look.step(None, "Heads and edges", LEAD)
    if pair.left.summary.model != pair.right.summary.model:
        look.note("Two models of one shape: heads are matched by their place, which need not mean the same job.")
    shared, edges = head_overlap(left, right), edge_overlap(left, right)
    _facts(shared, edges, pair)
    if not (left.heads or right.heads):
        look.empty("Two empty circuits", "Neither search found a head, so there is nothing to draw.")
        return
    _lists(shared, view)
    head = state.selected_head(*pair.left.summary.shape)
    figure = drawn(union_figure, left, right, dark=is_dark(), selected=head)
    chart(
        figure, "compare_graph",
        f"Both circuits in one graph: {len(shared.common)} heads in both, {len(shared.only_first)} left only, "
        f"{len(shared.only_second)} right only.",
        identity=(pair.left.id, pair.right.id), on_click=pick,
    )  # fmt: skip
    _twin(left, right, figure)


def pick(data: list) -> None:
    state.change(head=str(Head(int(data[0]), int(data[1]))))


def _facts(shared: Overlap[Head], edges: Overlap, pair: Pair) -> None:
    """Precision and recall only where one run can be judged by the other."""
    facts = [
        look.Fact("Shared heads", f"{len(shared.common)}", "heads", _alone(shared)),
        look.Fact("Jaccard, heads", _percent(shared.jaccard), "%", "shared ÷ all heads of either"),
        look.Fact("Shared edges", f"{len(edges.common)}", "edges", _alone(edges)),
        look.Fact("Jaccard, edges", _percent(edges.jaccard), "%", "same sender, receiver and input"),
    ]
    if pair.same_data:
        both = f"{_percent(shared.precision)} · {_percent(shared.recall)}"
        note = "of the left heads, with the right run as the truth"
        facts.insert(2, look.Fact("Precision · recall", both, "%", note))
    look.facts(facts)


def _alone(parts: Overlap) -> str:
    return f"{len(parts.only_first)} left only, {len(parts.only_second)} right only"


def _percent(share: float) -> str:
    return "–" if share != share else f"{100 * share:.0f}"


def _lists(shared: Overlap[Head], view: View) -> None:
    """Three lists of heads; each head is a button that opens its card."""
    for column, (name, title) in zip(st.columns(3), LISTS, strict=True):
        heads: Sequence[Head] = getattr(shared, name)
        names = [str(head) for head in sorted(heads)]
        with column:
            if not names:
                st.markdown(f"**{title}: none**")
                continue
            _pills(f"heads_{name}", f"{title}: {len(names)}", names, view.head)


def _pills(key: str, title: str, names: list[str], head: str | None) -> None:
    st.session_state[key] = head if head in names else None

    def choose() -> None:
        state.change(head=st.session_state[key])

    st.pills(title, names, key=key, on_change=choose, wrap=True)


def edge_rows(left: Circuit, right: Circuit) -> list[Row]:
    """One row an edge of either circuit, strongest first; None where a run has no such edge."""
    edges = edges_by_name(left), edges_by_name(right)
    rows: list[Row] = []
    for name in dict.fromkeys((*edges[0], *edges[1])):
        sender, receiver, entry = name
        a, b = (side[name].effect if name in side else None for side in edges)
        rows.append(
            {
                "sender": str(sender), "receiver": LOGITS_NODE if receiver is None else str(receiver),
                "input": entry, "left effect": a, "right effect": b,
                "right - left": None if a is None or b is None else b - a,
            }
        )  # fmt: skip
    return sorted(rows, key=lambda row: -max(abs(float(row[side] or 0)) for side in ("left effect", "right effect")))


def _twin(left: Circuit, right: Circuit, figure: Any) -> None:
    dark = is_dark()
    rows = edge_rows(left, right)
    with st.expander(f"All {len(rows)} edges of both as a table, and downloads", key="twin_compare_edges"):
        number = st.column_config.NumberColumn(format="%.4f")
        look.note("Effects in units of clean − corrupted of each run’s own prompts; an empty cell: no such edge.")
        st.dataframe(
            rows, hide_index=True, height=320,
            column_config={"left effect": number, "right effect": number, "right - left": number},
        )  # fmt: skip
        with st.container(horizontal=True):
            look.download("Edges as CSV", lambda: rows_csv(rows), "compare-edges.csv", "text/csv")
            look.download(
                "Graph as HTML", lambda: figure_html(figure, "Two circuits", dark), "compare.html", "text/html"
            )
