"""Measured rows as Markdown tables."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks import exact, search
from benchmarks.exact import Comparison, PassTwo, SweepRate
from benchmarks.interface import Drag, Wait
from benchmarks.scaling import MODES, Scaling
from benchmarks.search import AUTO, DENSE, EXACT, FIXED, GRID, LeftOut, ModesCompared, Search
from benchmarks.timing import ratios, spread

GIGA, TERA = 1e9, 1e12
HOUR = 3600


def exact_sections(rows: Sequence[Any]) -> list[str]:
    comparisons = [row for row in rows if isinstance(row, Comparison)]
    passes = [row for row in rows if isinstance(row, PassTwo)]
    sweeps = [row for row in rows if isinstance(row, SweepRate)]
    return [
        "## Hooked path patching against exact against screened",
        "",
        f"{exact.PAIRS} pairs, all senders below the receiver, from tokens (both caching runs included). The reference "
        "is timed on a few senders and extrapolated to all of them. q, k and v one by one were measured fewer times.",
        "",
        *table(
            "model | work | tokens | senders | reference s | exact s | reference / exact | screened s | "
            "reference / screened | recomputed | largest difference in f, exact and reference | exact GFLOP/s",
            map(_comparison, comparisons),
        ),
        "### Pass 2 alone",
        "",
        "One receiver, all senders, given the shared sweep: first-order estimates against a second hooked forward a "
        "sender (timed on a few, extrapolated). The gradients they need are computed once for all receivers.",
        "",
        *table(
            "model | receiver | senders | hooked pass 2 s | estimates s | hooked / estimates | gradients s | "
            "largest disagreement in f, estimate and exact, all senders",
            map(_pass_two, passes),
        ),
        "### Matmul rate of the shared sweep",
        "",
        "Of the senders below the receiver, at every position that can change. Beside it, measured right before: norms "
        "and MLP of one layer alone, and one large square matmul.",
        "",
        *table(
            "model | senders | layers | sweep s | sweep GFLOP/s | layer alone GFLOP/s | square matmul GFLOP/s | "
            "share of layer | share of square",
            map(_sweep, sweeps),
        ),
    ]


def _comparison(row: Comparison) -> list[str]:
    return [
        row.model, row.work, str(row.tokens), str(row.senders),
        spread(row.reference, 1), spread(row.exact, 2), spread(ratios(row.reference, row.exact), 1),
        spread(row.screened, 2) if row.screened else "as exact",
        spread(ratios(row.reference, row.screened), 1) if row.screened else "–",
        _percent(row.recomputed), f"{row.difference:.1e}",
        spread([row.exact_flops / seconds / GIGA for seconds in row.exact], 0),
    ]  # fmt: skip


def _pass_two(row: PassTwo) -> list[str]:
    return [
        row.model, row.receiver, str(row.senders), spread(row.reference, 1), spread(row.estimates, 3),
        spread(ratios(row.reference, row.estimates), 0), spread(row.gradients, 2), f"{row.disagreement:.1e}",
    ]  # fmt: skip


def _sweep(row: SweepRate) -> list[str]:
    rates = ([rate / GIGA for rate in rates] for rates in (row.rate, row.layer, row.square))
    return [
        row.model, str(row.senders), str(row.layers), spread(row.seconds, 2), *(spread(rate, 0) for rate in rates),
        spread(ratios(row.rate, row.layer), 2), spread(ratios(row.rate, row.square), 2),
    ]  # fmt: skip


def search_sections(rows: Sequence[Any]) -> list[str]:
    searches = [row for row in rows if isinstance(row, Search)]
    left_out = [f"{row.task} is left out: {row.reason}" for row in rows if isinstance(row, LeftOut)]
    return [
        "## Whole searches, dense against APP",
        "",
        f"Bundled model, {search.PAIRS} pairs, screened with exact recheck unless a run says exact. Precision and "
        "recall compare the circuit's heads with the dense one's. Performance and faithfulness are measured on fresh "
        "prompts.",
        "",
        *(line for sentence in left_out for line in (sentence, "")),
        *table(
            "task | run | heads searched | heads found | edges | precision | recall | performance % | faithfulness",
            map(_circuit, searches),
        ),
        "### What each took",
        "",
        "Whole: clean and corrupted runs, pruning, search and verification. The self-check of a model new to the "
        "process is done before. A pass is one forward of all pairs.",
        "",
        *table(
            "task | run | TFLOP | passes | s | search alone TFLOP | search alone s | recomputed | "
            "largest disagreement in f among them",
            map(_cost, searches),
        ),
        *_savings(searches),
        *_ioi(rows, searches),
        *_predictions(searches),
        *_extrapolated(searches),
    ]


def _circuit(row: Search) -> list[str]:
    against = ["–" if value is None else f"{value:.2f}" for value in (row.precision, row.recall)]
    numbers = map(str, (row.kept, row.heads, row.edges))
    return [row.task, row.run, *numbers, *against, f"{row.performance:.0f}", f"{row.faithfulness:.2f}"]


def _cost(row: Search) -> list[str]:
    share = row.recomputed / row.estimated if row.estimated and row.recomputed is not None else None
    return [
        row.task, row.run, f"{row.flops / TERA:.2f}", f"{row.passes:,.0f}", spread(row.seconds, 1),
        f"{row.search_flops / TERA:.2f}", spread(row.search_seconds, 1), _percent(share),
        f"{row.largest:.1e}" if row.recomputed and row.largest is not None else "–",
    ]  # fmt: skip


def _savings(searches: Sequence[Search]) -> list[str]:
    """Dense over APP by task, and over all tasks."""
    dense = {row.task: row for row in searches if row.run == DENSE}
    body = []
    for run in (AUTO, FIXED):
        chosen = [row for row in searches if row.run == run]
        saved = [_saved(dense[row.task], row) for row in chosen]
        body += [[row.task, run, *(f"{value:.2f}" for value in one)] for row, one in zip(chosen, saved, strict=True)]
        body += [["all tasks", run, *(spread(column, 2) for column in zip(*saved, strict=True))]] if saved else []
    return [
        "### Dense over APP",
        "",
        "How many times as much dense path patching took. All tasks: median (smallest – largest) over them.",
        "",
        *table("task | run | FLOPs, whole | seconds, whole | FLOPs, search | seconds, search", body),
    ]


def _saved(dense: Search, app: Search) -> list[float]:
    return [
        dense.flops / app.flops,
        statistics.median(ratios(dense.seconds, app.seconds)),
        dense.search_flops / app.search_flops,
        statistics.median(ratios(dense.search_seconds, app.search_seconds)),
    ]


def _ioi(rows: Sequence[Any], searches: Sequence[Search]) -> list[str]:
    """Exact mode and the grid beside the screened search in the same mask."""
    runs = {(row.task, row.run): row for row in searches}
    lines = []
    for row in rows:
        if isinstance(row, ModesCompared):
            slow, quick = runs[row.task, EXACT], runs[row.task, FIXED]
            lines += [
                f"* {row.task}, {FIXED}: circuits of exact and screened mode share {row.heads:.2f} of their heads and "
                f"{row.edges:.2f} of their edges (Jaccard index). Exact over screened seconds: "
                f"{spread(ratios(slow.search_seconds, quick.search_seconds), 2)} search alone, "
                f"{spread(ratios(slow.seconds, quick.seconds), 2)} whole."
            ]
    for (task, run), row in runs.items():
        if run == GRID:
            times = ratios(row.search_seconds, runs[task, FIXED].search_seconds)
            lines += [f"* {task}: the 16-point grid took {spread(times, 2)} times the seconds of one search."]
    return ["### Exact mode and the grid", "", *lines, ""] if lines else []


def _predictions(searches: Sequence[Search]) -> list[str]:
    body = [
        [row.task, row.run,
         *_prediction(row.predicted_flops / TERA, row.flops / TERA),
         *_prediction(statistics.median(row.predicted_seconds), statistics.median(row.seconds)),
         *_prediction(statistics.median(row.predicted_search_seconds), statistics.median(row.search_seconds))]
        for row in searches
    ]  # fmt: skip
    return [
        "### Estimated before the run, and measured",
        "",
        "Off: estimate over measured, minus one. Made just before the search by a look ahead on three pairs, which is "
        "part of the run; the automatic keep mask is known by then.",
        "",
        *table(
            "task | run | TFLOP estimated | measured | off | s estimated | measured | off | "
            "search s estimated | measured | off",
            body,
        ),
    ]


def _prediction(estimated: float, measured: float) -> list[str]:
    return [f"{estimated:.2f}", f"{measured:.2f}", f"{100 * (estimated / measured - 1):+.0f} %"]


def _extrapolated(searches: Sequence[Search]) -> list[str]:
    body = []
    for row in (row for row in searches if row.run != GRID):  # a grid keeps the steps of one of its points
        hours = [row.reference_passes * seconds / HOUR for seconds in row.pass_seconds]
        times = ratios([HOUR * value for value in hours], row.search_seconds)
        cells = [f"{row.reference_passes:,}", spread(row.pass_seconds, 3), spread(hours, 2)]
        body.append([row.task, row.run, *cells, spread(row.search_seconds, 1), spread(times, 0)])
    return [
        "### The same search by hooked forwards, extrapolated",
        "",
        "Not run: the receivers and senders the search has visited, as hooked forwards, times the seconds one of them "
        "took on a few senders.",
        "",
        *table("task | run | hooked forwards | s each | hours in all | search s | hooked / search", body),
    ]


def interface_sections(rows: Sequence[Any]) -> list[str]:
    waits = [row for row in rows if isinstance(row, Wait)]
    drags = [row for row in rows if isinstance(row, Drag)]
    return [
        "## Waiting for the app",
        "",
        "Warm, in Chromium: milliseconds from a click on the page's own link (rerun), or on it from another page "
        "(visit), until the server said that the script had ended; and what it sent until the page was at rest.",
        "",
        *table("page | model | rerun ms | visit ms | rerun kB | visit kB", map(_wait, waits)),
        "### Dragging the sparsity slider",
        "",
        "Milliseconds from one frame of the browser to the next while the slider moves (no GPU: software drawing).",
        "",
        *table("heads | frames | median ms | 95 % within ms | longest ms", map(_drag, drags)),
    ]


def _wait(row: Wait) -> list[str]:
    return [
        row.room, row.model, spread(row.rerun, 0), spread(row.visit, 0), spread(row.rerun_kb, 0),
        spread(row.visit_kb, 0),
    ]  # fmt: skip


def _drag(row: Drag) -> list[str]:
    frames = sorted(row.frames)
    late = frames[min(len(frames) - 1, round(0.95 * len(frames)))]
    return [
        str(row.heads), str(len(frames)), f"{statistics.median(frames):.0f}", f"{late:.0f}", f"{frames[-1]:.0f}"
    ]  # fmt: skip


def scaling_sections(rows: Sequence[Any]) -> list[str]:
    searched = [row for row in rows if isinstance(row, Scaling)]
    sizes = sorted({(row.side, row.pairs, row.tokens) for row in searched})
    body = [_scaling(row) for size in sizes for mode in MODES for row in searched
            if (row.side, row.pairs, row.tokens, row.work) == (*size, mode)]  # fmt: skip
    return [
        "## Cost as heads, pairs and tokens grow",
        "",
        "Random models of GPT-2's architecture, heads of 64 channels, from tokens. Logits: all heads on the logits. "
        "Exact and screened: all heads below a receiver three quarters up, on its q, k and v; screened without "
        "recomputing anything. A pass is one forward of all pairs.",
        "",
        *table("layers x heads | pairs | tokens | work | senders | s | GFLOP | passes | GFLOP/s", body),
    ]


def _scaling(row: Scaling) -> list[str]:
    return [
        f"{row.side} x {row.side}", str(row.pairs), str(row.tokens), row.work, str(row.senders),
        spread(row.seconds, 3), f"{row.flops / GIGA:,.1f}", f"{row.passes:,.1f}",
        spread([row.flops / seconds / GIGA for seconds in row.seconds], 0),
    ]  # fmt: skip


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def table(header: str, body) -> list[str]:
    """``header`` with its cells between bars; a row is a list of cells."""
    rule = " | ".join("---" for _ in header.split(" | "))
    return [f"| {header} |", f"| {rule} |", *(f"| {' | '.join(cells)} |" for cells in body), ""]
