"""The receivers of one stop of a search, measured by an executor: a few of them are a unit each.

1. Receivers go in the groups that share a matmul anyway (engine/patching/effects.py), so the effects are the same
   bits as without an executor.
2. Each worker makes the shared sweep of senders and the gradients of screening for itself, once. What is booked is
   what all of them did, so a search on several workers costs more work and less time. It pays where pass 2 is most of
   the work: measured exactly, or by hooks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from engine.cost.ledger import CostRow, Ledger
from engine.errors import HeadlightError
from engine.executor.executor import Executor, Outcome
from engine.executor.units import Asked, ReceiversUnit
from engine.nodes import Node
from engine.patching.effects import TOGETHER, Decides, Effects, Tick
from engine.patching.receiver import Receiver
from engine.patching.screening import Screening
from engine.prepare import Prepared
from engine.progress import Watcher
from engine.search.path_patching import Deciding
from engine.settings import Settings


class SplitMeasuring:
    """Measures some receivers of one run after the other; ``senders`` are all nodes that may send."""

    def __init__(
        self, executor: Executor, prepared: Prepared, settings: Settings, senders: Sequence[Node], ledger: Ledger
    ) -> None:
        self._executor, self._ledger = executor, ledger
        self._unit = ReceiversUnit(
            settings, torch.get_num_threads(), prepared.model.fingerprint,
            prepared.prompts if prepared.custom else None, tuple(map(str, senders)), (), prepared.memory,
        )  # fmt: skip

    def measure(
        self, receivers: Sequence[Receiver], decides: Decides | None, tick: Tick
    ) -> tuple[list[Effects], Screening | None]:
        """Their effects in order, and what was screened; ``decides`` None where estimates are enough.

        Raises HeadlightError if one of them could not be measured: without it the search cannot go on.
        """
        groups = [receivers[i : i + TOGETHER] for i in range(0, len(receivers), TOGETHER)]
        units = [self._asking(group, decides) for group in groups]
        outcomes = {outcome.unit: outcome for outcome in self._executor.run(units, _Ticking(tick))}
        effects, counts = [], []
        for unit in units:
            found, screening = self._taken(outcomes[unit])
            effects += found
            counts.append(screening)
        return effects, _together([count for count in counts if count is not None])

    def _asking(self, receivers: Sequence[Receiver], decides: Decides | None) -> ReceiversUnit:
        asked = tuple(Asked(str(receiver), _rules(receiver, decides)) for receiver in receivers)
        return replace(self._unit, asked=asked)

    def _taken(self, outcome: Outcome) -> tuple[list[Effects], Screening | None]:
        if outcome.result is None:
            raise HeadlightError(f"Some receivers could not be measured. {outcome.error}")
        values, tensors = outcome.result.values, outcome.result.tensors
        for row in values["cost"]:
            with self._ledger.stage(row["stage"]):
                self._ledger.add(row["flops"])
        pairs = zip(tensors["f"], tensors["estimated"], strict=True)
        return [Effects(f, estimated) for f, estimated in pairs], screening_in(values["screening"])


def cost_list(rows: Sequence[CostRow], before: Sequence[CostRow]) -> list[dict[str, str | float]]:
    """FLOPs by stage since the rows ``before``."""
    earlier = {row.stage: row.flops for row in before}
    return [{"stage": row.stage, "flops": row.flops - earlier.get(row.stage, 0.0)} for row in rows]


def screening_list(screening: Screening | None) -> list[float | None] | None:
    """As JSON; ``screening_in`` is the inverse."""
    if screening is None:
        return None
    return [screening.estimated, screening.recomputed, None if math.isnan(screening.largest) else screening.largest]


def screening_in(values: list[float | None] | None) -> Screening | None:
    if values is None:
        return None
    estimated, recomputed, largest = values
    return Screening(int(estimated or 0), int(recomputed or 0), math.nan if largest is None else largest)


def added(one: Screening, other: Screening) -> Screening:
    """Both together; the largest of no disagreement at all is NaN."""
    seen = [each.largest for each in (one, other) if not math.isnan(each.largest)]
    return Screening(
        one.estimated + other.estimated, one.recomputed + other.recomputed, max(seen) if seen else math.nan
    )  # fmt: skip


def _together(counts: Sequence[Screening]) -> Screening | None:
    total = None
    for count in counts:
        total = count if total is None else added(total, count)
    return total


def _rules(receiver: Receiver, decides: Decides | None) -> tuple[tuple[float, float], ...]:
    """The thresholds of those walks that reach the receiver."""
    if decides is None:
        return ()
    if not isinstance(decides, Deciding):
        raise ValueError(f"Expected the rules of a search, got {type(decides).__name__}")
    return tuple((each.scale, each.min_effect) for each in decides.rules(receiver)[1])


class _Ticking(Watcher):
    """Tells the share of units done, which is where a stop is asked for."""

    def __init__(self, tick: Tick) -> None:
        self._tick = tick

    def report(self, stage: str, done: float, total: float) -> None:
        self._tick(done / total if total else 1.0)
