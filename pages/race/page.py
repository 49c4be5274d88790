"""Race."""

from __future__ import annotations

from pages.shared import frame, state


def show() -> None:
    settings = state.current().settings()
    frame.opening("Race", "Coming.")
    prepared = frame.ready(settings)
    if prepared is None:
        return


show()
