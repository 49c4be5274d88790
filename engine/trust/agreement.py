"""How far a circuit, and the scores that led to it, agree with a reference: pure.

1. A circuit against a dense run or an answer key: heads and edges in common, precision, recall, Jaccard
   (engine/trust/overlap.py).
2. A score against a set of heads: recall of the set by sparsity of the keep mask; and the ROC curve, the share of the
   set against the share of all other heads as the mask grows from the highest score down. Heads of one score
   enter together, so ties make a slope; the area under it is the chance that a head of the set outscores another one.
3. Two scores, or a score and the size of effects: Spearman's rank correlation over the heads both have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from engine.circuit import Circuit
from engine.errors import HeadlightError
from engine.heads import Head, check_head, mask_of
from engine.pruning.masks import SWEEP_SPARSITIES, keep_mask
from engine.scores.ranking import spearman
from engine.trust.answer_keys import AnswerKey, against_key
from engine.trust.overlap import EdgeName, Overlap, edge_overlap, head_overlap

ENOUGH_RECALL = 0.9
NAN = float("nan")


@dataclass(frozen=True)
class Agreement:
    """A circuit (first) against a reference (second); ``edges`` is None where the reference names heads alone."""

    title: str
    source: str
    heads: Overlap[Head]
    edges: Overlap[EdgeName] | None


@dataclass(frozen=True)
class RecallCurve:
    """Of the reference, the share in the keep mask; and of the mask, the share in the reference: by sparsity.

    NaN where there is nothing to be a share of.
    """

    sparsities: tuple[float, ...]
    sizes: tuple[int, ...]
    recall: tuple[float, ...]
    precision: tuple[float, ...]


@dataclass(frozen=True)
class RocCurve:
    """From no head to all, one point for each different score; ``auc`` is NaN if every head or none is known."""

    false_positive_rate: tuple[float, ...]
    true_positive_rate: tuple[float, ...]
    auc: float


@dataclass(frozen=True)
class ScoreAgreement:
    """One score against a reference of ``known`` heads.

    ``needed``: size of the smallest mask with a recall of at least ``ENOUGH_RECALL``; ``correlation``: with the
    size of the reference's effects, NaN where it has none.
    """

    score: str
    known: int
    recall: RecallCurve
    roc: RocCurve
    needed: int
    correlation: float


def with_circuit(found: Circuit, reference: Circuit, title: str, source: str = "") -> Agreement:
    """Against another circuit of the same model; raises HeadlightError if the shapes differ."""
    shapes = [(circuit.n_layers, circuit.n_heads) for circuit in (found, reference)]
    if shapes[0] != shapes[1]:
        raise HeadlightError(
            f"Expected two circuits of one model, got one of {shapes[0][0]} layers x {shapes[0][1]} heads and one of "
            f"{shapes[1][0]} x {shapes[1][1]}. Compare runs of the same model."
        )
    return Agreement(title, source, head_overlap(found, reference), edge_overlap(found, reference))


def with_key(found: Circuit, key: AnswerKey) -> Agreement:
    """Against an answer key, which names heads and no edges."""
    return Agreement(key.title, key.source, against_key(found.heads, key), None)


def score_agreements(
    scores: Mapping[str, Tensor], reference: Iterable[Head], effects: Tensor | None = None
) -> tuple[ScoreAgreement, ...]:
    """Each of ``scores [layer head]`` against the heads of ``reference``; ``effects [layer head]``, NaN = not measured.

    Raises HeadlightError for a head the scores' model lacks.
    """
    heads = tuple(reference)
    return tuple(_score_agreement(name, values, heads, effects) for name, values in scores.items())


def recall_curve(scores: Tensor, known: Tensor) -> RecallCurve:
    """Of ``scores [layer head]`` against the mask ``known``, at every sparsity of the sweep."""
    masks = [keep_mask(_measured(scores), sparsity) for sparsity in SWEEP_SPARSITIES]
    common = [int((mask & known).sum()) for mask in masks]
    sizes = [int(mask.sum()) for mask in masks]
    total = int(known.sum())
    return RecallCurve(
        sparsities=SWEEP_SPARSITIES,
        sizes=tuple(sizes),
        recall=tuple(share(part, total) for part in common),
        precision=tuple(share(part, size) for part, size in zip(common, sizes, strict=True)),
    )


def roc_curve(scores: Tensor, known: Tensor) -> RocCurve:
    """Of ``scores [layer head]`` against the mask ``known``."""
    hits, others = _taken(scores, known)
    right, wrong = hits / hits[-1], others / others[-1]
    return RocCurve(tuple(wrong.tolist()), tuple(right.tolist()), float(torch.trapezoid(right, wrong)))


def heads_needed(scores: Tensor, known: Tensor, recall: float = ENOUGH_RECALL) -> int:
    """Size of the smallest mask, from the highest of ``scores`` down, that holds this share of ``known``."""
    hits, others = _taken(scores, known)
    enough = int((hits >= recall * hits[-1] - 1e-9).nonzero()[0])
    return int(hits[enough] + others[enough])


def rank_correlation(one: Tensor, other: Tensor) -> float:
    """Spearman's over the heads measured in both, -1 to 1; NaN if there are fewer than two or one side is constant."""
    both = ~(one.isnan() | other.isnan())
    return spearman(one[both], other[both]) if int(both.sum()) > 1 else NAN


def rank_correlations(scores: Mapping[str, Tensor]) -> dict[tuple[str, str], float]:
    """Of each two of the scores."""
    return {(one, other): rank_correlation(scores[one], scores[other]) for one, other in combinations(scores, 2)}


def share(part: float, whole: float) -> float:
    """NaN of nothing."""
    return part / whole if whole else NAN


def _score_agreement(
    name: str, scores: Tensor, heads: tuple[Head, ...], effects: Tensor | None
) -> ScoreAgreement:
    n_layers, n_heads = scores.shape
    known = mask_of([check_head(head, n_layers, n_heads) for head in heads], n_layers, n_heads)
    return ScoreAgreement(
        score=name,
        known=int(known.sum()),
        recall=recall_curve(scores, known),
        roc=roc_curve(scores, known),
        needed=heads_needed(scores, known),
        correlation=NAN if effects is None else rank_correlation(scores, effects.abs()),
    )


def _taken(scores: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Heads in ``known``, and all others, among those with one of the k highest different scores: k = 0, 1, …"""
    _, place = _measured(scores).flatten().unique(return_inverse=True)  # ascending
    counts = torch.zeros(2, int(place.max()) + 1, dtype=torch.float64)
    inside = known.flatten().double()
    for row, values in enumerate((inside, 1 - inside)):
        counts[row].index_add_(0, place, values)
    hits, others = torch.cat((torch.zeros(2, 1, dtype=torch.float64), counts.flip(1).cumsum(1)), dim=1)
    return hits, others


def _measured(scores: Tensor) -> Tensor:
    """What has no score is last."""
    return scores.nan_to_num(nan=float("-inf"))
