"""One task, several searches: path patching dense and inside masks, ACDC, and EAP-IG, on the same prompts.

1. For each task: dense path patching; APP with the automatic mask; and inside the mask of MASK path patching, ACDC and
   EAP-IG; path patching in a mask of that size by the walk; and EAP-IG dense. EAP-IG takes as many edges as dense path
   patching found.
2. Precision and recall compare heads with those of dense path patching.
3. Each circuit is ablated around on fresh prompts, pair by pair: faithfulness with its interval over pairs, of its
   heads alone and of its edges alone.

All of it follows from the seed of the prompts; FLOPs are the ledger's, pruning, score and verification included.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.models import BUNDLED, QUICK_TASK, TOY, bundled, toy
from benchmarks.search import PAIRS, TASKS, LeftOut
from engine.ablation import Ablation, Ablator
from engine.activations import Activations
from engine.cost.ledger import Ledger
from engine.discovery import Discovery
from engine.edges.run import EdgeAblator
from engine.edges.wiring import receiver_of
from engine.errors import HeadlightError
from engine.evaluation.bootstrap import Interval
from engine.evaluation.faithfulness import measure_faithfulness
from engine.evaluation.scale import Scale
from engine.fresh import fresh_activations
from engine.heads import mask_of
from engine.models.model import Model
from engine.pipeline import discover
from engine.prepare import Prepared, prepare
from engine.progress import Watcher
from engine.scores.kinds import TITLES, Score
from engine.settings import Algorithm, Method, Settings
from engine.views.contest_table import compare_algorithms

SPARSITY, SCORE = 0.7, Score.INTEGRATED_ATTRIBUTION
MASK = f"top {100 * (1 - SPARSITY):.0f} % by {TITLES[SCORE].lower()}"
_MASKED = {"sparsity": SPARSITY, "score": SCORE}
DENSE = "dense path patching"
RUNS = {
    DENSE: {"method": Method.DENSE},
    "APP, automatic mask": {},
    "APP, this mask": _MASKED,
    "APP, mask by the walk": {**_MASKED, "score": Score.WALK_UNION},
    "ACDC, this mask": {**_MASKED, "algorithm": Algorithm.ACDC},
    "EAP-IG, this mask": {**_MASKED, "algorithm": Algorithm.EAP_IG},
    "EAP-IG, dense": {"method": Method.DENSE, "algorithm": Algorithm.EAP_IG},
}


@dataclass(frozen=True)
class Contest:
    """One run of one task. ``faithfulness``: value, low, high, of the heads; ``edge_faithfulness`` of the edges."""

    task: str
    run: str
    candidates: int
    heads: int
    edges: int
    performance: float
    faithfulness: list[float]
    edge_faithfulness: list[float]
    precision: float
    recall: float
    gigaflops: float
    seconds: float
    n: int
    seed: int


def measure(repeats: int, quick: bool) -> Iterator[Contest | LeftOut]:
    """``repeats`` change nothing but seconds, so there is one."""
    model = toy() if quick else bundled()
    for task in (QUICK_TASK,) if quick else TASKS:
        settings = Settings(model=TOY if quick else BUNDLED, task=task, pairs=PAIRS)
        try:
            yield from _task(model, prepare(model, settings, Watcher()))
        except HeadlightError as error:
            yield LeftOut(task, str(error))


def _task(model: Model, prepared: Prepared) -> Iterator[Contest]:
    """Dense path patching first: it is the standard, and says how many edges EAP-IG takes."""
    fresh, seed = _fresh(prepared)
    dense: Discovery | None = None
    for run, changes in RUNS.items():
        settings = replace(prepared.settings, **changes)
        if dense is not None and settings.algorithm is Algorithm.EAP_IG:
            settings = replace(settings, top_edges=max(1, _distinct(dense, model.group)))
        found = discover(model, settings, Watcher(), prepared)
        dense = dense or found
        yield _row(model, run, found, dense, fresh, seed)


def _row(
    model: Model, run: str, found: Discovery, dense: Discovery, fresh: Activations, seed: int
) -> Contest:
    (row,) = compare_algorithms([found], dense)
    assert row.heads is not None
    of_heads, of_edges = _faithfulness(model, fresh, seed, found)
    return Contest(
        task=found.settings.task,
        run=run,
        candidates=row.candidates,
        heads=row.size,
        edges=row.edge_count,
        performance=row.performance,
        faithfulness=[of_heads.value, of_heads.low, of_heads.high],
        edge_faithfulness=[of_edges.value, of_edges.low, of_edges.high],
        precision=row.heads.precision,
        recall=row.heads.recall,
        gigaflops=row.gigaflops,
        seconds=row.seconds,
        n=len(fresh.prompts),
        seed=seed,
    )


def _faithfulness(model: Model, fresh: Activations, seed: int, found: Discovery) -> tuple[Interval, Interval]:
    """By mean ablation, of the heads and of the edges."""
    ledger, scale = Ledger(1.0), Scale.of(fresh, seed)
    with ledger.stage("evaluation"):
        keep = mask_of(found.circuit.heads, model.n_layers, model.n_heads)
        heads = Ablator(model, fresh, ledger).by_pair(keep)
        edges = EdgeAblator(model, fresh, ledger).by_pair(found.circuit.edges)
    of_heads, of_edges = (measure_faithfulness(values, scale, Ablation.MEAN) for values in (heads, edges))
    return of_heads.faithfulness, of_edges.faithfulness


def _fresh(prepared: Prepared) -> tuple[Activations, int]:
    ledger = Ledger(1.0)
    with ledger.stage("fresh prompts"):
        return fresh_activations(prepared, prepared.settings.report_seed, ledger)


def _distinct(found: Discovery, group: int) -> int:
    """Edges with those of one KV head counted once."""
    return len({(edge.sender, receiver_of(edge, group)) for edge in found.circuit.edges})
