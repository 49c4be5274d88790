"""The list of background work on every page: what runs, what waits and in which place, what has ended.

It asks the job manager and not the session, so a reload, another page or another tab shows the same list. The jobs
of other visitors are only counted. It
polls only while something is live, without running the page again. Where the sidebar is closed to begin with, on a
phone, a pill says how much is going on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

from engine.cost.duration import duration
from engine.jobs.job import Job
from engine.jobs.snapshot import JobState, Snapshot
from pages.shared import job_names, look, privacy, rooms
from pages.shared.background import background, cancel

POLL_SECONDS = 1.0
MOST_ENDED = 4
HERE = Path(__file__)

_pill = component(
    "headlight_jobs_pill",
    html='<button type="button"></button>',
    css=HERE.with_name("jobs_pill.css").read_text("utf-8"),
    js=HERE.with_name("jobs_pill.js").read_text("utf-8"),
)


def show() -> None:
    """Draw the list at the end of the sidebar, and the pill; nothing where there is nothing to tell."""
    live = bool(_live(_shots()))

    @st.fragment(run_every=POLL_SECONDS if live else None, key="jobs")
    def draw() -> None:
        shots = _shots()  # taken once: a job that ends meanwhile is listed once
        if live and not _live(shots):
            st.rerun(scope="app")  # the end of polling
        _list(_live(shots), _ended(shots))

    @st.fragment(run_every=POLL_SECONDS if live else None, key="jobs_pill")
    def pill() -> None:
        if shots := _live(_shots()):
            _pill(key="jobs_pill_link", data={"text": f"{_counts(shots)}: show"}, height="content")

    with st.sidebar:
        draw()
    pill()


def _shots() -> list[tuple[Job, Snapshot]]:
    return [(job, job.snapshot()) for job in background().jobs.all()]


def _live(shots: Sequence[tuple[Job, Snapshot]]) -> list[tuple[Job, Snapshot]]:
    """Running first, then by place; those of other visitors too, who are before or behind."""
    return sorted(((job, shot) for job, shot in shots if shot.state.live), key=lambda pair: pair[1].place)


def _ended(shots: Sequence[tuple[Job, Snapshot]]) -> list[tuple[Job, Snapshot]]:
    """The last that ended and are worth a word, latest first."""
    dismissed = background().dismissed
    told = [
        (job, shot)
        for job, shot in shots
        if not shot.state.live and shot.started is not None and job not in dismissed
        and privacy.may_list(job) and job_names.is_told(shot)
    ]  # fmt: skip
    return sorted(told, key=lambda pair: -(pair[1].ended or 0.0))[:MOST_ENDED]


def _list(live: Sequence[tuple[Job, Snapshot]], ended: Sequence[tuple[Job, Snapshot]]) -> None:
    if not live and not ended:
        return
    with st.container(key="jobs_list", gap="small"):
        st.html(f'<h3 class="hl-jobs">Jobs <small>{_counts(live)}</small></h3>')
        own = [(job, shot) for job, shot in live if privacy.may_list(job)]
        if len(own) < len(live):
            look.note(f"{len(live) - len(own)} of them of other visitors.")
        for job, shot in own:
            _row(job, shot, _progress(shot, [other for _, other in live]), _cancel)
        for job, shot in ended:
            _row(job, shot, _outcome(shot), _dismiss)


def _counts(live: Sequence[tuple[Job, Snapshot]]) -> str:
    running = sum(shot.state is JobState.RUNNING for _, shot in live)
    waiting = len(live) - running
    parts = [f"{running} running"] * bool(running) + [f"{waiting} waiting"] * bool(waiting)
    return " · ".join(parts) or "none running"


def _row(job: Job, shot: Snapshot, below: str, act: Any) -> None:
    name = job_names.of(shot.key)
    stamp = _stamp(job.key)
    with st.container(key=f"job_{stamp}", gap=None):
        st.html(
            f'<div class="hl-job {shot.state.value}"><b>{escape(name.what)}</b> '
            f"<span>{escape(' · '.join(name.about))}</span>{below}</div>"
        )
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            if name.room is not None:
                rooms.link(name.room, "Open", **name.view)
            act(job, shot, stamp)


def _cancel(job: Job, shot: Snapshot, stamp: str) -> None:
    st.button(
        "Stopping …" if shot.cancelling else "Cancel", key=f"job_cancel_{stamp}", type="tertiary",
        icon=":material/stop_circle:", disabled=shot.cancelling, on_click=cancel, args=(job,),
    )  # fmt: skip


def _dismiss(job: Job, shot: Snapshot, stamp: str) -> None:
    st.button(
        "Dismiss", key=f"job_dismiss_{stamp}", type="tertiary", icon=":material/close:",
        help="Takes it off this list. What it found stays.",
        on_click=background().dismissed.add, args=(job,),
    )  # fmt: skip


def _progress(shot: Snapshot, live: Sequence[Snapshot]) -> str:
    if shot.state is JobState.QUEUED:
        return f"<em>{_place(shot.place)}</em>"
    share = shot.share
    left = _left(shot, live)
    words = [shot.stage.name if shot.stage else "starting"]
    words += [f"about {duration(left)} left (estimate)"] if left is not None and left >= 1 else []
    bar = f'<div class="bar"><div style="width:{100 * (share or 0.0):.1f}%"></div></div>'
    return f"{bar}<em>{escape(' · '.join(words))}</em>"


def _place(place: int) -> str:
    return f"waiting, place {place + 1}: {look.count(place, 'other job')} first" if place else "about to start"


def _left(shot: Snapshot, live: Sequence[Snapshot]) -> float | None:
    """Seconds until its end: of those that take turns each waits for the other as long as both work."""
    own = shot.seconds_left
    if own is None:
        return None
    others = [other for other in live if other is not shot and other.state is JobState.RUNNING]
    return own + sum(min(own, other.seconds_left or own) for other in others)


def _outcome(shot: Snapshot) -> str:
    if shot.state is JobState.DONE:
        return f"<em>done in {duration(shot.seconds)}</em>"
    if shot.state is JobState.FAILED:
        reason = escape(shot.error or "for an unknown reason")
        return f'<em class="bad" title="{reason}">failed: {reason}</em>'
    return f"<em>cancelled after {duration(shot.seconds)}{', its part is kept' if shot.result is not None else ''}</em>"


def _stamp(key: Hashable) -> str:
    """A name for widgets: the same for the same request."""
    return hashlib.sha256(repr(key).encode()).hexdigest()[:10]
