"""Which part of the circuit is drawn, and how: the choices above the graph."""

from __future__ import annotations

import streamlit as st

from engine.circuit import Circuit, Input
from engine.heads import Head
from engine.trust.answer_keys import AnswerKey
from engine.trust.frequency import CircuitFrequency
from engine.views.circuit_filter import Filter, Sign
from engine.views.circuit_layers import CROWDED_EDGES, CROWDED_HEADS, is_crowded
from pages.shared import edges, state
from pages.shared.view import DEFAULT, View

SIGN_NAMES = {
    Sign.BOTH.value: "any", Sign.LOWERS.value: "patching lowers the metric", Sign.RAISES.value: "patching raises it",
}  # fmt: skip
MORE = ("sign", "span", "strongest")
FILTERS = ("weakest", "inputs", "connected", "present", *MORE)


def filter_of(view: View) -> Filter:
    """The filters of the view; layers beyond the model do no harm."""
    low, _, high = (view.span or "").partition("-")
    return Filter(
        weakest=view.weakest,
        inputs=frozenset(Input(name) for name in view.inputs),
        sign=Sign(view.sign),
        layers=(int(low), int(high)) if high else None,
        connected=view.connected,
        strongest=view.strongest or None,
        pinned=frozenset(Head.parse(name) for name in view.pins),
    )


def in_layers(view: View, circuit: Circuit) -> bool:
    """Whether heads are drawn as layers: as chosen, else if they would be a tangle."""
    return view.drawn == "layers" or (view.drawn == "auto" and is_crowded(circuit))


def show(circuit: Circuit, view: View) -> None:
    with st.container(key="circuit_filters", horizontal=True, vertical_alignment="bottom", gap="medium"):
        _edges(circuit, view)
        with st.popover(_more_title(view), icon=":material/filter_list:", key="more_filters"):
            _more(circuit, view)


def _more_title(view: View) -> str:
    """How many of the filters behind the button are at work."""
    active = sum(getattr(view, name) != getattr(DEFAULT, name) for name in MORE)
    return f"More filters ({active})" if active else "More filters"


def _edges(circuit: Circuit, view: View) -> None:
    edges.filters(circuit, view)
    state.show("connected", view.connected)
    st.toggle(
        "Connected to the logits", help="Leave out heads whose remaining edges no longer reach the logits.",
        **state.bound("connected"),
    )  # fmt: skip


def _more(circuit: Circuit, view: View) -> None:
    state.show("sign", view.sign)
    st.radio("Sign of the effect", list(SIGN_NAMES), format_func=SIGN_NAMES.__getitem__, **state.bound("sign"))
    last = circuit.n_layers - 1
    if last > 0:
        chosen = filter_of(view).layers or (0, last)
        state.show("span", (min(chosen[0], last), min(chosen[1], last)))
        st.slider("Layers", 0, last, **state.bound("span", read=lambda ends: _span(ends, last)))
    state.show("strongest", view.strongest)
    st.number_input(
        "The strongest edges only", 0, max(len(circuit.edges), view.strongest), step=10,
        help="How many at most; 0 draws all.", **state.bound("strongest", read=int),
    )  # fmt: skip
    st.button("Reset all filters", key="reset_filters", icon=":material/filter_list_off:", on_click=_reset)


def _present(found: CircuitFrequency, view: View) -> None:
    percent = round(100 * view.present)
    state.show("present", percent)
    st.slider(
        f"Present in at least … of {found.n} runs", 0, 100, step=5, format="%d %%", width=240,
        help="How often the search found it again on other prompts; opacity shows the same. See Verification.",
        **state.bound("present", read=lambda value: value / 100),
    )  # fmt: skip


def _span(ends: tuple[int, int], last: int) -> str | None:
    return None if ends == (0, last) else f"{ends[0]}-{ends[1]}"


def _reset() -> None:
    state.change(**{name: getattr(DEFAULT, name) for name in FILTERS})


def drawing(
    circuit: Circuit, view: View, keys: tuple[AnswerKey, ...], found: CircuitFrequency | None = None
) -> None:
    """How what is left is drawn; ``found``: how often heads and edges were found again, if anybody asked."""
    with st.container(key="circuit_drawing", horizontal=True, vertical_alignment="bottom", gap="medium"):
        shown = "layers" if in_layers(view, circuit) else "heads"
        state.show("drawn", shown)
        st.segmented_control(
            "Draw", ("heads", "layers"), format_func={"heads": "every head", "layers": "by layer"}.__getitem__,
            required=True, **state.bound("drawn"),
            help=f"By layer unless chosen otherwise beyond {CROWDED_HEADS} heads or {CROWDED_EDGES} edges.",
        )  # fmt: skip
        state.show("fill", view.fill)
        st.segmented_control(
            "Colour heads by", ("role", "effect"), required=True, **state.bound("fill"),
            help="Role: what a head was measured to do, see below. Effect: the sum over its outgoing edges.",
        )  # fmt: skip
        if keys:
            _answer_key(view, keys)
        if found is not None:
            _present(found, view)
    if shown == "layers":
        _opened(circuit, view)


def _answer_key(view: View, keys: tuple[AnswerKey, ...]) -> None:
    options = list(range(len(keys) + 1))
    state.show("answer_key", view.answer_key if view.answer_key in options else 0)
    st.selectbox(
        "Answer key", options, format_func=lambda i: keys[i - 1].title if i else "hidden", width=260,
        help="A published circuit of this model and task, laid over the one found.", **state.bound("answer_key"),
    )  # fmt: skip


def _opened(circuit: Circuit, view: View) -> None:
    """The keyboard's way to open and close a layer."""
    layers = [str(layer) for layer in sorted({head.layer for head in circuit.heads})]
    state.show("opened", [layer for layer in view.opened if layer in layers])
    st.multiselect(
        "Layers opened", layers, placeholder="click a layer, or choose it here", width=420,
        **state.bound("opened", read=tuple),
    )  # fmt: skip
