"""What ACDC notes of a layer it has visited, and how it goes on from there (engine/notes/notes.py).

1. A note holds the layer's decisions in their order, the metric of the graph as it stands, and the counts of screening.
2. Once a layer is decided, nothing that was run for it is kept but the gradients of the estimates
   (engine/search/acdc.py), and these are made anew from the graph as it then stands. So what follows depends on the
   decisions alone.
3. Gone on with, those gradients are made again, unbooked, layer by layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.edges.wiring import Senders
from engine.heads import Head
from engine.notes.notes import Note
from engine.patching.receiver import Receiver
from engine.patching.screening import Screening
from engine.record.json_values import Json
from engine.record.reader import Reader


@dataclass(frozen=True, eq=False)
class Decision:
    """Who is still heard, and f of each sender when it was decided."""

    kept: Senders
    effects: Mapping[Head, float]
    estimated: Senders  # not run


@dataclass(frozen=True, eq=False)
class Visited:
    """A layer's receivers in their order, what was decided of each; the metric then (None: not run), and the counts
    since the search began."""

    receivers: tuple[Receiver, ...]
    decisions: tuple[Decision, ...]
    now: float | None
    counts: Screening

    def as_json(self) -> Json:
        """A note's values."""
        return {
            "decisions": [_decision_json(*pair) for pair in zip(self.receivers, self.decisions, strict=True)],
            "now": self.now,
            "counts": [self.counts.estimated, self.counts.recomputed, self.counts.largest],
        }


def read_visited(note: Note, receivers: Sequence[Receiver], below: Senders) -> Visited:
    """The inverse of ``as_json``; raises HeadlightError unless it is of ``receivers`` hearing heads of ``below``."""
    parts = note.values.parts("decisions")
    named = [part.text("receiver") for part in parts]
    if named != [str(receiver) for receiver in receivers]:
        raise note.values.wrong("decisions", ", ".join(map(str, receivers)), ", ".join(named))
    heads = {str(head): head for head in below}
    counts = note.values.rows("counts")
    if [type(count) for count in counts] != [int, int, float]:
        raise note.values.wrong("counts", "two counts and a number", counts)
    now = note.values.number("now") if "now" in note.values else None
    return Visited(tuple(receivers), tuple(_decision(part, heads) for part in parts), now, Screening(*counts))


def _decision_json(receiver: Receiver, decision: Decision) -> Json:
    return {
        "receiver": str(receiver),
        "kept": [str(head) for head in sorted(decision.kept)],
        "estimated": [str(head) for head in sorted(decision.estimated)],
        "effects": {str(head): f for head, f in decision.effects.items()},
    }


def _decision(part: Reader, heads: Mapping[str, Head]) -> Decision:
    effects = part.part("effects")
    named = [*part.texts("kept"), *part.texts("estimated"), *effects.value]
    if unknown := [name for name in named if name not in heads]:
        raise part.wrong("effects", "senders below the receiver", unknown[0])
    return Decision(
        kept=frozenset(heads[name] for name in part.texts("kept")),
        effects={heads[name]: effects.number(name) for name in effects.value},
        estimated=frozenset(heads[name] for name in part.texts("estimated")),
    )
