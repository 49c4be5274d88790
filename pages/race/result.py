"""After the race: who was cheaper and by how much, what each found, and how true it is."""

from __future__ import annotations

from typing import Any

import streamlit as st

from engine.cost.duration import duration
from engine.discovery import Discovery
from engine.figures.export import rows_csv
from engine.heads import Head
from engine.prepare import Prepared
from engine.search.path_patching import search_cost
from engine.settings import Mode
from engine.trust.overlap import head_overlap
from engine.trust.self_check import STAGE as SELF_CHECK
from pages.race import lane as one
from pages.race import result_tables as tables
from pages.race import score
from pages.race.contestants import Lane
from pages.race.running import all_found
from pages.shared import look, rooms, state
from pages.shared.view import run_fields

FINE_PRINT = (
    f"Seconds are each contestant’s own turns. Not in the totals: the {SELF_CHECK}, done once a model by whoever comes "
    "first. Pruning is APP’s, measured now or before. Both keep to the memory one run may take: where that is short, "
    "both redo parts of the sender sweep. A forward pass is one over all pairs."
)


def show(prepared: Prepared, lanes: tuple[Lane, Lane]) -> None:
    app, dense = lanes[0].found, lanes[1].found
    if app is None or dense is None:
        _half(lanes)
        return
    look.step(
        None, "Who was faster?", "Work, time and truth of both, on the same prompts and with the same thresholds."
    )
    look.verdict(*verdict(app, dense))
    if app.complete and dense.complete:
        look.facts(_ratio_facts(app, dense))
    costs = score.cost_rows(app, dense)
    tables.costs(costs)
    look.note(FINE_PRINT)
    look.step(
        None, "Do they find the same?", "APP’s circuit against dense path patching’s, which is the standard here."
    )
    _overlap(lanes, app, dense)
    look.step(
        None, "How true are they?", "Each circuit alone, all other heads removed, on prompts it was not found on."
    )
    tables.truth(score.truth_rows(app, dense))
    _away(lanes, app, dense)


def _half(lanes: tuple[Lane, Lane]) -> None:
    """One contestant has something to show, the other not."""
    there = [lane for lane in lanes if lane.found is not None]
    if not there:
        look.empty("No race yet", "Both lanes fill as soon as it starts.")
        return
    lane = there[0]
    look.empty("Half a race", f"{lane.contestant.title} has run; the comparison needs the other too.")
    rooms.link("circuit", f"The circuit of {lane.contestant.title}", **run_fields(lane.contestant.settings))


def verdict(app: Discovery, dense: Discovery) -> tuple[str, str, str]:
    """Headline, text and kind: who was cheaper, pruning included, or why that is not known."""
    stopped = [name for name, found in (("APP", app), ("dense", dense)) if not found.complete]
    if stopped:
        who = " and ".join(stopped)
        return (
            "No winner.",
            f"Cancelled: {who}. What had been found by then is kept and compared below; its heads are a lower bound.",
            "wait",
        )
    whole = score.ratios(score.whole_cost(app), score.whole_cost(dense))
    search = score.ratios(search_cost(app.cost), search_cost(dense.cost))
    return (
        _headline(whole),
        f"Pruning included: {_spent('APP', app)}, {_spent('dense', dense)}. {_search_words(search)}{_why(app, whole)}",
        "yes" if whole.seconds >= score.EVEN else "wait",
    )


def _headline(whole: score.Ratios) -> str:
    time, work = whole.seconds, whole.flops
    if max(time, 1 / time) < score.EVEN:
        return "Even, as good as."
    who, time, work = ("APP", time, work) if time > 1 else ("Dense", 1 / time, 1 / work)
    less = f"{work:.1f} × in work" if work >= 1 else "though with more work"
    return f"{who} was faster: {time:.1f} × in time, {less}."


def _spent(name: str, found: Discovery) -> str:
    cost = score.whole_cost(found)
    return f"{name} {duration(cost.seconds)} and {cost.forward_passes:,.0f} passes"


def _search_words(search: score.Ratios) -> str:
    if not search.flops > 0:
        return ""
    who, ratio = ("dense", search.flops) if search.flops >= 1 else ("APP", 1 / search.flops)
    return f"The search alone was {ratio:.1f} × the work for {who}."


def _why(app: Discovery, whole: score.Ratios) -> str:
    if whole.seconds > 1 / score.EVEN or app.settings.mode is not Mode.SCREENED or app.screening is None:
        return ""
    return " Screened, dense is cheap too, and APP still pays for its pruning; exact effects cost dense far more."


def _ratio_facts(app: Discovery, dense: Discovery) -> list[look.Fact]:
    whole = score.ratios(score.whole_cost(app), score.whole_cost(dense))
    search = score.ratios(search_cost(app.cost), search_cost(dense.cost))
    return [
        look.Fact("Time, dense ÷ APP", look.number(whole.seconds, 2), "×", "whole run, pruning included"),
        look.Fact("FLOPs, dense ÷ APP", look.number(whole.flops, 2), "×", "whole run; so are the forward passes"),
        look.Fact("Time of the search", look.number(search.seconds, 2), "×", "dense ÷ APP, without pruning"),
        look.Fact("FLOPs of the search", look.number(search.flops, 2), "×", "dense ÷ APP, without pruning"),
    ]


def _overlap(lanes: tuple[Lane, Lane], app: Discovery, dense: Discovery) -> None:
    tables.overlap(score.overlap_rows(app.circuit, dense.circuit))
    over = head_overlap(app.circuit, dense.circuit)
    tables.heads({"In both": over.common, "Only APP": over.only_first, "Only dense": over.only_second})
    among = all_found(lanes)
    for column, lane in zip(st.columns(2, gap="medium"), lanes, strict=True):
        with column:
            one.heading(lane.contestant)
            one.graph(lane, among, f"raced_{lane.contestant.name}", on_click=_clicked)


def _clicked(data: list) -> None:
    """A node ``[layer, head]``; the middle of an edge ``[sender, receiver, input]`` stands for its sender."""
    if isinstance(data[0], str) and data[0].startswith("m"):  # an MLP has no card
        return
    state.change(head=data[0] if isinstance(data[0], str) else str(Head(int(data[0]), int(data[1]))))


def _away(lanes: tuple[Lane, Lane], app: Discovery, dense: Discovery) -> None:
    """The same as tables and files, and where to go on."""
    edges = score.edge_rows(app.circuit, dense.circuit)
    with st.expander(f"All {len(edges)} edges as a table, and downloads", key="twin_race"):
        effect = st.column_config.NumberColumn(format="%.4f", help="In units of clean − corrupted")
        columns: dict[str, Any] = {"effect in APP": effect, "effect in dense": effect}
        st.dataframe(edges, hide_index=True, height=320, column_config=columns)
        with st.container(horizontal=True):
            look.download("Comparison as JSON", lambda: score.race_json(app, dense), "race.json", "application/json")
            look.download("Costs as CSV", lambda: rows_csv(score.cost_rows(app, dense)), "race-costs.csv", "text/csv")
            look.download("Edges as CSV", lambda: rows_csv(edges), "race-edges.csv", "text/csv")
    with st.container(horizontal=True, gap="medium"):
        for lane in lanes:
            fields = run_fields(lane.contestant.settings) | {"head": state.current().head}
            rooms.link("path_patching", f"{lane.contestant.title}, step by step", **fields)
        rooms.link("compare", "Compare two runs")
