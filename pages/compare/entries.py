"""Which searches of one task stand in the table: each algorithm in the mask, the standard, and what else was run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.settings import ATTRIBUTING, Algorithm, Method, Settings
from pages.shared import algorithm_words, background, runs, search_run, search_state
from pages.shared.search_state import SearchState
from pages.shared.view import View


@dataclass(frozen=True)
class Entry:
    """One search, run or not. ``id`` is the run's short name, and part of widget keys."""

    title: str
    settings: Settings

    @property
    def id(self) -> str:
        return runs.id_of(self.settings)

    @property
    def about(self) -> tuple[str, str]:
        """Among which heads, and with which parameters."""
        return search_run.among_words(self.settings), parameters(self.settings)


@dataclass(frozen=True)
class Line(SearchState):
    """An entry and how far it is."""

    entry: Entry


def standard_of(view: View) -> Settings:
    """Dense path patching with the view's thresholds, of heads alone: the other algorithms know no MLPs as nodes."""
    return replace(view, algorithm=Algorithm.PATH_PATCHING.value, among="all", mlps=False).settings()


def entries_of(view: View) -> tuple[Entry, ...]:
    """The searches the view asks for; then whatever else this server has run on the same prompts.

    With all heads chosen, the mask is the automatic union.
    """
    inside = replace(view, among="auto" if view.among == "all" else view.among, mlps=False)
    wanted: list[Settings] = []
    for algorithm in Algorithm:
        search = replace(inside, algorithm=algorithm.value)
        wanted.append(search.settings())
        if view.dense_too or algorithm is Algorithm.PATH_PATCHING:
            wanted.append(replace(search, among="all").settings())
    return tuple(Entry(title_of(settings), settings) for settings in dict.fromkeys((*wanted, *_others(wanted[0]))))


def lines_of(entries: tuple[Entry, ...]) -> tuple[Line, ...]:
    """All of them as they are now."""
    return tuple(Line(*search_state.now(entry.settings), entry) for entry in entries)


def title_of(settings: Settings) -> str:
    """``APP``, ``Dense path patching``, ``ACDC``, ``EAP, all heads``."""
    dense = settings.method is Method.DENSE
    if settings.algorithm is Algorithm.PATH_PATCHING:
        return "Dense path patching" if dense else "APP"
    return algorithm_words.TITLES[settings.algorithm] + ", all heads" * dense


def names_of(lines: Sequence[Line]) -> tuple[str, ...]:
    """A name a line: its title, and where others have the same, what tells it apart."""
    long = [(line.entry.title, *reversed(line.entry.about)) for line in lines]
    shown = []
    for parts in long:
        alike = [other for other in long if other[0] == parts[0]]
        used = 1 if len(alike) == 1 else 2 if len({other[1] for other in alike}) == len(alike) else 3
        shown.append(" · ".join(parts[:used]))
    return tuple(shown)


def parameters(settings: Settings) -> str:
    """How it chooses and measures, short."""
    if settings.algorithm in ATTRIBUTING:
        return f"{settings.top_edges:,} edges at most"
    if settings.algorithm is Algorithm.ACDC:
        return f"{settings.mode.value}, tolerance {settings.tolerance:g}"
    thresholds = f"s {settings.threshold_scale:g}, smallest effect {settings.min_effect:g}"
    nodes = ", MLPs as nodes" * settings.mlps
    return f"{settings.mode.value}, {'grid of thresholds' if settings.grid else thresholds}{nodes}"


def _others(like: Settings) -> list[Settings]:
    """Searches of the same model and prompts that left something, or are about to."""
    data = background.data_of(like)
    there = {run.settings: run.started for run in runs.known().values() if run.settings is not None}
    there |= dict.fromkeys(runs.running(), float("inf"))
    same = [settings for settings in there if background.data_of(settings) == data]
    return sorted(same, key=lambda settings: (list(Algorithm).index(settings.algorithm), there[settings]))
