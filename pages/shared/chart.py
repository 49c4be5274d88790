"""A Plotly chart that changes in place, and whose clicks and slider reach Python.

``st.plotly_chart`` mounts a chart anew whenever its figure differs, which loses zoom and slider, and its own
selection events know nothing of sliders. So Streamlit gets the first figure only; a small component under it
(chart.js) draws later ones in place, carries clicks and the end of a drag to Python, and saves the figure as SVG.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import streamlit as st
from streamlit.components.v2 import component

from engine.figures import theme

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

T = TypeVar("T")

_link = component(
    "headlight_chart_link",
    html='<button type="button" title="Save this figure as SVG; the camera saves PNG">Save as SVG</button>',
    css=Path(__file__).with_name("chart.css").read_text("utf-8"),
    js=Path(__file__).with_name("chart.js").read_text("utf-8"),
)
KEPT_FIGURES = 64  # of all sessions together; tens to hundreds of kilobytes each
_UNABLE = "headlight_charts_sent_whole"
_THEME = "headlight_theme"


def drawn(make: Callable[..., T], *what: Hashable, **how: Hashable) -> T:
    """The figure, or figures, of ``make(*what, **how)``, kept while among those drawn last: a rerun changes few.

    Results of the engine count as the same if they are the same object, and are kept as long: give it what is drawn,
    never the activations with it. The figure is shared: do not alter it.
    """
    return _drawn(make, what, tuple(sorted(how.items())))


@lru_cache(maxsize=KEPT_FIGURES)
def _drawn(make: Callable[..., Any], what: tuple[Hashable, ...], how: tuple[tuple[str, Hashable], ...]) -> Any:
    return make(*what, **dict(how))


def is_dark() -> bool:
    """Whether the page is dark: as a chart on it last saw it, since Streamlit learns of the system's theme too late."""
    return st.session_state.get(_THEME, st.context.theme.type) == "dark"


def chart(
    figure: Figure,
    key: str,
    alt: str,
    *,
    identity: Hashable = None,
    on_click: Callable[[Any], None] | None = None,
    on_drag: Callable[[float], None] | None = None,
    slider: int | None = None,
    selected: Mapping[str, float] | Literal[False] | None = False,
) -> None:
    """Draw ``figure``, in place if it is a new state of the chart that ``identity`` names.

    The callbacks run before the next script run, as a widget's do: ``on_click`` with the customdata of the
    point clicked, ``on_drag`` with the value of the step the slider was left at. ``slider`` is the step it
    should stand at, ``selected`` where the trace "selected" has its mark (False: where the figure has it). ``alt``
    tells those who do not see it.
    """
    version = _stamp(figure)
    first = _first_figure(figure, key, (identity, figure.layout.height))  # pyright: ignore[reportAttributeAccessIssue]
    st.plotly_chart(first, key=key, theme=None, config=theme.mode_bar(f"headlight-{key}"), alt=alt)
    state = f"{key}_link"

    def sent(trigger: str, then: Callable[[Any], None] | None) -> Callable[[], None]:
        def call() -> None:
            value = st.session_state[state][trigger]
            if then is not None and value is not None:
                then(value)

        return call

    _link(
        key=state,
        data={
            "chart": key, "dark": is_dark(), "version": version, "figure": figure.to_json(),
            "slider": slider, "selected": dict(selected) if selected else selected,
        },
        height="content",
        on_clicked_change=sent("clicked", on_click),
        on_dragged_change=sent("dragged", None if on_drag is None else lambda value: on_drag(float(value))),
        on_retheme_change=sent("retheme", lambda value: st.session_state.update({_THEME: value})),
        on_unable_change=sent("unable", lambda value: st.session_state.update({_UNABLE: True})),
    )  # fmt: skip


def _first_figure(figure: Figure, key: str, identity: Hashable) -> Figure:
    """The figure this chart was mounted with; the given one if it is another chart now."""
    place = f"{key}_first"
    if place not in st.session_state or st.session_state[place][0] != identity or _UNABLE in st.session_state:
        st.session_state[place] = (identity, figure)
    return st.session_state[place][1]


def _stamp(figure: Figure) -> str:
    """Give the figure a name by its content, once; returns it."""
    if _version(figure) is None:
        content = figure.to_json() or ""
        figure.update_layout(meta={"version": hashlib.sha256(content.encode()).hexdigest()[:16]})
    return _version(figure) or ""


def _version(figure: Figure) -> str | None:
    meta = figure.layout.meta  # pyright: ignore[reportAttributeAccessIssue]
    return meta.get("version") if meta else None
