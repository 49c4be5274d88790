"""What a run knows of its own cost before it searches, as it notes it (engine/notes/notes.py)."""

from __future__ import annotations

from dataclasses import dataclass

from engine.cost.ledger import CostRow
from engine.cost.ledger_json import cost_in, cost_json, work_in, work_json
from engine.cost.pilot import STAGE, Pilot
from engine.notes.notes import Note
from engine.record.json_values import Json

AHEAD = STAGE


@dataclass(frozen=True)
class Ahead:
    """``pilot`` is None where looking ahead was not worthwhile; ``predicted``: by stage."""

    pilot: Pilot | None
    predicted: tuple[CostRow, ...]

    def as_json(self) -> Json:
        """A note's values."""
        return {"predicted": cost_json(self.predicted), "pilot": None if self.pilot is None else _json(self.pilot)}


def read_ahead(note: Note, n_layers: int, n_heads: int) -> Ahead:
    """The inverse of ``as_json``; raises HeadlightError for anything else."""
    predicted = cost_in(note.values.part("predicted"))
    if "pilot" not in note.values:
        return Ahead(None, predicted)
    part = note.values.part("pilot")
    return Ahead(
        Pilot(
            receivers=part.nodes("receivers", n_layers, n_heads, mlps=True),
            recomputed=part.number("recomputed"),
            circuits=tuple(each.nodes("nodes", n_layers, n_heads, mlps=True) for each in part.parts("circuits")),
            cost=work_in(part.part("cost"), STAGE),
        ),
        predicted,
    )


def _json(pilot: Pilot) -> Json:
    return {
        "receivers": [str(node) for node in pilot.receivers],
        "recomputed": pilot.recomputed,
        "circuits": [{"nodes": [str(node) for node in nodes]} for nodes in pilot.circuits],
        "cost": work_json(pilot.cost),
    }
