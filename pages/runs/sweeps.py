"""Sweeps over models, tasks and methods: which there are, how far, and every number of one of them.

They are run on the command line, on this machine or several, and watched here while they are: nothing of a sweep is in
this server's memory.
"""

from __future__ import annotations

import streamlit as st

from engine.cost.duration import duration
from engine.errors import HeadlightError
from engine.sweep.state import SweepState, UnitState, list_sweeps, sweeps_folder
from pages.runs import sweep_units
from pages.runs.rows import when
from pages.runs.sweep_grid import grid_html
from pages.shared import look, rooms, state
from pages.shared.background import background
from pages.shared.view import SWEEP_NUMBERS, View

POLL_SECONDS = 2.0
MOST_SHOWN = 30
NUMBER_TITLES = {
    "faithfulness": "Faithfulness", "performance": "Performance %", "heads": "Heads", "edges": "Edges",
    "seconds": "Seconds",
}  # fmt: skip
EXAMPLE = """\
models: [smollm2-135m, gpt2]
tasks: [ioi, greater-than]
methods:
  app: {sparsity: auto}
  dense: {method: dense}
seeds: [0, 1]
"""


def show(view: View) -> None:
    try:
        sweeps = _sweeps()
    except HeadlightError as error:
        st.error(look.plain(str(error)), icon=":material/error:")
        return
    if view.sweep is not None:
        _one(view.sweep, view)
    elif not sweeps:
        _nothing()
    else:
        _all()


def _sweeps() -> list[SweepState]:
    """Read at most every second or two, whoever looks."""
    return background().kept.briefly("sweeps", list_sweeps)


def _nothing() -> None:
    look.empty(
        "No sweep yet",
        "A sweep searches every task on every model by every method, and goes on where it was if it is stopped. It is "
        "begun on the command line and watched here while it runs.",
    )
    look.note("Write sweep.yaml, then run: python -m engine sweep sweep.yaml")
    st.code(EXAMPLE, language="yaml")


def _all() -> None:
    @st.fragment(run_every=POLL_SECONDS if any(sweep.running for sweep in _sweeps()) else None, key="sweeps")
    def poll() -> None:
        sweeps = _sweeps()
        look.note(f"{look.count(len(sweeps), 'sweep')} in {sweeps_folder()}.")
        for sweep in sweeps[:MOST_SHOWN]:
            with st.container(border=True, key=f"sweep_{sweep.id}"):
                _progress(sweep)
                rooms.link("runs", "Open", sweep=sweep.id)
        if len(sweeps) > MOST_SHOWN:
            look.note(f"Shown: the {MOST_SHOWN} changed last, of {len(sweeps)}.")

    poll()


def _one(name: str, view: View) -> None:
    rooms.link("runs", "All sweeps", sweep=None)
    sweep = next((each for each in _sweeps() if each.id == name), None)
    if sweep is None:
        look.empty("This sweep is not here", "The link is of another machine, or its folder was removed or damaged.")
        return
    state.show("sweep_shows", view.sweep_shows)
    st.segmented_control(
        "Number shown", SWEEP_NUMBERS, format_func=NUMBER_TITLES.__getitem__, required=True, wrap=True,
        **state.bound("sweep_shows"),
    )  # fmt: skip

    @st.fragment(run_every=POLL_SECONDS if sweep.running else None, key="sweep")
    def poll() -> None:
        now = next((each for each in _sweeps() if each.id == name), None)
        if now is None or now.running != sweep.running:
            st.rerun(scope="app")
        with st.container(border=True, key="sweep_progress"):
            _progress(now)
        st.html(grid_html(now, view.sweep_shows))
        look.note(f"{NUMBER_TITLES[view.sweep_shows]}: mean over {_over(now)}. A dash: none is done yet.")
        sweep_units.show(now)

    poll()


def title_of(sweep: SweepState) -> str:
    return sweep.spec.name or f"Sweep {sweep.id}"


def _over(sweep: SweepState) -> str:
    spec = sweep.spec
    return f"{look.count(len(spec.seeds), 'seed')}, {spec.pairs} pairs each; resamples are in the table below"


def _progress(sweep: SweepState) -> None:
    """How far, how long still, and whether anybody works on it."""
    done, failed, total = sweep.count(UnitState.DONE), sweep.count(UnitState.FAILED), len(sweep.units)
    spec = sweep.spec
    words = [f"{done} of {look.count(total, 'run')} done"]
    words += [f"{failed} failed"] if failed else []
    if sweep.running:
        left = sweep.seconds_left
        words.append(f"running, about {duration(left)} left (estimate)" if left is not None else "running")
    elif not sweep.complete:
        words.append("not running: the same command goes on where it was")
    st.markdown(f"**{look.plain(title_of(sweep))}**  \n:small[{look.plain(' · '.join(words))}]")
    st.progress(sweep.progress)
    look.note(
        f"{look.count(len(spec.models), 'model')} × {look.count(len(spec.tasks), 'task')} × "
        f"{look.count(len(spec.methods), 'method')} × {look.count(len(spec.seeds), 'seed')}"
        + (f", each found again on {look.count(spec.resamples, 'resample')}" if spec.resamples else "")
        + f". Begun {when(sweep.began)}, last change {when(sweep.updated)}."
    )
