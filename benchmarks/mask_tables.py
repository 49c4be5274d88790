"""Measured recall of head scores as Markdown tables."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks import masks
from benchmarks.masks import Recall
from benchmarks.search import LeftOut
from benchmarks.tables import table
from engine.scores.kinds import TITLES, Score


def masks_sections(rows: Sequence[Any]) -> list[str]:
    recalls = [row for row in rows if isinstance(row, Recall)]
    left_out = [f"{row.task} is left out: {row.reason}" for row in rows if isinstance(row, LeftOut)]
    shares = " | ".join(f"top {100 * share:.0f} %" for share in masks.SHARES)
    return [
        "## Recall of the dense circuit by head score",
        "",
        f"{masks.PAIRS} pairs; the dense circuit is screened, with default thresholds, on the prompts the scores are "
        f"of. All masks of a column have one size. Smallest: share of all heads that holds {masks.ENOUGH:.0%} of the "
        "circuit. Passes: forwards of all pairs beyond the two runs of every mask.",
        "",
        *left_out,
        *([""] if left_out else []),
        *table(f"task | heads | dense circuit | score | {shares} | smallest | passes | s", map(_recall, recalls)),
        *_all_tasks(recalls),
    ]


def _recall(row: Recall) -> list[str]:
    return [
        row.task, str(row.heads), str(row.circuit), TITLES[Score(row.score)],
        *(f"{value:.2f}" for value in row.recall), f"{100 * row.smallest:.0f} %", f"{row.passes:.1f}",
        f"{row.seconds:.1f}",
    ]  # fmt: skip


def _all_tasks(recalls: Sequence[Recall]) -> list[str]:
    """Mean and smallest over tasks, the best score first."""
    by_score: dict[str, list[Recall]] = {}
    for row in recalls:
        by_score.setdefault(row.score, []).append(row)
    place = masks.SHARES.index(masks.TOLD)
    body = [
        [
            TITLES[Score(score)], str(len(rows)),
            *(f"{statistics.mean(row.recall[i] for row in rows):.2f}" for i in range(len(masks.SHARES))),
            f"{min(row.recall[place] for row in rows):.2f}", f"{100 * max(row.smallest for row in rows):.0f} %",
        ]
        for score, rows in sorted(
            by_score.items(), key=lambda item: -statistics.mean(row.recall[place] for row in item[1])
        )
    ]  # fmt: skip
    shares = " | ".join(f"mean at {100 * share:.0f} %" for share in masks.SHARES)
    told = f"{100 * masks.TOLD:.0f} %"
    return ["Over all tasks:", "", *table(f"score | tasks | {shares} | worst at {told} | largest smallest", body)]
