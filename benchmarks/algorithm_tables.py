"""Searches of one task side by side as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks import algorithms
from benchmarks.algorithms import Contest
from benchmarks.search import PAIRS, LeftOut
from benchmarks.tables import table


def algorithms_sections(rows: Sequence[Any]) -> list[str]:
    contests = [row for row in rows if isinstance(row, Contest)]
    left_out = [f"{row.task} is left out: {row.reason}" for row in rows if isinstance(row, LeftOut)]
    return [
        "## APP, dense path patching, ACDC and EAP-IG",
        "",
        f"{PAIRS} pairs, screened where an algorithm can be, default thresholds; this mask: {algorithms.MASK}. "
        "Precision and recall are of heads against dense path patching. Performance and faithfulness are of a circuit "
        "on fresh prompts, everything else ablated by its corrupted mean, with the 95 % interval over pairs; of edges: "
        "only the circuit's edges live. GFLOPs are of the whole run.",
        "",
        *(line for sentence in left_out for line in (sentence, "")),
        *table(
            "task | run | heads searched | heads | edges | performance % | faithfulness | of edges | precision | "
            "recall | GFLOPs | s",
            map(_contest, contests),
        ),
    ]


def _contest(row: Contest) -> list[str]:
    return [
        row.task, row.run, str(row.candidates), str(row.heads), str(row.edges), f"{row.performance:.1f}",
        _interval(row.faithfulness), _interval(row.edge_faithfulness), f"{row.precision:.2f}", f"{row.recall:.2f}",
        f"{row.gigaflops:,.0f}", f"{row.seconds:.0f}",
    ]  # fmt: skip


def _interval(values: Sequence[float]) -> str:
    value, low, high = values
    return f"{value:.2f} ({low:.2f} – {high:.2f})"
