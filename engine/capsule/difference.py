"""What two runs have in common and where they differ, from their capsules or records alone.

1. Results: parts of the records that hold numbers found, equal to the last digit or not. Times never count.
2. What they were asked and made with: settings, versions, the model's fingerprint.
3. Circuits: nodes and edges of both, and of one alone (engine/trust/overlap.py).
4. How far the numbers are apart: rank correlation of each score both have, the largest difference of an effect.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from engine.capsule.capsule import Capsule
from engine.nodes import Node
from engine.record.json_values import Json, dumps, number
from engine.record.run_summary import Plain, RunSummary
from engine.scores.ranking import spearman
from engine.trust.overlap import EdgeName, Overlap, edge_overlap, edges_by_name, node_overlap
from engine.views.compare import settings_side_by_side

# What a run found. What it took differs from machine to machine, and a self-check is made once for each process.
RESULTS = (
    "prompts", "baseline", "scores", "mlp_scores", "keep", "sweep", "effects", "steps", "screening", "grid", "circuit",
    "verification", "complete",
)  # fmt: skip
TIMES = ("seconds", "spent")

Row = tuple[str, Plain, Plain]  # name, left, right


@dataclass(frozen=True, eq=False)
class Difference:
    """Left against right. ``same`` says of each part that either run has whether it is equal, bit by bit.

    ``settings`` and ``versions`` are those that differ, ``numbers`` all. ``correlations`` are Spearman's, by score;
    effects' differences are in units of f, NaN where nothing can be compared: matrices only of equal shape.
    """

    fingerprints: tuple[str | None, str | None]
    same: Mapping[str, bool]
    settings: tuple[Row, ...]
    versions: tuple[Row, ...]
    numbers: tuple[Row, ...]
    nodes: Overlap[Node]
    edges: Overlap[EdgeName]
    correlations: Mapping[str, float]
    largest_score_difference: Mapping[str, float]
    largest_effect_on_logits: float
    largest_effect_of_edges: float  # among those in both

    @property
    def bitwise(self) -> bool:
        """Whether the runs found the same, to the last digit."""
        return all(self.same.values())


def difference(left: Capsule, right: Capsule) -> Difference:
    """How two runs differ; they may be of different models or tasks."""
    one, other = left.run, right.run
    alike = one.shape == other.shape
    scores = [name for name in one.scores if name in other.scores] if alike else []
    return Difference(
        fingerprints=(left.fingerprint, right.fingerprint),
        same={name: same for name in RESULTS if (same := _same(left.record, right.record, name)) is not None},
        settings=tuple(row for row in settings_side_by_side(one, other) if row[1] != row[2]),
        versions=_versions(left.record.get("made_with"), right.record.get("made_with")),
        numbers=numbers(one, other),
        nodes=node_overlap(one.circuit, other.circuit),
        edges=edge_overlap(one.circuit, other.circuit),
        correlations={name: spearman(*_both(one, other, name)) for name in scores},
        largest_score_difference={name: _largest(*_both(one, other, name)) for name in scores},
        largest_effect_on_logits=_largest(one.effects, other.effects) if alike else math.nan,
        largest_effect_of_edges=_largest_of_edges(one, other),
    )


def difference_json(found: Difference) -> Json:
    """All of it; null is a number that cannot be told."""
    return {
        "bitwise_equal": found.bitwise,
        "same": dict(found.same),
        "fingerprints": list(found.fingerprints),
        **{name: [_row_json(row) for row in getattr(found, name)] for name in ("settings", "versions", "numbers")},
        "nodes": _overlap_json(found.nodes, str),
        "edges": _overlap_json(found.edges, edge_text),
        "score_rank_correlations": {name: number(value) for name, value in found.correlations.items()},
        "largest_score_differences": {name: number(value) for name, value in found.largest_score_difference.items()},
        "largest_effect_on_logits_difference": number(found.largest_effect_on_logits),
        "largest_effect_of_edges_difference": number(found.largest_effect_of_edges),
    }


def edge_text(edge: EdgeName) -> str:
    """``0.1 → 1.2.k``, ``9.6 → logits``, ``9.6 → m10``."""
    sender, receiver, entry = edge
    if receiver is None:
        return f"{sender} → logits"
    return f"{sender} → {receiver}" if entry == "mlp" else f"{sender} → {receiver}.{entry}"


def numbers(one: RunSummary, other: RunSummary) -> tuple[Row, ...]:
    """The runs' numbers side by side; None where a run was not verified."""
    pairs = [(each, each.checked) for each in (one, other)]
    rows = {
        "clean metric": [run.clean for run, _ in pairs],
        "corrupted metric": [run.corrupted for run, _ in pairs],
        "accuracy": [run.accuracy for run, _ in pairs],
        "pairs": [run.n for run, _ in pairs],
        "candidates": [run.candidates for run, _ in pairs],
        "heads": [len(run.circuit.heads) for run, _ in pairs],
        "edges": [len(run.circuit.edges) for run, _ in pairs],
        "performance": [checked and checked.performance for _, checked in pairs],
        "faithfulness": [checked and checked.faithfulness for _, checked in pairs],
        "seconds": [run.work.seconds for run, _ in pairs],
        "forward passes": [run.work.forward_passes for run, _ in pairs],
        "FLOPs": [run.work.flops for run, _ in pairs],
    }
    return tuple((name, left, right) for name, (left, right) in rows.items())


def _same(left: Json, right: Json, name: str) -> bool | None:
    """Whether a part is equal; None where neither run has it."""
    if left.get(name) is None and right.get(name) is None:
        return None
    return dumps({"it": _timeless(left.get(name))}) == dumps({"it": _timeless(right.get(name))})


def _timeless(value: Any) -> Any:
    """Without what depends on the clock, and in one order of keys."""
    if isinstance(value, dict):
        return {key: _timeless(value[key]) for key in sorted(value) if key not in TIMES}
    return [_timeless(each) for each in value] if isinstance(value, list) else value


def _versions(left: Any, right: Any) -> tuple[Row, ...]:
    one, other = (value if isinstance(value, dict) else {} for value in (left, right))
    rows = [(str(name), one.get(name), other.get(name)) for name in dict.fromkeys((*one, *other))]
    return tuple(row for row in rows if row[1] != row[2])


def _both(one: RunSummary, other: RunSummary, score: str) -> tuple[Tensor, Tensor]:
    return one.scores[score], other.scores[score]


def _largest(one: Tensor | None, other: Tensor | None) -> float:
    """Of the differences between entries that both have; NaN if there is none."""
    if one is None or other is None or one.shape != other.shape:
        return math.nan
    apart = (one.double() - other.double()).abs()
    measured = apart[~apart.isnan()]
    return float(measured.max()) if len(measured) else math.nan


def _largest_of_edges(one: RunSummary, other: RunSummary) -> float:
    left, right = edges_by_name(one.circuit), edges_by_name(other.circuit)
    return max((abs(left[name].effect - right[name].effect) for name in left.keys() & right.keys()), default=math.nan)


def _row_json(row: Row) -> Json:
    return {"name": row[0], "left": number(row[1]), "right": number(row[2])}


def _overlap_json(found: Overlap[Any], name: Any) -> Json:
    return {
        "in_both": [name(each) for each in found.common],
        "only_left": [name(each) for each in found.only_first],
        "only_right": [name(each) for each in found.only_second],
        "jaccard": number(found.jaccard),
    }
