"""Circuit: the whole graph, what its heads do, against an answer key, as files."""

from __future__ import annotations

import streamlit as st

from engine.behaviour.roles import roles_of
from engine.figures.circuit_map import circuit_map
from engine.heads import Head
from engine.prepare import Prepared
from engine.settings import Settings
from pages.circuit import files, filters, key_view, map_view, roles_view, selection, tables_view
from pages.circuit.shown import Shown, choose
from pages.shared import (
    background,
    circuit_facts,
    found_again,
    frame,
    head_card,
    look,
    rooms,
    search_jobs,
    search_run,
    state,
)
from pages.shared.glossary import term
from pages.shared.view import View
from pages.shared.work import result_of

LEAD = (
    "Every head and edge that was found. Layers go upward, the logits are on top. An edge says that the sender’s "
    "output matters to the receiver’s query, key or value; its width is the size of the "
    f"{term('effect')}. Unless they are nodes, MLPs are part of every path and not drawn."
)


def show() -> None:
    view = state.current()
    settings = view.settings()
    frame.opening("Circuit", LEAD)
    prepared = frame.ready(settings)
    if prepared is None:
        return
    # Each section has a container of its own: what appears in one never moves, or doubles, what stands in the next.
    top, body, bringing, card = (st.container() for _ in range(4))
    with top:
        shown = choose(prepared, settings)
    found: dict = {}
    if shown is not None:
        with body:
            found = _body(prepared, settings, view, shown)
    with bringing:
        files.bring(prepared, settings)
    if shown is not None and shown.fits and shown.circuit.heads:
        with card:
            _card(prepared, settings, view, shown, found)


def _body(prepared: Prepared, settings: Settings, view: View, shown: Shown) -> dict:
    """Everything about a circuit that is there; the findings about its heads."""
    if shown.found is not None:
        _ended(prepared, settings, shown, view)
    if not shown.circuit.heads:
        look.empty("An empty circuit", "There is no head in it, so there is nothing to draw.")
        return {}
    graph, roles, key, tables, away = (st.container() for _ in range(5))
    job = roles_view.measuring(settings, shown)
    shot = job.snapshot() if job is not None else None
    found = roles_view.found_by(shot, shown)
    held = roles_of(found) if shown.fits else roles_view.of_file(shown)
    answer = key_view.chosen(shown, view)
    names = shown.names(view)
    with graph:
        look.step(None, "The graph", "")
        filters.show(shown.circuit, view)
        filters.drawing(shown.circuit, view, key_view.keys_for(shown), map_view.frequency(shown, view))
        _stability(shown, view)
        left, right = st.columns([3.2, 1], gap="medium")
        with left:
            figure = map_view.show(shown, view, held, answer)
        with right:
            selection.show(shown, view, held)
    with roles:
        roles_view.show(settings, shown, job, shot, found)
    with key:
        key_view.show(shown, view)
    with tables:
        run = shown.found.settings if shown.found is not None else None
        tables_view.show(shown.circuit, names, held, found, answer, run)
    with away:

        def redraw(dark: bool) -> object:
            part = map_view.part_of(shown, view)
            looks = map_view.look_of(shown, view, part, held, answer, dark)
            return circuit_map(map_view.overview_of(part, view, looks), part, looks)

        files.take_away(prepared, shown, figure, redraw, names, found, held, answer)
    return found


def _ended(prepared: Prepared, settings: Settings, shown: Shown, view: View) -> None:
    """How the search ended, and how true the circuit is."""
    assert shown.found is not None
    job = search_jobs.search_job(shown.found.settings)
    if job is not None and job.snapshot().result is not None:
        search_run.tell(job.snapshot())
    if shown.circuit.heads:
        circuit_facts.show(prepared, shown.found, with_keys=False)


def _stability(shown: Shown, view: View) -> None:
    """Where opacity comes from, and what became of a link's filter without it."""
    if shown.found is None:
        return
    found = found_again.result(shown.found.settings, view)
    if found is not None and found.overall.judged:
        part = "" if found.complete else ", cancelled before the others"
        look.note(f"Opacity: the share of {found.overall.n} runs on other prompts that found a head or edge{part}.")
    elif view.present > 0:
        look.note("Nobody has asked yet how often this circuit is found again, so nothing is left out for being rare.")
        rooms.link("verification", "Ask on Verification")


def _card(prepared: Prepared, settings: Settings, view: View, shown: Shown, found: dict) -> None:
    answer = key_view.chosen(shown, view)

    def about(head: Head) -> None:
        roles_view.tell(found, head)
        key_view.tell(answer, head)

    pruning = result_of(background.curve_job(settings))
    head_card.show(prepared, view, pruning, shown.found, about=about)


show()
