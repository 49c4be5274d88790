"""The pages there are, and links from one to another that keep what a person is looking at.

Streamlit's own menu drops the URL's parameters on the way; these links carry the whole view.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from pages.shared import state
from pages.shared.link import write_view


@dataclass(frozen=True)
class Room:
    """A page: its script is ``pages/<name>/page.py``, its address the name with hyphens."""

    name: str
    title: str
    icon: str

    @property
    def script(self) -> str:
        return f"{self.name}/page.py"  # beside pages/main.py


ROOMS = (
    Room("explorer", "Explorer", ":material/explore:"),
    Room("prompts", "Prompts", ":material/short_text:"),
    Room("head_scores", "Head scores", ":material/grid_on:"),
    Room("pruning", "Pruning", ":material/content_cut:"),
    Room("path_patching", "Path patching", ":material/footprint:"),
    Room("race", "Race", ":material/flag:"),
    Room("circuit", "Circuit", ":material/hub:"),
    Room("verification", "Verification", ":material/verified:"),
    Room("compare", "Compare", ":material/compare_arrows:"),
    Room("runs", "Runs", ":material/inventory_2:"),
)
BY_NAME = {room.name: room for room in ROOMS}


def pages() -> list[Any]:
    """For ``st.navigation``; the Explorer is the one at the bare address."""
    return [
        st.Page(
            room.script, title=room.title, icon=room.icon, default=room is ROOMS[0],
            url_path=None if room is ROOMS[0] else room.name.replace("_", "-"),
        )
        for room in ROOMS
    ]  # fmt: skip


def of(page: Any) -> Room:
    """The room of the page ``st.navigation`` returned."""
    return next(room for room in ROOMS if room.title == page.title)


def menu() -> None:
    """Links to all pages; the one shown is marked by Streamlit."""
    with st.container(key="rooms", gap=None):
        for room in ROOMS:
            link(room.name)


def link(name: str, label: str | None = None, help: str | None = None, **changes: Any) -> None:
    """A link to a page at the present view, with ``changes`` of its fields."""
    room = BY_NAME[name]
    st.page_link(
        room.script, label=label or room.title, icon=room.icon, help=help,
        query_params=write_view(replace(state.current(), **changes)),
    )  # fmt: skip
