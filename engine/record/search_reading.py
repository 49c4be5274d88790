"""What a search left in a record (engine/record/writing.py), brought back: its steps, its screening, its grid.

Thresholds are infinite where the record has null: no sender can be important there.
"""

from __future__ import annotations

import math

import torch

from engine.circuit import Input
from engine.cost.ledger_json import work_in
from engine.nodes import node_mask
from engine.patching.screening import Screening
from engine.record.reader import Reader
from engine.search.grid import Grid, GridPoint
from engine.search.path_patching import SearchStep, Thresholds
from engine.search.stops import STAGE


def read_steps(whole: Reader, shape: tuple[int, int], mlps: bool) -> tuple[SearchStep, ...]:
    """All receivers searched, in order; ``mlps``: matrices have a last column for MLPs."""
    return tuple(_step(part, shape, mlps) for part in whole.parts("steps"))


def _step(part: Reader, shape: tuple[int, int], mlps: bool) -> SearchStep:
    n_layers, n_heads = shape
    receivers, letter = part.nodes("receivers", *shape, mlps), part.choice("input", Input)
    if (letter is Input.LOGITS) != (not receivers):
        raise part.wrong("receivers", "nodes for every input but the logits'", ", ".join(map(str, receivers)))
    estimated = node_mask(part.nodes("estimated", *shape, mlps), *shape)
    limits = part.numbers("thresholds", n_layers)
    return SearchStep(
        receivers=receivers,
        input=letter,
        effects=part.matrix("effects", (n_layers, n_heads + mlps)),
        estimated=estimated if mlps else estimated[:, :n_heads],
        thresholds=torch.tensor([math.inf if math.isnan(x) else x for x in limits], dtype=torch.float64),
        important=part.nodes("important", *shape, mlps),
        spent=work_in(part.part("spent"), STAGE) if "spent" in part else None,
        mlps=mlps,
    )


def read_screening(part: Reader) -> Screening:
    most = 2**53
    return Screening(
        part.whole("estimated", 0, most), part.whole("recomputed", 0, most), part.number("largest_disagreement")
    )


def read_grid(part: Reader) -> Grid:
    """All points, one of them chosen; raises HeadlightError where it is not one."""
    rows = part.parts("points")
    chosen = [place for place, row in enumerate(rows) if row.flag("chosen")]
    if len(chosen) != 1:
        raise part.wrong("points", "one point that is chosen", f"{len(chosen)} of them")
    return Grid(tuple(_point(row) for row in rows), chosen[0], part.text("reason", 1000))


def _point(row: Reader) -> GridPoint:
    return GridPoint(
        thresholds=Thresholds(row.number("threshold_scale"), row.number("min_effect")),
        size=row.whole("heads"),
        edges=row.whole("edges"),
        performance=row.number("performance"),
        estimated=row.flag("estimated"),
    )
