"""The sparsity sweep of a run as it notes it: mask by mask while it works, whole once it is done or was at hand."""

from __future__ import annotations

from engine.cost.ledger import Ledger, pass_flops
from engine.cost.ledger_json import cost_in
from engine.notes.journal import Journal
from engine.notes.notes import COST, Note, Notes
from engine.prepare import Prepared
from engine.progress import Watcher
from engine.pruning.sparsity_sweep import Pruning, prune
from engine.record.sweep_json import read_pruning, sweep_json

NOTE = "sweep"


def noted_pruning(prepared: Prepared, pruning: Pruning | None, watcher: Watcher, journal: Journal) -> Pruning:
    """``pruning`` if it is at hand, else what ``journal`` has, else swept for now; raises Cancelled."""
    passes = pass_flops(prepared.model, prepared.prompts)
    if pruning is None:
        noted = Notes(journal, Ledger(passes, watcher.spend)).read(NOTE, lambda note: _parse(note, prepared))
        if noted is not None:
            return noted
        pruning = prune(prepared, watcher, journal)
    booked = Ledger(passes)
    booked.stand_at(pruning.cost)
    Notes(journal, booked).write(NOTE, sweep_json(pruning))
    return pruning


def _parse(note: Note, prepared: Prepared) -> Pruning:
    return read_pruning(note.values, prepared.scores, cost_in(note.values.part(COST)))
