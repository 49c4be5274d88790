"""Automatic settings of a record (engine/tuning/as_json.py), brought back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from engine.ablation import Ablation
from engine.cost.ledger import CostRow
from engine.cost.ledger_json import cost_in
from engine.nodes import heads_among
from engine.record.reader import Reader
from engine.settings import Score, Settings
from engine.tuning.bench import STAGE
from engine.tuning.results import Outcome, Seeds, Trial, Tuning

MOST_SEED = 2**63 - 1


def read_tuning(part: Reader, settings: Settings, shape: tuple[int, int], cost: Sequence[CostRow]) -> Tuning:
    """``settings`` and ``cost`` of the same record; trials differ from those settings in what was tried alone.

    Older records say neither how many trials were kept from before (taken for none) nor what scores took.
    """
    rows = part.parts("trials")
    trials = tuple(_trial(row, settings, shape) for row in rows)
    chosen = [trial for trial, row in zip(trials, rows, strict=True) if row.flag("chosen")]
    if len(chosen) != 1:
        raise part.wrong("trials", "one trial that is chosen", f"{len(chosen)} of them")
    front = [trial for trial, row in zip(trials, rows, strict=True) if row.flag("front")]
    seeds = part.part("seeds")
    return Tuning(
        trials=trials,
        front=tuple(sorted(front, key=lambda trial: trial.size)),  # of one size only one is on it
        chosen=chosen[0],
        reason=part.text("reason", 1000),
        seeds=Seeds(*(seeds.whole(name, -MOST_SEED, MOST_SEED) for name in ("search", "held_out", "report"))),
        n=part.whole("n", 1),
        ablation=part.choice("ablation", Ablation),
        wanted=part.whole("wanted", 1),
        kept=part.whole("kept") if "kept" in part else 0,
        complete=part.flag("complete"),
        cost=cost_in(part.part("cost")) if "cost" in part else tuple(row for row in cost if row.stage == STAGE),
    )


def _trial(row: Reader, settings: Settings, shape: tuple[int, int]) -> Trial:
    tried = replace(
        settings, score=row.choice("score", Score), sparsity=row.number("sparsity"),
        flap_sparsity=row.number("flap_sparsity") if "flap_sparsity" in row else None,
        threshold_scale=row.number("threshold_scale"), min_effect=row.number("min_effect"),
    )  # fmt: skip
    return Trial(
        number=row.whole("number"),
        settings=tried,
        mask_size=row.whole("mask_size"),
        mask_faithfulness=row.number("mask_faithfulness") if "mask_faithfulness" in row else math.nan,
        outcome=_outcome(row, shape) if "heads" in row else None,
        pruned=row.text("pruned") if "pruned" in row else "",
        seconds=row.number("seconds"),
        flops=row.number("flops"),
    )


def _outcome(row: Reader, shape: tuple[int, int]) -> Outcome:
    return Outcome(
        heads=heads_among(row.nodes("heads", *shape, mlps=False)),
        edges=row.whole("edges"),
        faithfulness=row.number("faithfulness"),
        performance=row.number("performance"),
        estimated=row.flag("estimated"),
    )
