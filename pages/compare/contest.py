"""All searches of one task in one table: size, truth, agreement with dense path patching, and cost."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.cost.duration import duration
from engine.discovery import Discovery
from engine.edges.wiring import receiver_of
from engine.prepare import Prepared
from engine.search.algorithms import serves
from engine.views.contest_table import ContestRow, compare_algorithms
from pages.compare import contest_best, contest_costs, contest_lines, contest_pictures
from pages.compare.entries import Entry, Line, entries_of, lines_of, names_of, standard_of
from pages.shared import background, frame, look, rooms, runs, search_jobs, state
from pages.shared.glossary import term
from pages.shared.view import View, run_fields
from pages.shared.work import result_of

POLL_SECONDS = 1.0
SHARES = (6, 1)  # of the table's width: numbers, and what can be done
LEAD = (
    f"The same prompts, searched in every way: {term('path patching')} inside the pruned heads (APP) and among all of "
    f"them, {term('ACDC')}, {term('EAP')} and {term('EAP-IG')}. Which circuit is small, which is true, and what did "
    "each take?"
)
CIRCUIT_ROOMS = ("circuit", "verification")


def show(view: View) -> None:
    prepared = frame.ready(view.settings())
    if prepared is None:
        return
    look.step(None, "Algorithms on this task", LEAD)
    if not prepared.baseline.capable:
        look.note("The model does not do this task, so what a search finds would explain guesses.")
    _choices(prepared, view)
    entries = entries_of(view)
    _follow(prepared, view, entries)
    lines = [line for line in lines_of(entries) if line.found is not None]
    if lines:
        names, rows = names_of(lines), _rows(lines, view)
        _explain(rows)
        contest_best.show(names, rows)
        contest_pictures.show(prepared, names, rows)


def _choices(prepared: Prepared, view: View) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        state.show("dense_too", view.dense_too)
        st.toggle(
            "Every algorithm among all heads as well", **state.bound("dense_too"),
            help="ACDC among all heads takes by far the longest.",
        )  # fmt: skip
        rooms.link("explorer", "Change mask, thresholds or tolerance: Explorer")
    edges = _edges_of_standard(prepared, view)
    if edges and edges != view.top_edges:
        st.button(
            f"Let EAP and EAP-IG take {look.count(edges, 'edge')}, as many as dense path patching found",
            key="equal_edges", type="tertiary", icon=":material/balance:", on_click=state.change,
            kwargs={"top_edges": edges},
        )  # fmt: skip


def _edges_of_standard(prepared: Prepared, view: View) -> int:
    """Those of dense path patching, an edge of a KV head counted once, as EAP does; 0 before it has been run."""
    found = _standard(view)
    edges = () if found is None else found.circuit.edges
    return len({(edge.sender, receiver_of(edge, prepared.model.group)) for edge in edges})


def _standard(view: View) -> Discovery | None:
    """Dense path patching, where it has been run to its end."""
    found: Discovery | None = result_of(search_jobs.search_job(standard_of(view)))
    return found if found is not None and found.complete else None


def _follow(prepared: Prepared, view: View, entries: tuple[Entry, ...]) -> None:
    """The table; while a search is live it is looked at again and again, and the page runs anew once one has ended."""
    live = _live(lines_of(entries))

    @st.fragment(run_every=POLL_SECONDS if live else None, key="contest")
    def poll() -> None:
        lines = lines_of(entries)
        if _live(lines) != live:
            st.rerun(scope="app")
        _start_all(prepared, lines)
        _table(prepared, view, lines)

    poll()


def _live(lines: Sequence[Line]) -> frozenset[str]:
    return frozenset(line.entry.id for line in lines if line.live)


def _start_all(prepared: Prepared, lines: Sequence[Line]) -> None:
    """One button for all that is missing, or to stop all that is under way."""
    missing = contest_costs.startable(prepared, lines)
    live = [line for line in lines if line.live]
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="contest_all"):
        if len(missing) > 1:
            seconds = contest_costs.seconds_of(prepared, missing)
            st.button(
                f"Run all {len(missing)} that are missing", key="run_all", type="primary",
                icon=":material/playlist_play:",
                on_click=contest_costs.start, args=([line.entry.settings for line in missing],),
            )  # fmt: skip
            look.note(f"≈ {duration(max(1.0, seconds))} together, one after another, the quickest first (estimate).")
        if len(live) > 1:
            st.button(
                f"Cancel all {len(live)}", key="cancel_all", icon=":material/stop_circle:", on_click=_cancel,
                args=(live,),
            )  # fmt: skip


def _cancel(lines: Sequence[Line]) -> None:
    for line in lines:
        if line.job is not None:
            background.cancel(line.job)


def _table(prepared: Prepared, view: View, lines: Sequence[Line]) -> None:
    found = [line for line in lines if line.found is not None]
    rows = dict(zip((line.entry.id for line in found), _rows(found, view), strict=True))
    with st.container(key="contest_table", gap=None):
        numbers, actions = st.columns(SHARES)
        numbers.html(contest_lines.head())
        actions.html("<span></span>")  # an empty column would leave its room to the other
        for line in lines:
            with st.container(key=f"search_{line.entry.id}"):
                numbers, actions = st.columns(SHARES, vertical_alignment="center")
                numbers.html(_words(prepared, line, rows.get(line.entry.id)))
                with actions, st.container(horizontal=True, gap=None):
                    _actions(prepared, view, line)


def _words(prepared: Prepared, line: Line, row: ContestRow | None) -> str:
    if row is not None:
        return contest_lines.numbers(line, row)
    if line.shot is not None:
        return contest_lines.running(line, line.shot) if line.live else contest_lines.ended(line, line.shot)
    if not serves(prepared.model, line.entry.settings.algorithm):
        return contest_lines.unserved(line)
    return contest_lines.not_run(line, contest_costs.ahead(prepared, line.entry.settings))


def _actions(prepared: Prepared, view: View, line: Line) -> None:
    """What can be done with it: look at what it found, stop it, or run it."""
    name, settings = line.entry.id, line.entry.settings
    if line.found is not None:
        for room in CIRCUIT_ROOMS:
            rooms.link(room, **run_fields(settings))
        if settings != standard_of(view) and _standard(view) is not None:
            sides = {"left": runs.id_of(standard_of(view)), "right": name}
            rooms.link("compare", "Beside dense", comparing="runs", **sides)
    if line.live and line.job is not None and line.shot is not None:
        st.button(
            "Stopping …" if line.shot.cancelling else "Cancel", key=f"cancel_{name}", icon=":material/stop_circle:",
            disabled=line.shot.cancelling, on_click=background.cancel, args=(line.job,),
        )  # fmt: skip
    elif not line.done and serves(prepared.model, settings.algorithm):
        label = "Start" if line.shot is None else "Start again"
        st.button(
            label, key=f"start_{name}", icon=":material/play_arrow:", on_click=contest_costs.start, args=([settings],)
        )


def _rows(lines: Sequence[Line], view: View) -> tuple[ContestRow, ...]:
    """The engine's rows; held against dense path patching where that has been run to its end."""
    return compare_algorithms([line.found for line in lines if line.found is not None], _standard(view))


def _explain(rows: Sequence[ContestRow]) -> None:
    """What the numbers are of."""
    seen = next((row for row in rows if row.n), None)
    where = "" if seen is None else f" on {seen.n} pairs of seed {seen.seed}, by {seen.ablation} ablation of all others"
    against = "" if any(row.heads is not None for row in rows) else " Shares wait for dense path patching to be run."
    look.lead(
        f"{term('performance', 'Performance')} and {term('faithfulness')} are of each circuit’s heads alone{where}; "
        f"the interval is over those pairs. {term('precision', 'Precision')}, {term('recall')} and {term('Jaccard')} "
        f"are against dense path patching.{against} Work and time are of the whole run, calibration, pruning and "
        "verification included, the self-check done once a model left out."
    )
