"""Play, pause, back, forward, first, last, jump - and under them the step they lead to.

1. Everything is one fragment. While it plays it runs by itself every few moments, each time a step further, and
   nothing else of the page does.
2. The address is written by whole runs of the page only, so playing leaves no trail of entries behind; whatever a
   person touches ends the play with a whole run, which writes where it stopped.
3. While the search itself runs, the newest step is followed until someone chooses a step.
4. What moves by itself, the slider and the lists, cannot be moved by hand meanwhile: a value the browser sends
   while a later one is on its way to it would pass for a choice.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from engine.heads import Head
from engine.search.trail import searched_at
from pages.path_patching import step_view, words
from pages.path_patching.walk import Walk
from pages.shared import look, state

SPEEDS = {"slow": 4.0, "normal": 2.0, "fast": 0.8}  # seconds a step
PLAYING = "headlight_steps_playing"  # the step last played, while it plays
WHOLE_RUN = "headlight_steps_whole_run"
FOLLOWING = "step_follow"
SPEED = "step_speed"


def show(walk: Walk) -> None:
    """Draw the controls and the step of the view."""
    if not walk.live:
        st.session_state.pop(FOLLOWING, None)
    here = _number(walk)
    if SPEED not in st.session_state:  # a first visit, or back from another page
        _stop()
        st.session_state[SPEED] = "normal"
    if playing() and st.session_state[PLAYING] != here:  # the browser's back button, a link
        _stop()
    pace = _pace()
    st.session_state[WHOLE_RUN] = True

    @st.fragment(run_every=pace, key="step_player")
    def play() -> None:
        if not st.session_state.pop(WHOLE_RUN, False):
            _next_or_rerun(walk, pace)
        _controls(walk)
        step_view.show(walk, walk.trail[_number(walk) - 1], on_head=_pick, on_edge=_go_to_edge(walk))

    play()


def playing() -> bool:
    return PLAYING in st.session_state


def _pace() -> float | None:
    """Seconds a step, None while nothing plays."""
    return SPEEDS[st.session_state[SPEED]] if playing() else None


def _following(walk: Walk) -> bool:
    return walk.live and st.session_state.get(FOLLOWING, True)


def _number(walk: Walk) -> int:
    """The step to show: that of the view as far as there is one, or the newest while it is followed."""
    return len(walk.trail) if _following(walk) else min(state.current().step, len(walk.trail))


def _next_or_rerun(walk: Walk, pace: float | None) -> None:
    """This run of the fragment came by its clock, which ticks at ``pace``, or from something in it that was touched."""
    if pace is None or _pace() != pace:
        st.rerun(scope="app")
    following = min(_number(walk) + 1, len(walk.trail))
    state.change(step=following)
    st.session_state[PLAYING] = following
    if following == len(walk.trail):
        _stop()
        st.rerun(scope="app")


def _stop() -> None:
    st.session_state.pop(PLAYING, None)


def _go(number: int) -> None:
    _stop()
    st.session_state[FOLLOWING] = False
    state.change(step=number)


def _play(walk: Walk) -> None:
    if playing():
        _stop()
        return
    start = _number(walk)
    _go(1 if start == len(walk.trail) else start)
    st.session_state[PLAYING] = state.current().step


def _controls(walk: Walk) -> None:
    number, total = _number(walk), len(walk.trail)
    if state.current().step > total and not walk.live:
        look.note(f"There is no step {state.current().step}: this search has {total}. Shown is the last one.")
    with st.container(horizontal=True, vertical_alignment="center", key="step_controls"):
        _button("first", "First", "first_page", lambda: _go(1), number > 1)
        _button("back", "Back", "chevron_left", lambda: _go(number - 1), number > 1, "J")
        icon, label = ("pause", "Pause") if playing() else ("play_arrow", "Play")
        _button("play", label, icon, lambda: _play(walk), total > 1, "K")
        _button("forward", "Forward", "chevron_right", lambda: _go(number + 1), number < total, "L")
        _button("last", "Last", "last_page", lambda: _go(total), number < total)
        st.segmented_control("Speed", list(SPEEDS), key=SPEED, required=True, label_visibility="collapsed")
        if walk.live:
            st.session_state.setdefault(FOLLOWING, True)
            st.toggle("Follow the search", key=FOLLOWING, on_change=_stop)
    _jumps(walk, number)


def _button(
    name: str, label: str, icon: str, then: Callable[[], None], able: bool, shortcut: str | None = None
) -> None:
    st.button(
        label, key=f"step_{name}", icon=f":material/{icon}:", on_click=then, disabled=not able, shortcut=shortcut,
        type="primary" if name == "play" else "secondary",
    )  # fmt: skip


def _jumps(walk: Walk, number: int) -> None:
    """A slider, a list of all steps, and the way to where a head was searched."""
    total, moves = len(walk.trail), playing() or _following(walk)
    if total > 1:
        st.session_state["step_slider"] = number
        st.slider(
            "Step", 1, total, key="step_slider", label_visibility="collapsed", disabled=moves,
            on_change=None if moves else lambda: _go(st.session_state["step_slider"]),
        )  # fmt: skip
    left, right = st.columns([3, 2])
    st.session_state["step_list"] = number
    left.selectbox(
        "Jump to a step", range(1, total + 1), key="step_list",
        format_func=lambda at: words.short(walk.trail[at - 1], walk.settings),
        on_change=None if moves else lambda: _go(st.session_state["step_list"]), disabled=moves,
    )  # fmt: skip
    places = searched_at(walk.trail)
    receivers = walk.trail[number - 1].step.receivers
    st.session_state["step_of_head"] = receivers[0] if receivers and receivers[0] in places else None

    def to_head() -> None:
        if (head := st.session_state["step_of_head"]) is not None:
            _go(places[head])

    right.selectbox(
        "Jump to a head as receiver", list(places), key="step_of_head", placeholder="choose a head",
        format_func=lambda head: f"{head}, from step {places[head]}", on_change=None if moves else to_head,
        disabled=moves or not places,
    )  # fmt: skip


def _pick(data: list) -> None:
    """A head was clicked: its card opens at the end of the page."""
    _stop()
    state.change(head=str(Head(int(data[0]), int(data[1]))))


def _go_to_edge(walk: Walk) -> Callable[[list], None]:
    """A click in the graph: a head opens its card, an edge leads to the step that found it."""

    def clicked(data: list) -> None:
        if not isinstance(data[0], str):
            _pick(data)
            return
        for station in walk.trail:
            for edge in station.new_edges:
                receiver = "logits" if edge.receiver is None else str(edge.receiver)
                if [str(edge.sender), receiver, edge.input.value] == list(data):
                    _go(station.number)
                    return

    return clicked
