"""The steps as tables: the list of them, and every effect of all of them for a file."""

from __future__ import annotations

from collections.abc import Sequence

from engine.figures.tables import Row, effect_rows
from engine.search.trail import Station


def step_rows(trail: Sequence[Station]) -> list[Row]:
    """One row a step, in order; what had been spent counts the whole layer, None where it is not known."""
    rows: list[Row] = []
    for station in trail:
        spent = station.step.spent
        rows.append(
            {
                "step": station.number, "receiver": station.receiver, "senders measured": station.measured,
                "estimates": station.guessed, "kept": len(station.step.important), "outcome": station.outcome.value,
                "new heads": len(station.new_heads), "new edges": len(station.new_edges), "heads": station.heads,
                "edges": station.edges, "seconds until here": spent.seconds if spent else None,
                "passes until here": spent.forward_passes if spent else None,
                "GFLOP until here": spent.flops / 1e9 if spent else None,
            }
        )  # fmt: skip
    return rows


def all_effects(trail: Sequence[Station]) -> list[Row]:
    """One row a step and measured sender."""
    return [
        {"step": station.number, "receiver": station.receiver, **row}
        for station in trail
        for row in sender_rows(station)
    ]


def sender_rows(station: Station) -> list[Row]:
    """One row a measured sender of a step, strongest first."""
    step = station.step
    rows = effect_rows(step.effects, step.estimated, step.thresholds, step.important, step.mlps)
    return sorted(rows, key=lambda row: -abs(float(row["effect"] or 0.0)))
