"""Roles by behaviour: measured in the background, with the thresholds said."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from engine.behaviour.roles import Behaviour, Finding, Role, findings
from engine.circuit import Circuit
from engine.figures.circuit_tables import rule_rows
from engine.figures.export import rows_csv
from engine.figures.node_look import ROLE_MARKS
from engine.figures.tables import Row
from engine.heads import Head
from engine.jobs.job import Job
from engine.jobs.snapshot import JobState, Snapshot
from engine.settings import Settings
from pages.circuit.shown import Shown
from pages.shared import background, job_panel, look
from pages.shared.glances import PATIENCE
from pages.shared.glossary import term

LEAD = (
    f"What each head was measured to do on the clean prompts, whatever it is called elsewhere. A {term('role')} is a "
    "threshold on a number, so look at the number too."
)
FOUND = "headlight_circuit_roles"
GLYPHS = dict(zip(Role, "■◆⬢⬟▲▼", strict=True))  # the shapes of ROLE_MARKS


def measuring(settings: Settings, shown: Shown) -> Job | None:
    """The job that measures this page's model, started if nobody has; None for heads it does not have."""
    if not shown.fits or not shown.circuit.heads:
        return None
    job = background.roles_job(settings) or background.start_roles(settings)
    job.wait(PATIENCE)  # nearly always enough
    return job


def found_by(shot: Snapshot | None, shown: Shown) -> dict[Head, tuple[Finding, ...]]:
    """Findings by head, as far as they are known."""
    behaviour: Behaviour | None = shot.result if shot is not None else None
    if behaviour is None:
        return {}
    kept = st.session_state.get(FOUND)
    if kept is None or kept[0] is not behaviour or kept[1] is not shown.circuit:
        kept = st.session_state[FOUND] = (behaviour, shown.circuit, findings(behaviour, shown.circuit))
    return kept[2]


def of_file(shown: Shown) -> dict[Head, tuple[Role, ...]]:
    """The roles a file gives its heads, where they are ours."""
    if shown.file is None:
        return {}
    known = {role.value: role for role in Role}
    held = {
        head: tuple(known[part] for part in text.split(", ") if part in known)
        for head, text in shown.file.roles.items()
    }
    return {head: roles for head, roles in held.items() if roles}


def show(
    settings: Settings, shown: Shown, job: Job | None, shot: Snapshot | None, found: dict[Head, tuple[Finding, ...]]
) -> None:
    """``shot`` of ``job``, and what was ``found_by`` it: all of one moment."""
    look.step(None, "Roles by behaviour", LEAD)
    if job is None or shot is None:
        look.empty("Not measured", "The circuit is of another model. Roles drawn above are those the file gives.")
    elif shot.state.live:
        job_panel.watch(job, "roles", "Measuring where every head looks")
    elif shot.state is JobState.DONE:
        _table(shot.result, shown.circuit, found)
    else:
        job_panel.problem(shot, "roles", lambda: background.start_roles(settings))


def _table(behaviour: Behaviour, circuit: Circuit, found: dict[Head, tuple[Finding, ...]]) -> None:
    named = sum(any(each.holds for each in findings) for findings in found.values())
    look.note(
        f"{named} of {look.count(len(circuit.heads), 'head')} have a role; n = "
        f"{look.count(behaviour.n, 'clean prompt')}. “Unknown” where these prompts cannot show it, such as when no "
        "token is repeated. Each head’s own numbers stand in the table of heads below."
    )
    rows = rule_rows(found)
    st.html(_rules(rows))
    look.download("Roles as CSV", lambda: rows_csv(rows), "roles.csv", "text/csv")


def _rules(rows: Sequence[Row]) -> str:
    """The same rows for reading: text may wrap, and each role has its mark."""
    head = "".join(f'<th scope="col">{title}</th>' for title in ("role", "asks for", "n", "heads"))
    body = "".join(_rule(role, row) for role, row in zip(Role, rows, strict=True))
    return f'<table class="hl-table hl-roles"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _rule(role: Role, row: Row) -> str:
    asks = f"attention of {row['at least']:.2f} or more to {row['mean attention to']}"
    asks += f", and {row['and']}" if row["and"] else ""
    n = look.count(int(row["n positions"] or 0), "position")
    return (
        f'<tr><th scope="row"><i style="color:{ROLE_MARKS[role].colour}" aria-hidden="true">{GLYPHS[role]}</i> '
        f"{escape(role.value)}</th><td>{escape(asks)}</td><td>{n}</td>"
        f"<td>{escape(str(row['heads']))}</td></tr>"
    )


def tell(found: dict[Head, tuple[Finding, ...]], head: Head) -> None:
    """On the head's card: its roles with their numbers."""
    held = [each for each in found.get(head, ()) if each.holds]
    if held:
        words = "; ".join(
            f"{each.role} (attention {look.number(each.attention or 0, 2)}, n = {each.n})" for each in held
        )
        look.note(f"Behaves like: {words}.")
