"""The nine unions: as a grid, against each other by size and performance, and the one to search in."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from engine.figures.export import figure_html, rows_csv
from engine.figures.pareto import pareto_figure
from engine.figures.score_tables import union_rows
from engine.metrics import faithfulness
from engine.prepare import Prepared
from engine.pruning.cliffs import CliffKind
from engine.pruning.merge import UNION_NAMES, Merge, largest_union, meets_rule, union_words
from engine.pruning.sparsity_sweep import Pruning
from pages.shared import background, look, rooms, state
from pages.shared.chart import chart, drawn, is_dark
from pages.shared.glossary import term
from pages.shared.view import View
from pages.shared.work import result_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LEAD = (
    f"A cliff of FLAP with a cliff of C-FLAP makes nine {term('union', 'unions')}. Taken is the smallest that keeps "
    f"75 % of the performance with at most half of all heads; if there is none, the knee of the "
    f"{term('Pareto front')}. You may carry on with another."
)
ALT = "The nine unions by heads kept and performance, with the Pareto front; the one in use is ringed"
AUTOMATIC = "automatic"


def show(prepared: Prepared, view: View, pruning: Pruning) -> None:
    look.step(None, "The nine unions", LEAD)
    taken = pruning.taken(view.union or None)
    _explain(prepared, view, pruning, taken)
    _choose(view, pruning)
    left, right = st.columns([1, 1.25], gap="medium")
    with left:
        st.html(_grid(pruning, taken))
        look.note("Rows are FLAP’s cliffs, columns C-FLAP’s; ✓ meets the rule.")
    with right:
        figure = drawn(
            pareto_figure, pruning.merges, largest=largest_union(prepared.scores.flap.numel()), dark=is_dark()
        )
        chart(
            figure, "unions", ALT, identity=background.data_of(prepared.settings), on_click=_clicked,
            selected={"x": taken.size, "y": taken.performance},
        )  # fmt: skip
        look.note("Click a mark to take that union.")
    _list(prepared, pruning, taken, figure)


def take(pruning: Pruning, name: str) -> None:
    """Search in that union from now on; that of the automatic choice is not called a choice of one's own."""
    state.change(union="" if name == pruning.choice.merge.name else name, among="auto")


def _explain(prepared: Prepared, view: View, pruning: Pruning, taken: Merge) -> None:
    """Which union is in use, and why."""
    chosen = pruning.choice.merge
    size = f"{union_words(taken.name)}, {look.count(taken.size, 'head')}"
    how = f"{look.number(taken.performance, 1)} % of the performance"
    with st.container(key="union_verdict"):
        if not view.union:
            look.verdict(f"Chosen automatically: {size}.", f"It is {pruning.choice.reason}. It keeps {how}.")
        else:
            rule = "It meets" if meets_rule(taken, prepared.scores.flap.numel()) else "It does not meet"
            look.verdict(
                f"Chosen by you: {size}.",
                f"It keeps {how}. {rule} the rule. The automatic choice is {union_words(chosen.name)}, "
                f"{look.count(chosen.size, 'head')}: {pruning.choice.reason}.", "wait",
            )  # fmt: skip


def _choose(view: View, pruning: Pruning) -> None:
    by_name = {merge.name: merge for merge in pruning.merges}
    chosen = pruning.choice.merge

    def title(name: str) -> str:
        merge = chosen if name == AUTOMATIC else by_name[name]
        first = f"Automatic: {union_words(chosen.name)}" if name == AUTOMATIC else union_words(name)
        return f"{first} · {look.count(merge.size, 'head')} · {look.number(merge.performance, 0)} %"

    def pick() -> None:
        name = st.session_state["union_choice"]
        take(pruning, chosen.name if name == AUTOMATIC else name)

    st.session_state["union_choice"] = view.union or AUTOMATIC
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        st.selectbox(
            "Union to search in", [AUTOMATIC, *UNION_NAMES], key="union_choice", format_func=title, on_change=pick,
            width=360, help="A FLAP cliff + a C-FLAP cliff, the heads of both together, their performance.",
        )  # fmt: skip
        st.button(
            "Back to automatic", key="union_automatic", icon=":material/undo:", disabled=not view.union,
            on_click=state.change, kwargs={"union": ""},
        )  # fmt: skip
        with st.container(key="union_go", width="content"):
            rooms.link("explorer", "Find the circuit with this union", among="auto")


def _clicked(data: list) -> None:
    """A mark ``["union", name]``."""
    pruning = result_of(background.curve_job(state.current().settings()))
    if pruning is not None:
        take(pruning, str(data[1]))


def _grid(pruning: Pruning, taken: Merge) -> str:
    """FLAP's cliffs downward, Contrastive-FLAP's to the right."""
    cells = {(merge.flap_cliff.kind, merge.contrastive_cliff.kind): merge for merge in pruning.merges}
    total = int(taken.mask.numel())
    head = "".join(f'<th scope="col">{kind.value}</th>' for kind in CliffKind)
    rows = "".join(
        f'<tr><th scope="row">{flap.value}</th>'
        f"{''.join(_cell(cells[flap, other], pruning, taken, total) for other in CliffKind)}</tr>"
        for flap in CliffKind
    )
    return (
        '<table class="hl-table hl-grid"><thead><tr><th rowspan="2">FLAP cliff</th>'
        f'<th colspan="{len(CliffKind)}">C-FLAP cliff</th></tr><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    )


def _cell(merge: Merge, pruning: Pruning, taken: Merge, total: int) -> str:
    labels = [
        word
        for word, holds in (("in use", merge is taken), ("automatic", merge is pruning.choice.merge))
        if holds
    ]  # fmt: skip
    tick = " ✓" if meets_rule(merge, total) else ""
    label = f"<i>{escape(', '.join(labels))}</i>" if labels else ""
    mark = ' class="taken"' if merge is taken else ""
    share = f"<span>{look.number(merge.performance, 0)} %{tick}</span>"
    return f"<td{mark}><b>{look.count(merge.size, 'head')}</b>{share}{label}</td>"


def _list(prepared: Prepared, pruning: Pruning, taken: Merge, figure: Figure) -> None:
    total, dark = prepared.scores.flap.numel(), is_dark()  # read here: downloads are made outside a script run
    rows = union_rows(
        pruning.merges, total, largest_union(total), [_faithfulness(prepared, merge) for merge in pruning.merges],
        taken.name, pruning.choice.merge.name,
    )  # fmt: skip
    st.session_state["union_rows"] = {"selection": {"rows": [pruning.merges.index(taken)]}}

    def pick() -> None:
        picked = st.session_state["union_rows"]["selection"]["rows"]
        if picked:
            take(pruning, pruning.merges[picked[0]].name)

    with st.expander("The unions as a list, and downloads", key="twin_unions"):
        look.note(
            f"Select a row to take that union. Performance and faithfulness by mean ablation of all other heads, on "
            f"the {look.count(len(prepared.prompts), 'pair')} the scores come from."
        )
        number = st.column_config.NumberColumn
        st.dataframe(
            rows, key="union_rows", on_select=pick, selection_mode="single-row", hide_index=True,
            column_config={
                "FLAP cliff": None, "C-FLAP cliff": None, "share of heads %": number(format="%.1f"),
                "performance %": number(format="%.1f"), "faithfulness": number(format="%.3f"),
            },
        )  # fmt: skip
        with st.container(horizontal=True):
            look.download("Unions as CSV", lambda: rows_csv(rows), "unions.csv", "text/csv")
            look.download(
                "Plot as HTML", lambda: figure_html(figure, "The nine unions", dark), "unions.html", "text/html"
            )


def _faithfulness(prepared: Prepared, merge: Merge) -> float:
    """The same measurement as the union's performance, on the other scale."""
    clean = prepared.activations.clean
    return faithfulness(merge.performance / 100 * clean, clean, prepared.activations.corrupted)
