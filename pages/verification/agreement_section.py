"""Agreement: the circuit against a dense run and answer keys."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import streamlit as st

from engine.circuit import Circuit
from engine.discovery import Discovery
from engine.figures.export import rows_csv
from engine.figures.frequency import edge_name
from engine.figures.tables import Row, rounded
from engine.prepare import Prepared
from engine.record.json_values import dumps
from engine.record.trust_record import agreement_json
from engine.settings import Settings
from engine.trust.overlap import Overlap
from pages.shared import look, rooms, search_jobs, state
from pages.shared.glossary import term
from pages.shared.view import View, run_fields
from pages.verification import own_key, score_curves
from pages.verification.references import CIRCUIT, Reference, References, references, standard_of

LEAD = (
    f"Held against {term('dense path patching')} of the same prompts, and against {term('answer key', 'answer keys')}: "
    "somebody else’s lists of heads. Neither is the truth; where all agree, trust grows."
)
MOST_LISTED = 40


def show(prepared: Prepared, settings: Settings, circuit: Circuit, found: Discovery | None) -> None:
    view = state.current()
    look.step(None, "Does it agree with others?", LEAD)
    known = references(prepared, settings, circuit, found, view)
    for problem in known.problems:
        look.verdict("An answer key cannot be used.", problem, "wait")
    others = [each for each in known.known.values() if each.agreement is not None]
    if others:
        st.html(_table(others))
    _dense_hint(settings, found, known)
    if not others:
        look.empty("Nothing to hold it against yet", "Run the dense search, or add an answer key below.")
    chosen = _choose(known, view)
    if chosen.agreement is not None:
        _members(chosen)
    _twin(others)
    own_key.show(prepared, settings)
    score_curves.show(prepared, settings, chosen)


def _table(others: list[Reference]) -> str:
    """One row a reference."""
    head = (
        '<tr><th scope="col" rowspan="2">Held against</th><th scope="col" colspan="4">heads</th>'
        '<th scope="col" colspan="4">edges</th></tr>'
        "<tr>" + 2 * "<th>in common</th><th>precision</th><th>recall</th><th>Jaccard</th>" + "</tr>"
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(each.title)}</th>{_cells(each.agreement and each.agreement.heads)}'
        f"{_cells(each.agreement and each.agreement.edges)}</tr>"
        for each in others
    )
    table = f'<table class="hl-table hl-agree"><thead>{head}</thead><tbody>{rows}</tbody></table>'
    return f'<div class="hl-wide">{table}</div>'


def _cells(same: Overlap | None) -> str:
    if same is None:
        return '<td colspan="4">names heads alone</td>'
    found, known = len(same.common) + len(same.only_first), len(same.common) + len(same.only_second)
    shares = (f"<td>{_percent(value)}</td>" for value in (same.precision, same.recall, same.jaccard))
    return f"<td>{len(same.common)} <small>of {found} · {known}</small></td>{''.join(shares)}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share == share else "–"


def _dense_hint(settings: Settings, found: Discovery | None, known: References) -> None:
    """Where the dense run comes from, if there is none."""
    standard = standard_of(settings, found)
    if standard is None:
        look.note("This circuit is the dense run itself, so there is no other to hold it against.")
        return
    if "dense" in known.known:
        return
    job = search_jobs.search_job(standard)
    if job is not None and job.live:
        look.note("The dense run is under way; it is compared here once it is done.")
        return
    look.note("There is no dense run of these prompts yet. It searches among all heads, which takes longest.")
    with st.container(horizontal=True, gap="medium", key="dense_links"):
        rooms.link("explorer", "Start it on the Explorer", **run_fields(standard))
        if found is not None:
            rooms.link("race", "Race both against each other")


def _choose(known: References, view: View) -> Reference:
    """The reference looked at, of which scores are asked too."""
    chosen = known.chosen(view)
    state.show("reference", chosen.name)
    st.selectbox(
        "Look at", list(known.known), format_func=lambda name: _title(known.known[name]), width=420,
        help="Whose heads are listed here, and held against all head scores below.", **state.bound("reference"),
    )  # fmt: skip
    if view.reference not in ("auto", chosen.name):
        look.note(f"The reference of the link is not there, so this is {chosen.title}.")
    return chosen


def _title(each: Reference) -> str:
    titled = each.title if each.name in ("dense", CIRCUIT) else f"answer key: {each.title}"
    return f"{titled[:1].upper()}{titled[1:]} ({look.count(len(each.heads), 'head')})"


def _members(chosen: Reference) -> None:
    """Who is in both, and who in one alone."""
    assert chosen.agreement is not None
    same, edges = chosen.agreement.heads, chosen.agreement.edges
    there = f"only in {chosen.title}"
    for words, members in (
        ("in both", same.common), ("only in this circuit", same.only_first), (there, same.only_second)
    ):  # fmt: skip
        if members:
            look.note(f"{look.count(len(members), 'head')} {words}:")
            more = f"<span>and {len(members) - MOST_LISTED} more</span>" if len(members) > MOST_LISTED else ""
            chips = "".join(f"<span>{head}</span>" for head in members[:MOST_LISTED])
            st.html(f'<div class="hl-heads">{chips}{more}</div>')
    if edges is not None:
        look.note(
            f"Of edges, {len(edges.common)} lead the same way in both, {len(edges.only_first)} only in this circuit, "
            f"{len(edges.only_second)} only in {chosen.title}."
        )
    if chosen.agreement.source:
        look.note(f"Source: {chosen.agreement.source}.")


def _twin(others: list[Reference]) -> None:
    if not others:
        return
    with st.expander("Every head and edge as a table, and downloads", key="twin_agreement"):
        rows = [row for each in others for row in _rows(each)]
        st.dataframe(rows, hide_index=True, height=min(320, 38 + 35 * max(1, len(rows))))
        with st.container(horizontal=True):
            look.download("Agreement as CSV", lambda: rows_csv(rows), "agreement.csv", "text/csv")
            look.download(
                "Agreement as JSON",
                lambda: dumps({"agreement": [agreement_json(each.agreement) for each in others if each.agreement]}),
                "agreement.json", "application/json",
            )  # fmt: skip


def _rows(each: Reference) -> list[Row]:
    """One row a head or edge of either side."""
    assert each.agreement is not None
    heads, edges = each.agreement.heads, each.agreement.edges
    rows = _rows_of(each.title, "head", heads, str)
    return rows if edges is None else rows + _rows_of(each.title, "edge", edges, edge_name)


def _rows_of(title: str, kind: str, same: Overlap, name: Callable[[Any], str]) -> list[Row]:
    shares: Row = {key: rounded(getattr(same, key)) for key in ("precision", "recall", "jaccard")}
    places = (("both", same.common), ("this circuit", same.only_first), ("the reference", same.only_second))
    return [
        {"reference": title, "kind": kind, "member": name(one), "in": place} | shares
        for place, members in places
        for one in members
    ]
