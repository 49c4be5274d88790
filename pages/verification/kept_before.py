"""What was learnt about the run's circuit before, and stands on disk: told, with the way there."""

from __future__ import annotations

import streamlit as st

from engine.settings import Settings
from pages.shared import look, rooms
from pages.shared.background import background
from pages.shared.kept import ATTACHED


def show(settings: Settings) -> None:
    """Nothing for a run with which nothing is kept."""
    kept = background().kept
    run_id, counts = kept.id_of(settings), kept.attached(settings)
    if run_id is None or not counts:
        return
    words = [ATTACHED.get(kind, kind) + (f" ({count})" if count > 1 else "") for kind, count in sorted(counts.items())]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="kept_before"):
        look.note(f"Kept with the run: {', '.join(words).lower()}. A server started again measures anew here.")
        rooms.link("runs", "See them in Runs", run=run_id)
