"""One line of the table as HTML: a search's numbers, or how far it is. Everything shown is escaped."""

from __future__ import annotations

import math
from html import escape

from engine.cost.duration import duration
from engine.jobs.snapshot import JobState, Snapshot
from engine.settings import Algorithm, Method
from engine.views.contest_table import ContestRow, Nearness
from pages.compare.contest_costs import Ahead
from pages.compare.entries import Line
from pages.shared import algorithm_words, look

COLUMNS = (
    ("heads", ""), ("edges", ""), ("performance", "%"), ("faithfulness", "95 % interval"),
    ("same heads, %", "precision · recall · Jaccard"), ("same edges, %", "precision · recall · Jaccard"),
    ("work", "GFLOP"), ("time", "seconds"),
)  # fmt: skip
NOTHING = "–"


def head() -> str:
    cells = "".join(f"<span>{escape(name)}<small>{escape(unit)}</small></span>" for name, unit in COLUMNS)
    return f'<div class="hl-search head"><span class="who">search</span>{cells}</div>'


def numbers(line: Line, row: ContestRow) -> str:
    """A search that has left something."""
    size = (f"{row.size:,}", f"{row.edge_count:,}", _number(row.performance, 1), _faithfulness(row))
    texts = (*size, _shares(row.heads), _shares(row.edges), few_digits(row.gigaflops), few_digits(row.seconds))
    cells = "".join(
        f'<span data-label="{escape(f"{name} {unit}".strip())}">{text}</span>'
        for (name, unit), text in zip(COLUMNS, texts, strict=True)
    )
    stopped = "" if row.complete else "<em>stopped: its part, not verified</em>"
    return f'<div class="hl-search">{_who(line, stopped)}{cells}</div>'


def not_run(line: Line, ahead: Ahead) -> str:
    sweep = f", after ≈ {duration(max(1.0, ahead.sweep))} of pruning" if ahead.sweep else ""
    words = f"Not run yet: ≈ {duration(max(1.0, ahead.seconds))}, {ahead.passes:,.0f} forward passes{sweep} (estimate)."
    return _state(line, words)


def unserved(line: Line) -> str:
    return _state(line, escape(algorithm_words.UNSERVED_WORDS))


def ended(line: Line, shot: Snapshot) -> str:
    """It failed, or was cancelled before it had found anything."""
    if shot.state is JobState.FAILED:
        return _state(line, f"Failed: {escape(shot.error or 'for an unknown reason.')}", "bad")
    return _state(line, "Cancelled before it had found anything.")


def running(line: Line, shot: Snapshot) -> str:
    """Where it stands, with a bar once it works."""
    if shot.state is JobState.QUEUED:
        place = f"Waiting: {look.count(shot.place, 'other job')} first." if shot.place else "About to start …"
        return _state(line, place)
    left = shot.seconds_left
    words = [shot.stage.name if shot.stage else "starting", f"{duration(shot.seconds)} so far"]
    words += [f"about {duration(left)} left (estimate)"] if left is not None and left >= 1 else []
    share = 100 * (shot.share or 0.0)
    bar = (
        f'<div class="bar" role="progressbar" aria-label="{escape(line.entry.title)}" aria-valuenow="{share:.0f}">'
        f'<div style="width:{share:.1f}%"></div></div>'
    )
    return _state(line, f"{escape(' · '.join(words))}{bar}")


def few_digits(value: float) -> str:
    """``0.03``, ``3.1``, ``1,203``."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def _state(line: Line, words: str, kind: str = "") -> str:
    return f'<div class="hl-search">{_who(line)}<span class="state {kind}">{words}</span></div>'


def _who(line: Line, more: str = "") -> str:
    """Its name, what it searched and how; a mark in the colour and shape of the plot."""
    settings = line.entry.settings
    among, how = line.entry.about
    standard = " · the standard" * (settings.method is Method.DENSE and settings.algorithm is Algorithm.PATH_PATCHING)
    shape = "dense" if settings.method is Method.DENSE else "inside"
    return (
        f'<span class="who"><i class="{settings.algorithm.value} {shape}"></i><b>{escape(line.entry.title)}</b>'
        f"<small>{escape(among + standard)}</small><small>{escape(how)}</small>{more}</span>"
    )


def _faithfulness(row: ContestRow) -> str:
    interval = row.interval
    within = f"<small>{look.number(interval.low, 2)} to {look.number(interval.high, 2)}</small>" if (
        interval is not None and interval.known
    ) else ""  # fmt: skip
    return f"{_number(row.faithfulness, 3)}{within}"


def _shares(near: Nearness | None) -> str:
    if near is None:
        return NOTHING
    return " · ".join(_number(100 * share, 0) for share in (near.precision, near.recall, near.jaccard))


def _number(value: float, digits: int) -> str:
    return look.number(value, digits) if math.isfinite(value) else NOTHING
