"""The graph as a PNG or SVG, on paper, on night or on nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

from engine.figures import theme

BACKGROUNDS = ("light", "dark", "none")

_link = component(
    "headlight_picture",
    html='<div><button type="button" data-format="png">Save as PNG</button>'
    '<button type="button" data-format="svg">Save as SVG</button></div>',
    css=Path(__file__).with_name("picture.css").read_text("utf-8"),
    js=Path(__file__).with_name("picture.js").read_text("utf-8"),
)


def buttons(chart: str, name: str, dark: bool, redraw: Callable[[bool], Any]) -> None:
    """``redraw(dark)`` draws the figure for the other kind of page."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        chosen = st.segmented_control(
            "Background of pictures", BACKGROUNDS, default="dark" if dark else "light", required=True,
            key="picture_background",
        )  # fmt: skip
        wants_dark = dark if chosen == "none" else chosen == "dark"
        _link(
            key="picture",
            data={
                "chart": chart, "name": name,
                "background": None if chosen == "none" else theme.page(wants_dark),
                "figure": None if wants_dark == dark else redraw(wants_dark).to_json(),
            },
            height="content", width="content",
        )  # fmt: skip
