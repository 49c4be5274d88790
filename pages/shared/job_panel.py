"""A job while it runs: its stages, the time left, and Cancel. Polls only while the job is live."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import streamlit as st

from engine.cost.duration import duration
from engine.jobs.job import Job
from engine.jobs.snapshot import JobState, Snapshot, StageProgress
from pages.shared import background, look

POLL_SECONDS = 1.0

Extra = Callable[[Snapshot], None]


def watch(job: Job, name: str, waiting: str, extra: Extra | None = None) -> None:
    """Follow a live job; the whole page runs again once it is over.

    ``name`` makes the widget keys, ``waiting`` says what the person waits for. ``extra`` draws more of each snapshot.
    """

    @st.fragment(run_every=POLL_SECONDS, key=f"watch_{name}")
    def poll() -> None:
        shot = job.snapshot()
        if not shot.state.live:
            st.rerun(scope="app")
        _progress(job, shot, name, waiting)
        if extra is not None:
            extra(shot)

    poll()


def problem(shot: Snapshot, name: str, again: Callable[[], object]) -> None:
    """A job that failed or was cancelled, with the way on."""

    def retry() -> None:
        again()

    if shot.state is JobState.FAILED:
        st.error(look.plain(shot.error or "It did not work, for an unknown reason."), icon=":material/error:")
        st.button("Try again", key=f"again_{name}", icon=":material/refresh:", on_click=retry)
    else:
        left, right = st.columns([3, 1], vertical_alignment="center")
        left.info("Cancelled.", icon=":material/cancel:")
        right.button("Start again", key=f"again_{name}", icon=":material/refresh:", on_click=retry, width="stretch")


def _progress(job: Job, shot: Snapshot, name: str, waiting: str) -> None:
    with st.container(border=True, key=f"panel_{name}"):
        left, right = st.columns([4, 1], vertical_alignment="center")
        left.markdown(f"**{waiting}**  \n:small[{_summary(shot)}]")
        right.button(
            "Stopping …" if shot.cancelling else "Cancel", key=f"cancel_{name}", icon=":material/stop_circle:",
            disabled=shot.cancelling, on_click=background.cancel, args=(job,), width="stretch",
        )  # fmt: skip
        if shot.stages:
            stages(shot)


def _summary(shot: Snapshot) -> str:
    if shot.state is JobState.QUEUED:
        return f"Waiting: {look.count(shot.place, 'other job')} first." if shot.place else "Starting …"
    left = shot.stage.seconds_left if shot.stage else None
    estimate = f" · about {duration(left)} left in this stage (estimate)" if left is not None and left >= 1 else ""
    return f"{duration(shot.seconds)} so far{estimate}"


def stages(shot: Snapshot) -> None:
    """What is behind it, and what it is at."""
    *past, now = shot.stages
    items = [_past(stage) for stage in past] + [_now(now) if shot.state.live else _past(now)]
    st.html(f'<ul class="hl-stages">{"".join(items)}</ul>')


def _past(stage: StageProgress) -> str:
    return (
        f'<li><span class="tick">✓</span><span>{escape(_sentence(stage.name))}</span>'
        f"<span>{duration(stage.seconds)}</span></li>"
    )


def _now(stage: StageProgress) -> str:
    counted = f"{stage.done:,.0f} of {stage.total:,.0f}" if stage.total > 1 else f"{100 * stage.fraction:.0f} %"
    return (
        f'<li class="now"><span class="dot"></span><span>{escape(_sentence(stage.name))}</span><span>{counted}</span>'
        f'<div class="bar"><div style="width:{100 * stage.fraction:.1f}%"></div></div></li>'
    )


def _sentence(name: str) -> str:
    return name[:1].upper() + name[1:]
