"""What is compared of a run, and how a run found here is brought to it. run_file.py reads it from a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from torch import Tensor

from engine.circuit import Circuit
from engine.cost.ledger import CostRow
from engine.discovery import Discovery
from engine.record.reader import Plain
from engine.search.path_patching import Thresholds, search_cost


@dataclass(frozen=True)
class Work:
    """What a run took, pruning included; ``search`` is what path patching alone took of it."""

    seconds: float
    forward_passes: float
    flops: float

    @staticmethod
    def of(rows: Sequence[CostRow]) -> Work:
        return Work(
            sum(row.seconds for row in rows), sum(row.forward_passes for row in rows), sum(row.flops for row in rows)
        )


@dataclass(frozen=True)
class Checked:
    """The circuit alone on fresh prompts: ``performance`` in percent, ``faithfulness`` a ratio, NaN if undefined."""

    performance: float
    faithfulness: float
    n: int
    seed: int


@dataclass(frozen=True, eq=False)
class RunSummary:
    """One run. ``settings`` as in a record; ``checked`` and ``thresholds`` are None where it never came to them
    or has none."""

    model: str
    task: str
    settings: Mapping[str, Plain]
    clean: float  # mean metric of the clean prompts
    corrupted: float
    accuracy: float  # 0 to 1
    n: int  # prompt pairs
    scores: Mapping[str, Tensor]  # [layer head] by name
    candidates: int  # heads the search could use
    circuit: Circuit
    thresholds: Thresholds | None
    checked: Checked | None
    work: Work
    search: Work
    complete: bool
    effects: Tensor | None = None  # [layer head] of heads on the logits, NaN = not measured; None before the search

    @property
    def shape(self) -> tuple[int, int]:
        """(layers, heads a layer)."""
        return self.circuit.n_layers, self.circuit.n_heads


def summary_of(found: Discovery) -> RunSummary:
    baseline, seen = found.baseline, found.verification
    return RunSummary(
        model=found.settings.model,
        task=found.settings.task,
        settings={name: _plain(value) for name, value in asdict(found.settings).items()}
        | {"metric": found.prompts.metric.value},
        clean=baseline.clean_logit_diff,
        corrupted=baseline.corrupted_logit_diff,
        accuracy=baseline.accuracy,
        n=baseline.n,
        scores={score.value: found.scores.of(score) for score in found.scores.available()},
        candidates=int(found.keep.sum()),
        circuit=found.circuit,
        thresholds=found.thresholds,
        checked=None if seen is None else Checked(seen.performance, seen.faithfulness, seen.n, seen.seed),
        work=Work.of(found.cost),
        search=Work.of([search_cost(found.cost)]),
        complete=found.complete,
        effects=found.steps[0].effects[:, : found.circuit.n_heads] if found.steps else None,
    )


def _plain(value: Any) -> Plain:
    return value.value if isinstance(value, StrEnum) else value
