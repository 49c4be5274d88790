"""What of an EAP-IG or MIB graph is the circuit.

1. Edges that are marked in_graph, if any is.
2. Else the ``strongest`` edges by |score| that hang together: the logits may be reached by any edge, a node by its own
   once one of its edges is taken, the strongest first. A score of 0 is no edge; of equal ones the first listed.
3. Else, where no edge has a score, the nodes that are marked, or else the ``strongest`` nodes by |score|. A file
   without marks and scores is that of an empty circuit.

2 and 3 are told in a note. Edges from the embedding are no candidates.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.circuit import LOGITS_NODE
from engine.interchange.plain_graph import INPUT_NODE


@dataclass(frozen=True)
class Link:
    """One edge of a file, its ends named as here; ``score`` is None where it has none."""

    sender: str
    receiver: str
    letter: str | None  # of a head
    score: float | None
    marked: bool
    shared: bool = False


@dataclass(frozen=True)
class Mark:
    """What a file says of a node."""

    marked: bool
    score: float | None


def chosen_links(links: Sequence[Link], strongest: int) -> tuple[tuple[Link, ...], tuple[str, ...]]:
    """The edges of the circuit, and a note if they were chosen by score."""
    marked = tuple(link for link in links if link.marked)
    if marked:
        return marked, ()
    scored = [link for link in links if link.score and link.sender != INPUT_NODE]
    taken = _hanging_together(scored, strongest)
    if not taken:
        return (), ()
    return taken, (
        f"No edge is marked as in the graph. Taken are the {len(taken):,} strongest by |score| that hang together, of "
        f"{len(scored):,} with a score.",
    )


def chosen_nodes(nodes: Mapping[str, Mark], strongest: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The nodes of a circuit without edges, and a note if they were chosen by score."""
    inner = {name: mark for name, mark in nodes.items() if name not in (INPUT_NODE, LOGITS_NODE)}
    marked = tuple(name for name, mark in inner.items() if mark.marked)
    scored = [(abs(mark.score), name) for name, mark in inner.items() if mark.score]
    if marked or not scored:
        return marked, ()
    taken = [name for _, name in heapq.nlargest(strongest, scored, key=lambda pair: pair[0])]
    return tuple(taken), (
        f"No edge and no node is marked as in the graph, and no edge has a score. Taken are the {len(taken):,} "
        f"strongest nodes by |score|, of {len(scored):,}.",
    )


def _hanging_together(links: Sequence[Link], n: int) -> tuple[Link, ...]:
    into: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    for place, link in enumerate(links):
        into[link.receiver].append((-abs(link.score or 0.0), place))
    queue = into.pop(LOGITS_NODE, [])
    heapq.heapify(queue)
    taken: list[Link] = []
    while queue and len(taken) < n:
        link = links[heapq.heappop(queue)[1]]
        taken.append(link)
        for candidate in into.pop(link.sender, []):
            heapq.heappush(queue, candidate)
    return tuple(taken)
