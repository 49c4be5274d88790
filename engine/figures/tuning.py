"""Trials of automatic settings by size and faithfulness: what no other beats, and the one taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from engine.figures import front, theme
from engine.figures.results import KINDS, SCORE_NAMES
from engine.figures.tables import Row

if TYPE_CHECKING:
    from engine.figures.results import SettingsLike, TrialLike, TuningLike

LISTED = 4  # trials at one place that a hover names


def tuning_figure(tuning: TuningLike, *, enough: float, dark: bool) -> go.Figure:
    """Size to the right (heads), faithfulness upward (a ratio), one mark for all trials at one place.

    Above ``enough`` the smallest is taken. The line is the Pareto front. Marks carry ``customdata = ["trial",
    number]``, of the first trial there; the trace "selected" is for the one being looked at. Pruned trials have no
    place.
    """
    figure = theme.blank(dark, front.HEIGHT)
    searched = [trial for trial in tuning.trials if not trial.pruned]
    if not searched:
        theme.hint(figure, "No trial found a circuit.", dark)
        return figure
    right, high = front.lay_out(
        figure,
        [trial.size for trial in searched],
        [0.0, enough, 1.0, *(trial.faithfulness for trial in searched)],
        "heads in the circuit",
        "faithfulness, held out",
    )
    _add_rule(figure, enough, right, high, dark)
    front.add_stair(figure, [_place(trial) for trial in tuning.front], right, dark)
    _add_marks(figure, searched, tuning, dark)
    front.add_selected(figure)
    return figure


def tuning_rows(tuning: TuningLike) -> list[Row]:
    """One row a trial; a pruned one says why it was not searched."""
    best = {trial.number for trial in tuning.front}
    return [_row(trial, trial.number in best, trial.number == tuning.chosen.number) for trial in tuning.trials]


def settings_words(settings: SettingsLike) -> str:
    """``FLAP at 0.75 ∪ C-FLAP at 0.8 · s 2 · smallest effect 0.01``; sparsities are shares of heads pruned."""
    thresholds = f"s {settings.threshold_scale:g} · smallest effect {settings.min_effect:g}"
    if settings.sparsity is None:
        return thresholds
    if settings.score != "merged":
        return f"{_score_name(settings.score)} at {settings.sparsity:g} · {thresholds}"
    flap = settings.sparsity if settings.flap_sparsity is None else settings.flap_sparsity
    return f"FLAP at {flap:g} ∪ C-FLAP at {settings.sparsity:g} · {thresholds}"


def trial_places(trials: Sequence[TrialLike]) -> list[list[TrialLike]]:
    """The trials that share a size and a faithfulness, smallest first; within one place in order."""
    return front.together(trials, _place)


def _place(trial: TrialLike) -> front.Place:
    return trial.size, trial.faithfulness


def _add_rule(figure: go.Figure, enough: float, right: float, high: float, dark: bool) -> None:
    """Where the smallest is taken."""
    front.add_good_corner(figure, right, enough, high)
    figure.add_annotation(
        text=f"faithful enough: {enough:g}", x=right, y=enough, xanchor="right", yanchor="bottom", showarrow=False,
        font={"size": 12, "color": theme.muted(dark)},
    )


def _add_marks(figure: go.Figure, trials: Sequence[TrialLike], tuning: TuningLike, dark: bool) -> None:
    """Filled on the front, a diamond the one taken, hollow where another trial is as small and more faithful."""
    best, taken = {_place(trial) for trial in tuning.front}, _place(tuning.chosen)
    kinds: dict[str, list[list[TrialLike]]] = {"taken": [], "on the front": [], "another one beats it": []}
    for place in trial_places(trials):
        where = _place(place[0])
        kinds["taken" if where == taken else "on the front" if where in best else "another one beats it"].append(place)
    for (name, places), symbol in zip(kinds.items(), ("diamond", "circle", "circle-open"), strict=True):
        named = [place[0] for place in places]  # the front takes the first of a place too
        figure.add_scatter(
            x=[trial.size for trial in named], y=[trial.faithfulness for trial in named], mode="markers",
            name=name, cliponaxis=False, customdata=[["trial", trial.number] for trial in named],
            hovertext=[_hover(place) for place in places], hovertemplate="%{hovertext}<extra></extra>",
            marker={"symbol": symbol, "size": 14 if name == "taken" else 10, "color": theme.CHOSEN,
                    "line": {"width": 1.6, "color": theme.CHOSEN if symbol.endswith("open") else theme.page(dark)}},
            selected={"marker": {"opacity": 1}}, unselected={"marker": {"opacity": 1}},
        )  # fmt: skip


def _hover(place: Sequence[TrialLike]) -> str:
    trial = place[0]
    lines = [f"<b>{trial.size} heads, faithfulness {trial.faithfulness:.3f}</b>"]
    lines.append(f"performance {trial.performance:.1f} %")
    lines += [f"{item.number}: {settings_words(item.settings)}" for item in place[:LISTED]]
    if len(place) > LISTED:
        lines.append(f"and {len(place) - LISTED} more trials")
    return "<br>".join(lines)


def _row(trial: TrialLike, on_front: bool, taken: bool) -> Row:
    settings = trial.settings
    measured = not trial.pruned
    return {
        "trial": trial.number, "score": _score_name(settings.score), "sparsity": settings.sparsity,
        "FLAP sparsity": settings.flap_sparsity, "threshold scale s": settings.threshold_scale,
        "smallest effect": settings.min_effect, "heads in the mask": trial.mask_size,
        "heads": trial.size if measured else None, "edges": trial.edges if measured else None,
        "faithfulness": trial.faithfulness if measured else None,
        "performance %": trial.performance if measured else None,
        "kind": KINDS[trial.estimated] if measured else None, "on the front": on_front, "taken": taken,
        "not searched because": trial.pruned or None,
    }  # fmt: skip


def _score_name(score: str) -> str:
    return SCORE_NAMES.get(str(score), str(score).replace("_", " "))
