"""Head scores."""

from __future__ import annotations

from pages.shared import frame, state


def show() -> None:
    settings = state.current().settings()
    frame.opening("Head scores", "Coming.")
    prepared = frame.ready(settings)
    if prepared is None:
        return


show()
