"""Rows about scores and pruning: all heads with both ranks, the cliff points, the nine unions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.figures.results import SCORE_NAMES, SweepLike, UnionLike
from engine.figures.tables import Row
from engine.heads import Head
from engine.pruning.masks import drop_sparsity, kept_by
from engine.pruning.pareto import good_enough, pareto_front
from engine.scores.ranking import ranks

if TYPE_CHECKING:
    from torch import Tensor


def ranked_rows(flap: Tensor, contrastive: Tensor, flap_kept: Tensor, contrastive_kept: Tensor) -> list[Row]:
    """One row a head in layer order; scores and keep masks [layer head].

    ``rank difference`` is FLAP's rank minus Contrastive-FLAP's: above 0 the latter thinks more of the head.
    Equal scores share their mean rank.
    """
    columns = [
        values.flatten().tolist()
        for values in (
            contrastive, ranks(contrastive), flap, ranks(flap), ranks(flap) - ranks(contrastive),
            drop_sparsity(contrastive), drop_sparsity(flap),
        )
    ]  # fmt: skip
    keeper, n_heads = kept_by(flap_kept, contrastive_kept), flap.shape[1]
    return [
        {
            "head": str(Head(*divmod(i, n_heads))), "layer": i // n_heads,
            "C-FLAP": round(c, 6), "C-FLAP rank": c_rank, "FLAP": round(f, 6), "FLAP rank": f_rank,
            "rank difference": apart, "C-FLAP drops at": round(c_drop, 2), "FLAP drops at": round(f_drop, 2),
            "kept by": keeper[i],
        }
        for i, (c, c_rank, f, f_rank, apart, c_drop, f_drop) in enumerate(zip(*columns, strict=True))
    ]  # fmt: skip


def cliff_rows(sweeps: Sequence[SweepLike]) -> list[Row]:
    """One row a score and cliff point, with why it was taken."""
    return [
        {
            "score": SCORE_NAMES[sweep.score], "cliff": cliff.kind.value, "sparsity": cliff.sparsity,
            "heads kept": sweep.sizes[cliff.index], "performance %": sweep.performance[cliff.index],
            "why": cliff.reason,
        }
        for sweep in sweeps
        for cliff in sweep.cliffs.all()
    ]  # fmt: skip


def union_rows(
    unions: Sequence[UnionLike], total: int, largest: int, faithfulness: Sequence[float], taken: str, automatic: str
) -> list[Row]:
    """One row a union, of ``total`` heads; ``faithfulness`` in the unions' order, the last two are names."""
    measured = [union for union in unions if union.performance == union.performance]
    front = {(union.size, union.performance) for union in pareto_front(measured)}
    return [
        {
            "union": union.name, "FLAP cliff": union.flap_cliff.kind.value, "C-FLAP cliff":
            union.contrastive_cliff.kind.value, "heads": union.size, "share of heads %": 100 * union.size / total,
            "performance %": union.performance, "faithfulness": faith,
            "on the front": (union.size, union.performance) in front, "meets the rule": good_enough(union, largest),
            "chosen automatically": union.name == automatic, "used": union.name == taken,
        }
        for union, faith in zip(unions, faithfulness, strict=True)
    ]  # fmt: skip
