"""Who races: APP as the Explorer's choices have it, and dense path patching with the same thresholds."""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.settings import Settings
from pages.shared import search_run, search_state
from pages.shared.search_state import SearchState
from pages.shared.view import View


@dataclass(frozen=True)
class Contestant:
    """``name`` is also its style and widget key."""

    name: str
    title: str
    settings: Settings

    @property
    def about(self) -> str:
        return search_run.among_words(self.settings)


@dataclass(frozen=True)
class Lane(SearchState):
    """A contestant and how far it is."""

    contestant: Contestant


def contestants(view: View) -> tuple[Contestant, Contestant]:
    """Both by path patching between heads, whatever the view asks for. With all heads chosen, APP is left its
    automatic union."""
    view = replace(view, algorithm=Settings.algorithm.value, mlps=False)
    app = replace(view, among="auto" if view.among == "all" else view.among)
    return (
        Contestant("app", "APP", app.settings()),
        Contestant("dense", "Dense", replace(view, among="all").settings()),
    )


def lanes_of(pair: tuple[Contestant, Contestant]) -> tuple[Lane, Lane]:
    """Both as they are now."""
    first, second = (Lane(*search_state.now(each.settings), each) for each in pair)
    return first, second
