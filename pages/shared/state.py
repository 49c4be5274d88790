"""The view in the session, in the URL and in the widgets, kept the same.

1. ``load`` reads the URL on a first visit, and again whenever it no longer says what was last written
   there (a link pasted into the tab, the browser's back button). A URL without any of our parameters, as a
   link to another page may leave it, changes nothing.
2. The view in the session is the one truth. A widget shows a field of it (``bound``) and writes back in its
   callback, which only stores: nothing is computed there.
3. ``load`` also writes to the URL what a callback has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from engine.heads import Head
from pages.shared.link import read_view, write_view
from pages.shared.view import View

_VIEW, _WRITTEN, _PROBLEMS = "headlight_view", "headlight_url", "headlight_url_problems"


def load(known: Mapping[str, tuple[str, ...]]) -> View:
    """The view to show in this run; call once at the top of the app."""
    params = st.query_params.to_dict()
    ours = View.__dataclass_fields__.keys() & params.keys()
    if _VIEW not in st.session_state or (ours and params != st.session_state[_WRITTEN]):
        view, problems = read_view(params, known)
        st.session_state[_VIEW] = view
        st.session_state[_PROBLEMS] = problems
    _save()
    return st.session_state[_VIEW]


def current() -> View:
    return st.session_state[_VIEW]


def change(**fields: Any) -> None:
    """Set fields of the view; the run that follows shows them."""
    st.session_state[_VIEW] = replace(current(), **fields)
    st.session_state[_PROBLEMS] = ()


def _save() -> None:
    """Write the view to the URL, if it does not stand there yet. Foreign parameters stay.

    A link to the page one is on brings its parameters here, but the browser keeps the old ones until they are written.
    """
    foreign = {key: value for key, value in st.query_params.to_dict().items() if key not in View.__dataclass_fields__}
    params = foreign | write_view(current())
    if st.query_params.to_dict() != params or st.session_state.get(_WRITTEN, params) != params:
        st.query_params.from_dict(params)
    st.session_state[_WRITTEN] = params


def selected_head(n_layers: int, n_heads: int) -> Head | None:
    """The selected head, if there is one and the model has it."""
    name = current().head
    head = Head.parse(name) if name else None
    return head if head is not None and head.layer < n_layers and head.index < n_heads else None


def link_problems() -> tuple[str, ...]:
    """What could not be used of the link that was opened; emptied by the first change."""
    return st.session_state.get(_PROBLEMS, ())


def bound(field: str, read: Callable[[Any], Any] = lambda value: value, **also: Any) -> dict[str, Any]:
    """``key`` and ``on_change`` of a widget that shows a field of the view.

    ``read`` turns the widget's value into the field's; ``also`` is changed with it.
    """
    key = f"view_{field}"

    def store() -> None:
        value = st.session_state[key]
        if value is not None:
            change(**{field: read(value)}, **also)

    return {"key": key, "on_change": store}


def show(field: str, value: Any) -> None:
    """Put a value into a bound widget before it is drawn."""
    st.session_state[f"view_{field}"] = value
