"""How the nodes of the circuit's map look: a mark for each role, what is shown besides the circuit, sizes in pixels."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from engine.behaviour.roles import Role
from engine.figures.edges import Place
from engine.heads import Head
from engine.trust.frequency import CircuitFrequency

NAME_ROOM = 14  # pixels a row is higher where heads have names under them
COMFORTABLE_HEIGHT = 640  # pixels that rows share while they are few
CHART_WIDTH = 900  # pixels, about what a laptop gives; sizes are chosen for it
PLAIN = "#8d93a1"


@dataclass(frozen=True)
class Mark:
    """How a role looks; triangles are drawn larger, since less of them is inside."""

    symbol: str
    colour: str
    scale: float = 1.0


ROLE_MARKS: dict[Role, Mark] = {  # Okabe and Ito's colours, which colour-blind readers tell apart
    Role.PREVIOUS: Mark("square", "#0072b2", 0.9),
    Role.DUPLICATE: Mark("diamond", "#56b4e9", 1.15),
    Role.INDUCTION: Mark("hexagon", "#009e73", 1.08),
    Role.S_INHIBITION: Mark("pentagon", "#cc79a7", 1.1),
    Role.NAME_MOVER: Mark("triangle-up", "#e69f00", 1.4),
    Role.NEGATIVE_MOVER: Mark("triangle-down", "#d55e00", 1.4),
}


@dataclass(frozen=True)
class Look:
    """What is shown of the heads besides the circuit. ``names`` are the reader's; ``key_roles`` an answer key's."""

    dark: bool
    selected: Head | None = None
    pinned: Collection[Head] = ()
    names: Mapping[Head, str] = field(default_factory=dict)
    roles: Mapping[Head, tuple[Role, ...]] = field(default_factory=dict)
    by_role: bool = False  # fill: role, else effect
    key_roles: Mapping[Head, str] | None = None
    missing: Collection[Head] = ()
    frequency: CircuitFrequency | None = None  # how often each head and edge was found again: their opacity


@dataclass(frozen=True)
class Scale:
    """Pixels: of a node, from row to row, and whether a label fits into a node."""

    node: int
    row: int
    labelled: bool

    @staticmethod
    def of(places: Place, n_rows: int, with_names: bool) -> Scale:
        xs = [x for x, _ in places.values()]
        node = int(min(38, max(13, 0.72 * CHART_WIDTH / (max(xs) - min(xs) + 1.6))))
        if n_rows > 16:
            node = min(node, 30)
        row = min(node + 30, max(node + 10, COMFORTABLE_HEIGHT / n_rows))
        return Scale(node, round(row) + (NAME_ROOM if with_names else 0), node >= 21)

    @property
    def ring(self) -> float:
        return self.node * 1.25 + 8
