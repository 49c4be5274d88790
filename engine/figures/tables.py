"""The table twin of every figure: the same results as rows, for reading and for CSV."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from engine.circuit import LOGITS_NODE, Circuit, Input
from engine.figures.results import KINDS, SCORE_NAMES, BandLike, CostLike, GridLike, StepLike, SweepLike
from engine.heads import Head
from engine.nodes import Node, nodes_of
from engine.pruning.masks import drop_sparsity

if TYPE_CHECKING:
    from torch import Tensor

Row = dict[str, str | float | int | bool | None]

WHOLE_RUN = "whole run"
COST_UNITS: dict[str, Callable[[CostLike], float]] = {
    "s": lambda cost: cost.seconds,
    "passes": lambda cost: cost.forward_passes,
    "GFLOP": lambda cost: cost.flops / 1e9,
}


def score_rows(scores: Mapping[str, Tensor]) -> list[Row]:
    """One row a head: each score [layer head] with the sparsity that drops the head; keys are score names."""
    drops = {name: drop_sparsity(values) for name, values in scores.items()}
    shape = next(iter(scores.values())).shape
    rows: list[Row] = []
    for head in _all_heads(shape[0], shape[1]):
        row: Row = {"head": str(head), "layer": head.layer, "index": head.index}
        for name, values in scores.items():
            row[name] = round(float(values[head.layer, head.index]), 6)
            row[f"{name} dropped at sparsity"] = round(float(drops[name][head.layer, head.index]), 2)
        rows.append(row)
    return rows


def sweep_rows(sweeps: Sequence[SweepLike], band: BandLike | None) -> list[Row]:
    """One row a curve and sparsity; performance in percent."""
    rows: list[Row] = [
        {"curve": SCORE_NAMES[sweep.score], "sparsity": sparsity, "heads kept": size, "performance %": value}
        for sweep in sweeps
        for sparsity, size, value in zip(sweep.sparsities, sweep.sizes, sweep.performance, strict=True)
    ]
    if band is not None:
        for name, values in (("low", band.low), ("median", band.median), ("high", band.high)):
            rows += [
                {"curve": f"random sets, {name} of {band.draws}", "sparsity": p, "heads kept": None, "performance %": r}
                for p, r in zip(band.sparsities, values, strict=True)
            ]
    return rows


def edge_rows(circuit: Circuit, min_effect: float = 0.0) -> list[Row]:
    """One row an edge of at least ``min_effect``, strongest first."""
    edges = sorted(circuit.edges, key=lambda edge: -abs(edge.effect))
    return [
        {
            "sender": str(edge.sender),
            "receiver": "logits" if edge.receiver is None else str(edge.receiver),
            "input": edge.input.value,
            "effect": edge.effect,
            "shared": edge.shared,
        }
        for edge in edges
        if abs(edge.effect) >= min_effect
    ]


def effect_rows(
    effects: Tensor, estimated: Tensor, thresholds: Tensor, important: Sequence[Node], mlps: bool = False
) -> list[Row]:
    """One row a measured sender of one search step, in layer order; the threshold is None where it is infinite.

    ``estimated [layer head]`` marks effects that are first-order only. ``mlps``: both have a last column for MLPs.
    """
    chosen = set(important)
    rows: list[Row] = []
    for head in nodes_of(~effects.isnan(), effects.shape[1] - mlps):
        limit = float(thresholds[head.layer])
        rows.append(
            {
                "sender": str(head),
                "effect": float(effects[head.layer, head.index]),
                "kind": KINDS[bool(estimated[head.layer, head.index])],
                "threshold": None if limit == float("inf") else limit,
                "important": head in chosen,
            }
        )
    return rows


def head_rows(steps: Sequence[StepLike], circuit: Circuit, head: Head) -> list[Row]:
    """Every effect one head was measured to have, and the edges it receives, strongest first.

    What did not become an edge may be an estimate; what did is exact, but where the search has nothing else.
    """
    rows = [row for step in steps for row in _sent_rows(step, head)]
    guessed = {step.input: step.estimated for step in steps if head in step.receivers}
    for edge in circuit.edges:
        if edge.receiver == head:
            sender, mask = edge.sender, guessed.get(edge.input)
            guess = mask is not None and bool(mask[sender.layer, sender.index])
            rows.append(_head_row("hears from", str(sender), edge.input, edge.effect, guess, True, edge.shared))
    return sorted(rows, key=lambda row: -abs(float(row["effect"] or 0.0)))


def _sent_rows(step: StepLike, head: Head) -> list[Row]:
    """What the head does to the receivers of one step; nothing where it was not measured."""
    effect, shared = float(step.effects[head.layer, head.index]), len(step.receivers) > 1
    if effect != effect:
        return []
    guess, important = bool(step.estimated[head.layer, head.index]), head in step.important
    names = [str(receiver) for receiver in step.receivers] or [LOGITS_NODE]
    return [_head_row("sends to", name, step.input, effect, guess, important, shared) for name in names]


def _head_row(
    direction: str, other: str, entry: Input, effect: float, guess: bool, in_circuit: bool, shared: bool
) -> Row:
    return {
        "direction": direction, "other": other, "input": entry.value, "effect": effect, "kind": KINDS[guess],
        "in the circuit": in_circuit, "shared by its KV group": shared,
    }  # fmt: skip


def grid_rows(grid: GridLike) -> list[Row]:
    """One row a pair of thresholds; performance in percent, on the prompts searched."""
    return [
        {
            "threshold scale s": point.thresholds.scale, "smallest effect": point.thresholds.min_effect,
            "heads": point.size, "edges": point.edges, "performance %": point.performance,
            "kind": KINDS[point.estimated], "taken": index == grid.chosen,
        }
        for index, point in enumerate(grid.points)
    ]  # fmt: skip


def cost_rows(predicted: Sequence[CostLike], measured: Sequence[CostLike]) -> list[Row]:
    """One row a stage, predicted beside measured, in the order predicted; None where a side has nothing.

    The last row is the whole run's, whose measured side stays empty until every predicted stage is measured.
    """
    before, after = ({row.stage: row for row in rows} for rows in (predicted, measured))
    rows = [_cost_row(name, before.get(name), after.get(name)) for name in {**before, **after}]
    whole: Row = {"stage": WHOLE_RUN}
    for name in list(rows[0])[1:] if rows else ():
        known = [float(row[name] or 0.0) for row in rows]
        whole[name] = None if name.startswith("measured") and before.keys() - after.keys() else sum(known)
    return [*rows, whole]


def _cost_row(stage: str, predicted: CostLike | None, measured: CostLike | None) -> Row:
    row: Row = {"stage": stage}
    for unit, read in COST_UNITS.items():
        row[f"predicted {unit}"] = None if predicted is None else read(predicted)
        row[f"measured {unit}"] = None if measured is None else read(measured)
    return row


def attention_rows(pattern: Tensor, tokens: Sequence[str]) -> list[Row]:
    """One row a query and key that is not in its future; attention [query key]."""
    return [
        {
            "query position": query, "query": tokens[query], "key position": key, "key": tokens[key],
            "attention": round(float(pattern[query, key]), 6),
        }
        for query in range(len(tokens))
        for key in range(query + 1)
    ]  # fmt: skip


def rounded(value: float) -> float | None:
    """To six digits; None where it is undefined."""
    return round(value, 6) if math.isfinite(value) else None


def _all_heads(n_layers: int, n_heads: int) -> list[Head]:
    return [Head(layer, index) for layer in range(n_layers) for index in range(n_heads)]
