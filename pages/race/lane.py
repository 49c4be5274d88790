"""One contestant while it runs: its clock, what it has booked, its stages, and its graph as far as it has come."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from typing import Any

import streamlit as st

from engine.circuit import Circuit
from engine.cost.duration import duration
from engine.figures.graph import graph_figure
from engine.jobs.snapshot import JobState
from engine.prepare import Prepared
from pages.race.contestants import Contestant, Lane
from pages.shared import background, job_panel, look, search_run
from pages.shared.chart import chart, is_dark

# In pixels. The height is the same whatever it holds: a chart of another height would be mounted anew.
GRAPH_HEIGHT, GRAPH_WIDTH, GRAPH_MARGINS = 640, 400, 110
SMALLEST_HEAD, SMALLEST_NAMED = 9, 22


def heading(contestant: Contestant, about: bool = True) -> None:
    words = f"<span>{escape(contestant.about)}</span>" if about else ""
    st.html(f'<div class="hl-lane"><i class="{contestant.name}"></i><b>{escape(contestant.title)}</b>{words}</div>')


def show(prepared: Prepared, lane: Lane, among: Circuit | None) -> None:
    """``among``: heads and edges of both contestants, so that a head has one place in both graphs."""
    name = lane.contestant.name
    with st.container(border=True, key=f"lane_{name}"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            heading(lane.contestant, about=False)
            _cancel(lane)
        look.note(f"{lane.contestant.about[:1].upper()}{lane.contestant.about[1:]}.")
        look.note(state_words(prepared, lane))
        if lane.shot is not None and lane.shot.stages:
            job_panel.stages(lane.shot)
    graph(lane, among, f"race_{name}")


def _cancel(lane: Lane) -> None:
    if lane.job is None or lane.shot is None or not lane.live:
        return
    st.button(
        "Stopping …" if lane.shot.cancelling else "Cancel", key=f"cancel_{lane.contestant.name}",
        icon=":material/stop_circle:", disabled=lane.shot.cancelling, on_click=background.cancel, args=(lane.job,),
    )  # fmt: skip


def state_words(prepared: Prepared, lane: Lane) -> str:
    """Where it stands, in a sentence."""
    shot = lane.shot
    if shot is None:
        return "Not asked to run."
    if shot.state is JobState.QUEUED:
        return f"Waiting: {look.count(shot.place, 'other job')} first." if shot.place else "About to start …"
    if shot.state is JobState.FAILED:
        return f"Failed: {shot.error}"
    passes = f"{shot.flops / pass_flops(prepared):,.0f} forward passes booked"
    ends = {JobState.DONE: "Done: ", JobState.CANCELLED: "Cancelled, its part is kept: "}
    return f"{ends.get(shot.state, '')}{duration(shot.seconds)} of its own, {passes}, {_size(lane)}."


def pass_flops(prepared: Prepared) -> float:
    """One forward pass of all pairs, by the ledger of the calibration."""
    return prepared.cost[0].flops / prepared.cost[0].forward_passes


def circuit_of(lane: Lane) -> Circuit | None:
    """What it has found so far, or found."""
    if lane.found is not None:
        return lane.found.circuit
    return lane.shot.circuit if lane.shot is not None else None


def _size(lane: Lane) -> str:
    circuit = circuit_of(lane)
    return search_run.size_words(circuit) if circuit is not None else "no head yet"


def graph(lane: Lane, among: Circuit | None, key: str, **more: Any) -> None:
    """Its circuit with every head where the other's graph has it; ``more`` goes to the chart."""
    circuit = circuit_of(lane)
    if circuit is None or among is None or not among.heads:
        look.empty("The graph grows here", "Heads and edges appear as soon as they are found.")
        return
    chart(
        figure_of(circuit, among, is_dark()), key,
        f"Graph of what {lane.contestant.title} has found",  # the same throughout: another would mount the chart anew
        identity=background.data_of(lane.contestant.settings), **more,
    )  # fmt: skip


@lru_cache(maxsize=8)
def figure_of(circuit: Circuit, among: Circuit, dark: bool) -> Any:
    """Placing the heads takes longer than a poll may."""
    figure = graph_figure(circuit, dark=dark, within=among)
    figure.update_layout(height=GRAPH_HEIGHT)
    _fit(figure)
    return figure


def _fit(figure: Any) -> None:
    """Make the heads as small as a lane needs them; below a size that can be read their names wait for the hover."""
    rows, columns = (end - start for start, end in (figure.layout.yaxis.range, figure.layout.xaxis.range))
    room = 0.95 * min((GRAPH_HEIGHT - GRAPH_MARGINS) / rows, GRAPH_WIDTH / columns)
    heads = next(trace for trace in figure.data if trace.name == "heads")
    heads.marker.size = min(heads.marker.size, max(SMALLEST_HEAD, room))
    if heads.marker.size < SMALLEST_NAMED:
        heads.mode = "markers"
        figure.layout.annotations[0].yshift = SMALLEST_NAMED / 2  # "logits" is higher than a row is by now
