"""Where a circuit's nodes go: layers upward, few crossings (barycentre heuristic of Sugiyama et al. 1981).

1. Every layer that has nodes is a row; the logits are the row above all others.
2. Rows start in head order. Sweeps down and up order each row by the mean position of its nodes'
   neighbours in the rows already passed; the best order seen, by crossings, stays.
3. Within its row's order each node moves as near to the mean of its neighbours as a least
   distance between nodes allows (isotonic regression, so no node jumps another).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

Rows = list[list[Hashable]]  # bottom row first
Edges = Sequence[tuple[Hashable, Hashable]]
SWEEPS = 8
BLOCK = 256  # edges held against all later ones at a time: bounds the memory it takes


def place(rows: Rows, edges: Edges) -> dict[Hashable, tuple[float, float]]:
    """(x, y) of every node: y is its row's number, neighbours in a row are at least 1 apart in x."""
    ordered = order_rows(rows, edges)
    x = _spread(ordered)
    neighbours = _neighbours(edges)
    for _ in range(SWEEPS):
        for row in ordered:
            wishes = [_mean_x(neighbours[node], x, otherwise=x[node]) for node in row]
            x.update(zip(row, _keep_apart(wishes), strict=True))
    return {node: (x[node], float(y)) for y, row in enumerate(ordered) for node in row}


def order_rows(rows: Rows, edges: Edges) -> Rows:
    """The rows with their nodes reordered so that straight edges cross less often, never more often."""
    neighbours = _neighbours(edges)
    current = [list(row) for row in rows]
    best, fewest = current, count_crossings(current, edges)
    for sweep in range(SWEEPS):
        if fewest == 0:
            break
        current = _sweep(current, neighbours, upward=sweep % 2 == 0)
        crossings = count_crossings(current, edges)
        if crossings < fewest:
            best, fewest = current, crossings
    return best


def count_crossings(rows: Rows, edges: Edges) -> int:
    """Pairs of edges that cross when drawn straight, each row spread evenly around the middle."""
    x = _spread(rows)
    y = {node: number for number, row in enumerate(rows) for node in row}
    # [edge 2]: lower and upper end of each edge
    ends = [sorted(edge, key=lambda node: y[node]) for edge in dict.fromkeys(edges)]
    if len(ends) < 2:
        return 0
    px = np.array([[x[low], x[high]] for low, high in ends], dtype=float)
    py = np.array([[y[low], y[high]] for low, high in ends], dtype=float)
    total = 0
    for first in range(0, len(ends) - 1, BLOCK):
        block = slice(first, first + BLOCK)
        total += int(_crosses(px[block], py[block], px[first:], py[first:]).sum())
    return total


def _crosses(x: np.ndarray, y: np.ndarray, others_x: np.ndarray, others_y: np.ndarray) -> np.ndarray:
    """Whether upward edges cross each of the others ``[edge other]``: they change sides between the heights they share.

    The others begin with the edges themselves; each pair among those counts once.
    """
    slope = (x[:, 1] - x[:, 0]) / (y[:, 1] - y[:, 0])
    slopes = (others_x[:, 1] - others_x[:, 0]) / (others_y[:, 1] - others_y[:, 0])
    low = np.maximum(y[:, :1], others_y[:, 0])
    high = np.minimum(y[:, 1:], others_y[:, 1])
    shift = (x[:, 0] - slope * y[:, 0])[:, None] - (others_x[:, 0] - slopes * others_y[:, 0])
    turn = slope[:, None] - slopes
    at_low, at_high = shift + turn * low, shift + turn * high
    tiny = 1e-9  # edges that only meet in a shared end do not cross
    crosses = (low < high) & (at_low * at_high < 0) & (np.abs(at_low) > tiny) & (np.abs(at_high) > tiny)
    return np.triu(crosses, k=1)


def _sweep(rows: Rows, neighbours: Mapping[Hashable, list[Hashable]], upward: bool) -> Rows:
    """Order each row by its nodes' neighbours in the rows passed before; nodes without any keep their place."""
    x = _spread(rows)
    passed: set[Hashable] = set()
    result = [list(row) for row in rows]
    for number in range(len(rows)) if upward else reversed(range(len(rows))):
        means = {}
        for node in rows[number]:
            known = [n for n in neighbours[node] if n in passed]
            means[node] = _mean_x(known, x, otherwise=x[node])
        result[number] = sorted(rows[number], key=means.__getitem__)
        x.update(_spread([result[number]]))
        passed.update(rows[number])
    return result


def _spread(rows: Rows) -> dict[Hashable, float]:
    """x of every node with each row evenly spaced by 1 around 0."""
    return {node: i - (len(row) - 1) / 2 for row in rows for i, node in enumerate(row)}


def _mean_x(nodes: Sequence[Hashable], x: Mapping[Hashable, float], otherwise: float) -> float:
    return sum(x[node] for node in nodes) / len(nodes) if nodes else otherwise


def _neighbours(edges: Edges) -> defaultdict[Hashable, list[Hashable]]:
    result: defaultdict[Hashable, list[Hashable]] = defaultdict(list)
    for a, b in edges:
        result[a].append(b)
        result[b].append(a)
    return result


def _keep_apart(wishes: Sequence[float]) -> list[float]:
    """Positions nearest (in squares) to ``wishes`` that keep their order and are at least 1 apart."""
    # With x_i = y_i + i the distance rule is y non-decreasing: pool neighbours that violate it.
    pools: list[tuple[float, int]] = []  # (mean, how many)
    for i, wish in enumerate(wishes):
        mean, count = wish - i, 1
        while pools and pools[-1][0] > mean:
            before, size = pools.pop()
            mean, count = (before * size + mean * count) / (size + count), size + count
        pools.append((mean, count))
    levels = [mean for mean, count in pools for _ in range(count)]
    return [level + i for i, level in enumerate(levels)]
