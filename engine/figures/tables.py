"""The table twin of every figure: the same results as rows, for reading and for CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from engine.circuit import Circuit
from engine.figures.results import SCORE_NAMES, BandLike, SweepLike
from engine.heads import Head, heads_of
from engine.pruning import drop_sparsity

if TYPE_CHECKING:
    from torch import Tensor

Row = dict[str, str | float | int | bool | None]


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


def effect_rows(effects: Tensor, thresholds: Tensor, important: Sequence[Head]) -> list[Row]:
    """One row a measured sender of one search step, in layer order; the threshold is None where it is infinite."""
    chosen = set(important)
    rows: list[Row] = []
    for head in heads_of(~effects.isnan()):
        limit = float(thresholds[head.layer])
        rows.append(
            {
                "sender": str(head),
                "effect": float(effects[head.layer, head.index]),
                "threshold": None if limit == float("inf") else limit,
                "important": head in chosen,
            }
        )
    return rows


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


def _all_heads(n_layers: int, n_heads: int) -> list[Head]:
    return [Head(layer, index) for layer in range(n_layers) for index in range(n_heads)]
