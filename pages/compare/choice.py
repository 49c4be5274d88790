"""Which two runs are compared, and how to get another one."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from engine.errors import HeadlightError
from engine.record.circuit_file import MAX_BYTES
from engine.settings import Method, Settings
from pages.shared import glances, job_panel, look, rooms, runs, search_jobs, search_run, state
from pages.shared.runs import Run
from pages.shared.view import View

READ_FILES = "headlight_compare_files_read"
WAITING_HEIGHT = 90  # pixels


@dataclass(frozen=True, eq=False)
class Pair:
    left: Run
    right: Run

    @property
    def same_data(self) -> bool:
        """Whether both searched the same model and task, so that one can be judged by the other."""
        return (self.left.summary.model, self.left.summary.task) == (self.right.summary.model, self.right.summary.task)


def show(view: View) -> Pair | None:
    """Both choices; None where there are not two runs, which is then told."""
    settings = view.settings()
    _files_given()
    known, kept = runs.known(), runs.kept()
    waiting = _read(view, known, kept)
    _missing(view, known, kept)
    pair = None if waiting else _pair(view, known)
    if pair is not None:
        _selects(known, kept, pair)
    _searching()
    if waiting:
        return None
    if pair is None:
        _nothing_to_compare(known)
        _choose_kept(view, known, kept)
        _more(settings, known)
        return None
    with st.expander("Get another run to compare with", key="more_runs"):
        _more(settings, known)
    return pair


def _pair(view: View, known: dict[str, Run]) -> Pair | None:
    """The runs of the view; where it names none: the one of its settings on the left, then the newest other one."""
    if len(known) < 2:
        return None
    own = runs.id_of(view.settings())
    left = known.get(view.left or "")
    right = known.get(view.right or "")
    if left is None:
        left = next(run for name in (own, *known) if (run := known.get(name)) is not None and run is not right)
    if right is None:
        right = next(run for name in (own, *known) if (run := known.get(name)) is not None and run is not left)
    return Pair(left, right)


def _read(view: View, known: dict[str, Run], kept: dict[str, str]) -> bool:
    """Add the runs of the view that are kept on disk; whether one is still being read, which is then told."""
    waiting = False
    for name in dict.fromkeys((view.left, view.right)):
        if name is None or name not in kept:
            continue
        job = runs.read_kept(name)
        read: Run | None = glances.of_job(job, f"Reading {kept[name]}", WAITING_HEIGHT)
        if read is not None:
            known[name] = read
        waiting = waiting or job.live
    return waiting


def _choose_kept(view: View, known: dict[str, Run], kept: dict[str, str]) -> None:
    """Where too little has been run since the server began, runs of before can be taken."""
    if len(known) + len(kept) < 2:
        return
    look.note("Or compare runs that are kept on this machine:")
    names = {**{name: run.name for name, run in known.items()}, **kept}
    with st.container(key="kept_sides"):
        for side in ("left", "right"):
            value = getattr(view, side)
            state.show(side, value if value in names else None)
            st.selectbox(
                f"{side.capitalize()} run", list(names), index=None, format_func=names.__getitem__,
                placeholder="choose a run", **state.bound(side),
            )  # fmt: skip


def _missing(view: View, known: dict[str, Run], kept: dict[str, str]) -> None:
    """A link may name a run that is not here any more, or never was."""
    for side in ("left", "right"):
        name = getattr(view, side)
        if name is not None and name not in known and name not in kept:
            why = (
                "it was a file: add that file again below" if name.startswith("file-")
                else "this server has not run it, or no longer remembers it; a link with its settings runs it again"
            )  # fmt: skip
            st.warning(f"The {side} run of the link is not here: {why}.", icon=":material/link_off:")


def _selects(known: dict[str, Run], kept: dict[str, str], pair: Pair) -> None:
    titles = {**{name: run.name for name, run in known.items()}, **{n: t for n, t in kept.items() if n not in known}}
    names, beside = st.columns([7, 1], vertical_alignment="center")
    for side, run in (("left", pair.left), ("right", pair.right)):
        state.show(side, run.id)
        names.selectbox(
            f"{side.capitalize()} run", list(titles), format_func=titles.__getitem__, **state.bound(side)
        )
    beside.button(
        "Swap", key="swap_runs", icon=":material/swap_vert:", width="stretch",
        on_click=lambda: state.change(left=pair.right.id, right=pair.left.id),
    )  # fmt: skip
    if pair.left is pair.right:
        look.note("Both sides show the same run: choose another on one side.")


def _searching() -> None:
    """The search in work, whichever page started it."""
    waiting = runs.running()
    if waiting and (job := search_jobs.search_job(waiting[0])) is not None:
        more = f"; {look.count(len(waiting) - 1, 'other search')} after it" if len(waiting) > 1 else ""
        job_panel.watch(job, "search", f"Searching {search_run.describe(waiting[0])}{more}")


def _nothing_to_compare(known: dict[str, Run]) -> None:
    if known:
        [only] = known.values()
        look.empty("One run so far", f"There is {only.name}. A second one makes a comparison.")
    else:
        look.empty("No runs yet", "Two searches make a comparison: of two tasks, say, or with and without pruning.")


def _more(settings: Settings, known: dict[str, Run]) -> None:
    """One click for the searches that suggest themselves, links for all others, and files."""
    with st.container(horizontal=True, vertical_alignment="center"):
        _offer(settings, known, "Find the circuit of the choices at the side", "start_search")
        if settings.method is not Method.DENSE:
            _offer(settings.densely(), known, "Search the same among all heads", "start_dense")
        rooms.link("explorer", "Other task, model or settings: Explorer")
    st.file_uploader(
        "Or add runs from files", type=["headlight", "json"], accept_multiple_files=True, key="run_files",
        max_upload_size=MAX_BYTES // 1_000_000,
        help="Capsules, files saved as “Whole run as JSON”, or written by the command line’s discover. They stay in "
        "this browser session; nothing in them runs.",
    )  # fmt: skip
    for problem in st.session_state.get(READ_FILES, {}).values():
        if problem:
            st.error(look.plain(problem), icon=":material/error:")


def _offer(settings: Settings, known: dict[str, Run], label: str, key: str) -> None:
    """A button for a search not yet run; an attempt that left nothing is told first."""
    job = search_jobs.search_job(settings)
    shot = job.snapshot() if job is not None else None
    if runs.id_of(settings) in known or (shot is not None and shot.state.live):
        return
    search_run.failed_or_cancelled(shot)

    def start() -> None:
        search_jobs.start_search(settings)

    st.button(label, key=key, icon=":material/travel_explore:", on_click=start)


def _files_given() -> None:
    """Read what was put into the uploader since; what could not be read is kept as a sentence."""
    files = st.session_state.get("run_files") or []
    read: dict[str, str] = st.session_state.get(READ_FILES, {})
    now = {}
    for file in files:
        if file.file_id not in read:
            try:
                runs.add_file(file.getvalue(), file.name)
                now[file.file_id] = ""
            except HeadlightError as error:
                now[file.file_id] = f"{file.name[:60]}: {error}"
        else:
            now[file.file_id] = read[file.file_id]
    st.session_state[READ_FILES] = now
