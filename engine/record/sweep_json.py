"""The sparsity sweep as a part of a record (writing.py), and back: both curves, the nine unions, the choice.

Read, the masks of the unions are made again from scores and cliffs, and must have the sizes that the record says.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.cost.ledger import CostRow
from engine.pruning.cliffs import Cliff, CliffKind, Cliffs
from engine.pruning.masks import check_sparsity
from engine.pruning.merge import Choice, Merge, nine_merges
from engine.pruning.sparsity_sweep import PAPER_SCORES, STAGE, Pruning, Sweep
from engine.record.json_values import Json, number
from engine.record.reader import Reader
from engine.scores.head_scores import HeadScores
from engine.scores.kinds import Score

MOST_STEPS = 1000
NAN = float("nan")


def sweep_json(pruning: Pruning) -> Json:
    """Both curves with their cliffs, the nine unions, and the one chosen."""
    merges = [
        {
            "flap_cliff": merge.flap_cliff.kind.value,
            "contrastive_flap_cliff": merge.contrastive_cliff.kind.value,
            "size": merge.size,
            "performance": number(merge.performance),
            "chosen": merge is pruning.choice.merge,
        }
        for merge in pruning.merges
    ]
    curves = {name: _curve_json(sweep) for name, sweep in pruning.sweeps.items()}
    return {**curves, "merges": merges, "reason": pruning.choice.reason}


def _curve_json(sweep: Sweep) -> Json:
    return {
        "sparsities": list(sweep.sparsities),
        "sizes": list(sweep.sizes),
        "performance": [number(value) for value in sweep.performance],
        "faithfulness": [number(value) for value in sweep.faithfulness],
        "cliffs": {
            cliff.kind.value: {"sparsity": cliff.sparsity, "reason": cliff.reason} for cliff in sweep.cliffs.all()
        },
    }


def read_pruning(part: Reader, scores: HeadScores, cost: Sequence[CostRow]) -> Pruning:
    """``scores`` and ``cost`` of the same record; raises HeadlightError where they contradict each other."""
    sweeps = {score.value: _sweep(part.part(score.value), score) for score in PAPER_SCORES}
    merges = _merges(part, scores, sweeps)
    chosen = [merge for merge, row in zip(merges, part.parts("merges"), strict=True) if row.flag("chosen")]
    if len(chosen) != 1:
        raise part.wrong("merges", "one union that is chosen", f"{len(chosen)} of them")
    booked = tuple(row for row in cost if row.stage == STAGE)
    return Pruning(sweeps, merges, Choice(chosen[0], part.text("reason", 1000)), booked)


def _sweep(part: Reader, score: Score) -> Sweep:
    count = len(part.rows("sparsities"))
    if not 1 <= count <= MOST_STEPS:
        raise part.wrong("sparsities", f"1 to {MOST_STEPS} sparsities", count)
    sparsities = tuple(check_sparsity(each) for each in part.numbers("sparsities", count))
    sizes = part.wholes("sizes")
    if len(sizes) != count:
        raise part.wrong("sizes", f"{count} sizes", len(sizes))
    cliffs = part.part("cliffs")
    return Sweep(
        score=score.value,
        sparsities=sparsities,
        sizes=sizes,
        performance=tuple(part.numbers("performance", count)),
        faithfulness=tuple(part.numbers("faithfulness", count)),
        cliffs=Cliffs(*(_cliff(cliffs.part(kind.value), kind, sparsities) for kind in CliffKind)),
    )


def _cliff(part: Reader, kind: CliffKind, sparsities: Sequence[float]) -> Cliff:
    sparsity = check_sparsity(part.number("sparsity"))
    if sparsity not in sparsities:
        raise part.wrong("sparsity", "a sparsity of the curve", sparsity)
    return Cliff(kind, sparsities.index(sparsity), sparsity, part.text("reason", 1000))


def _merges(part: Reader, scores: HeadScores, sweeps: dict[str, Sweep]) -> tuple[Merge, ...]:
    """In the order of the record, which is that of ``nine_merges``."""
    made = nine_merges(
        scores.flap, scores.contrastive_flap, sweeps["flap"].cliffs, sweeps["contrastive_flap"].cliffs, lambda mask: NAN
    )
    rows = part.parts("merges")
    said = [(row.text("flap_cliff"), row.text("contrastive_flap_cliff"), row.whole("size")) for row in rows]
    known = [(merge.flap_cliff.kind.value, merge.contrastive_cliff.kind.value, merge.size) for merge in made]
    if said != known:
        other = next((row for row, own in zip(said, known, strict=False) if row != own), f"{len(said)} unions")
        raise part.wrong("merges", "the nine unions that scores and cliffs give", other)
    return tuple(
        Merge(merge.flap_cliff, merge.contrastive_cliff, merge.mask, merge.size, row.number("performance"))
        for merge, row in zip(made, rows, strict=True)
    )
