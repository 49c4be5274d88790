"""What two finished runs amount to against each other: costs by stage, ratios, circuits. Knows nothing of Streamlit."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from engine.circuit import Circuit, Edge
from engine.cost.ledger import CostRow, together
from engine.discovery import Discovery
from engine.figures.tables import WHOLE_RUN, Row
from engine.search.path_patching import search_cost
from engine.trust.overlap import Overlap, edge_overlap, head_overlap, name_of
from engine.trust.self_check import STAGE as SELF_CHECK

SEARCH_ALONE = "search alone"
NAMES = ("APP", "dense")
EVEN = 1.05  # a ratio below this is no difference: seconds vary by as much


@dataclass(frozen=True)
class Ratios:
    """Dense over APP, by unit: above 1 APP was cheaper."""

    seconds: float
    passes: float
    flops: float


def whole_cost(found: Discovery) -> CostRow:
    """All stages but the self-check, which whoever comes to a model first does for both."""
    return together(found.cost, WHOLE_RUN, [row.stage for row in found.cost if row.stage != SELF_CHECK])


def ratios(app: CostRow, dense: CostRow) -> Ratios:
    return Ratios(
        _ratio(dense.seconds, app.seconds),
        _ratio(dense.forward_passes, app.forward_passes),
        _ratio(dense.flops, app.flops),
    )


def _ratio(dense: float, app: float) -> float:
    return dense / app if app else math.nan


def cost_rows(app: Discovery, dense: Discovery) -> list[Row]:
    """One row a stage, then the search and the whole run; None where a contestant has no such stage."""
    costs = [{row.stage: row for row in found.cost} for found in (app, dense)]
    stages = [*costs[0], *(stage for stage in costs[1] if stage not in costs[0])]
    rows = [_cost_row(stage, costs[0].get(stage), costs[1].get(stage)) for stage in stages]
    rows.append(_cost_row(SEARCH_ALONE, search_cost(app.cost), search_cost(dense.cost)))
    rows.append(_cost_row(WHOLE_RUN, whole_cost(app), whole_cost(dense)))
    return rows


def _cost_row(stage: str, app: CostRow | None, dense: CostRow | None) -> Row:
    row: Row = {"stage": stage}
    for unit, scale, name in (("s", 1.0, "seconds"), ("passes", 1.0, "forward_passes"), ("GFLOP", 1e9, "flops")):
        for contestant, cost in zip(NAMES, (app, dense), strict=True):
            row[f"{contestant} {unit}"] = None if cost is None else getattr(cost, name) / scale
    both = app is not None and dense is not None and app.flops > 0
    row["dense ÷ APP, FLOPs"] = dense.flops / app.flops if both and dense is not None and app is not None else None
    return row


def truth_rows(app: Discovery, dense: Discovery) -> list[Row]:
    """Size and truth of each circuit; None where it was not verified."""
    return [_truth_row(name, found) for name, found in zip(NAMES, (app, dense), strict=True)]


def _truth_row(name: str, found: Discovery) -> Row:
    circuit, checked = found.circuit, found.verification
    return {
        "contestant": name,
        "complete": found.complete,
        "heads": len(circuit.heads),
        "edges": len(circuit.edges),
        "sparsity": circuit.sparsity,
        "performance %": checked.performance if checked else None,
        "faithfulness": checked.faithfulness if checked else None,
        "n": checked.n if checked else None,
        "seed": checked.seed if checked else None,
    }


def edge_rows(app: Circuit, dense: Circuit) -> list[Row]:
    """Every edge of either, strongest first, with its effect in each circuit it is in."""
    effects = [{name_of(edge): edge for edge in circuit.edges} for circuit in (app, dense)]
    names = sorted({**effects[0], **effects[1]}, key=lambda name: -max(_size(each.get(name)) for each in effects))
    return [_edge_row(effects[0].get(name), effects[1].get(name)) for name in names]


def _size(edge: Edge | None) -> float:
    return abs(edge.effect) if edge is not None else 0.0


def _edge_row(app: Edge | None, dense: Edge | None) -> Row:
    edge = app or dense
    assert edge is not None
    return {
        "sender": str(edge.sender),
        "receiver": str(edge.receiver or "logits"),
        "input": edge.input.value,
        "effect in APP": app.effect if app else None,
        "effect in dense": dense.effect if dense else None,
        "in": "both" if app and dense else NAMES[0] if app else NAMES[1],
    }


def overlap_rows(app: Circuit, dense: Circuit) -> list[Row]:
    """Heads and edges: how many in both and in one alone, and the three shares (None where of nothing)."""
    both: list[tuple[str, Overlap[Any]]] = [("heads", head_overlap(app, dense)), ("edges", edge_overlap(app, dense))]
    return [
        {
            "of": what,
            "in both": len(over.common), "only APP": len(over.only_first), "only dense": len(over.only_second),
            "precision": known(over.precision), "recall": known(over.recall), "Jaccard": known(over.jaccard),
        }
        for what, over in both
    ]  # fmt: skip


def known(value: float) -> float | None:
    return None if math.isnan(value) else value


def race_json(app: Discovery, dense: Discovery) -> str:
    """Everything on the page."""
    over = head_overlap(app.circuit, dense.circuit)
    content = {
        "settings": {name: asdict(found.settings) for name, found in zip(NAMES, (app, dense), strict=True)},
        "cost": cost_rows(app, dense),
        "not_in_the_totals": SELF_CHECK,
        "circuits": truth_rows(app, dense),
        "overlap": overlap_rows(app.circuit, dense.circuit),
        "heads": {
            "in both": list(map(str, over.common)),
            "only APP": list(map(str, over.only_first)),
            "only dense": list(map(str, over.only_second)),
        },
        "edges": edge_rows(app.circuit, dense.circuit),
    }
    return json.dumps(content, indent=1, default=str)
