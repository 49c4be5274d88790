"""The own tasks kept on this machine, read again only when one changes."""

from __future__ import annotations

import streamlit as st

from engine.tasks import own
from engine.tasks.own import OwnTask


def kept() -> dict[str, OwnTask]:
    """By name, in the order of their titles."""
    return _kept(own.kept_stamp())


@st.cache_resource(show_spinner=False, max_entries=1)
def _kept(stamp: tuple[tuple[str, int, int], ...]) -> dict[str, OwnTask]:
    return {task.name: task for task in own.kept()}
