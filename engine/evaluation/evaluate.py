"""Everything that says how true one circuit is, on prompts it was not found on (METHOD section 2.9).

1. Fresh prompts: those of another seed, run clean and corrupted. An own task has no others: then its own, and said so.
2. Under each ablation kind: faithfulness and performance of the circuit's heads alone.
3. Under the kind of the plan: accuracy, KL and probability difference; completeness; minimality of every head, and of
   every edge where a way to take them out is given; faithfulness by size; random circuits; and the circuit on the
   prompts it was found on, for the gap to the fresh ones.

Each stage is one row of the ledger and reports its steps. Masks that share much are evaluated one after another, so
that the Ablator resumes where they part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.ablation import Ablation, Ablator
from engine.circuit import Circuit, check_heads_alone
from engine.cost.ledger import CostRow, Ledger, pass_flops
from engine.errors import HeadlightError
from engine.evaluation.accuracy import Accuracy, measure_accuracy
from engine.evaluation.bootstrap import Interval
from engine.evaluation.by_size import BySize, faithfulness_by_size, ranking_of
from engine.evaluation.completeness import Completeness, measure_completeness
from engine.evaluation.faithfulness import Faithfulness, measure_faithfulness
from engine.evaluation.held_out import HeldOut, measure_held_out
from engine.evaluation.kl import kl_divergence
from engine.evaluation.minimality import Minimality, Tick, head_minimality
from engine.evaluation.performance import Performance, measure_performance
from engine.evaluation.plan import Plan
from engine.evaluation.probability_difference import (
    ProbabilityDifference,
    measure_probability_difference,
    probability_difference,
)  # fmt: skip
from engine.evaluation.random_circuits import Draw, RandomCircuits, measure_random_circuits
from engine.evaluation.scale import Scale
from engine.fresh import fresh_activations
from engine.heads import Head, mask_of
from engine.models.model import Model
from engine.prepare import Prepared
from engine.progress import Watcher
from engine.tasks.prompts import PromptPair

FRESH = "fresh prompts"
CIRCUIT_ALONE = "circuit alone"
KNOCKED_OUT = "circuit knocked out"
HEAD_MINIMALITY = "heads one by one"
EDGE_MINIMALITY = "edges one by one"
BY_SIZE = "faithfulness by size"
RANDOM = "random circuits"
HELD_OUT = "prompts it was found on"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All of it for one circuit, on ``n`` pairs of ``seed``.

    ``faithfulness`` and ``performance`` have one entry an ablation kind; everything below them is under
    ``plan.ablation``. ``random`` lacks a sort of which there is no other set; ``held_out`` is None where there is one
    prompt set alone. ``notes`` are sentences to show first. Edges are evaluated by engine/edges/evaluation.py.
    """

    circuit: Circuit
    plan: Plan
    n: int
    seed: int
    fresh: bool  # whether the circuit was not found on these prompts
    notes: tuple[str, ...]
    faithfulness: tuple[Faithfulness, ...]
    performance: tuple[Performance, ...]
    accuracy: Accuracy
    kl: Interval  # nats
    probability_difference: ProbabilityDifference
    completeness: Completeness
    heads: Minimality[Head]
    by_size: BySize
    random: tuple[RandomCircuits, ...]
    held_out: HeldOut | None
    cost: tuple[CostRow, ...]

    @property
    def empty(self) -> bool:
        """An empty circuit: its numbers are those of the model with every head ablated, not 0."""
        return not self.circuit.heads

    @property
    def main(self) -> tuple[Faithfulness, Performance]:
        """Under the plan's ablation."""
        place = [each.ablation for each in self.faithfulness].index(self.plan.ablation)
        return self.faithfulness[place], self.performance[place]


def evaluate(
    prepared: Prepared,
    circuit: Circuit,
    seed: int,
    watcher: Watcher,
    plan: Plan | None = None,
) -> Evaluation:
    """Evaluate ``circuit``, found on the prompts of ``prepared``, on those of ``seed``.

    Raises HeadlightError if the circuit is one of a model of another shape or has MLPs as nodes, Cancelled if stopped.
    """
    check_shape(circuit, prepared.model)
    check_heads_alone(circuit, "An evaluation")
    work = _Work(prepared, circuit, seed, watcher, plan or Plan())
    faithfulness, performance = work.alone()
    accuracy, kl, probabilities = work.predictions()
    return Evaluation(
        circuit=circuit,
        plan=work.plan,
        n=work.scale.n,
        seed=work.scale.seed,
        fresh=work.fresh,
        notes=work.notes(),
        faithfulness=faithfulness,
        performance=performance,
        accuracy=accuracy,
        kl=kl,
        probability_difference=probabilities,
        heads=work.heads(),
        completeness=work.knocked_out(),
        by_size=work.by_size(),
        random=work.random(),
        held_out=work.held_out() if work.fresh else None,
        cost=work.ledger.rows(),
    )


def check_shape(circuit: Circuit, model: Model) -> None:
    """Raises HeadlightError unless the circuit could be one of the model."""
    if (circuit.n_layers, circuit.n_heads) != (model.n_layers, model.n_heads):
        raise HeadlightError(
            f"The circuit is one of a model with {circuit.n_layers} layers of {circuit.n_heads} heads, but "
            f"{model.name} has {model.n_layers} layers of {model.n_heads}. Choose the model it was found in."
        )


class _Work:
    """One evaluation, stage by stage; the Ablator of the plan's kind serves all of them."""

    def __init__(self, prepared: Prepared, circuit: Circuit, seed: int, watcher: Watcher, plan: Plan) -> None:
        self.prepared, self.circuit, self.watcher, self.plan = prepared, circuit, watcher, plan
        self.model = prepared.model
        self.keep = mask_of(circuit.heads, self.model.n_layers, self.model.n_heads)
        self.ledger = Ledger(pass_flops(self.model, prepared.prompts), watcher.spend, watcher.now)
        watcher.step(FRESH, 0, 1)
        with self.ledger.stage(FRESH):
            self.activations, seed = fresh_activations(prepared, seed, self.ledger)
        watcher.step(FRESH, 1, 1)
        self.fresh = self.activations is not prepared.activations
        self.scale = Scale.of(self.activations, seed, plan.draws)
        self.ablator = Ablator(self.model, self.activations, self.ledger, plan.ablation)
        self.circuit_metric = torch.empty(0)  # [pair], by the plan's ablation

    def alone(self) -> tuple[tuple[Faithfulness, ...], tuple[Performance, ...]]:
        """The circuit's heads alone, by each kind of ablation."""
        values = {}
        with self.ledger.stage(CIRCUIT_ALONE):
            for done, kind in enumerate(Ablation):
                self.watcher.step(CIRCUIT_ALONE, done, len(Ablation) + 1)
                values[kind] = self._ablator(kind).by_pair(self.keep)
        self.circuit_metric = values[self.plan.ablation]
        faithful = tuple(measure_faithfulness(value, self.scale, kind) for kind, value in values.items())
        return faithful, tuple(measure_performance(value, self.scale, kind) for kind, value in values.items())

    def predictions(self) -> tuple[Accuracy, Interval, ProbabilityDifference]:
        """What the circuit predicts beside the model."""
        everything = torch.ones_like(self.keep)
        with self.ledger.stage(CIRCUIT_ALONE):
            kl, model, circuit = self.ablator.at_end([everything, self.keep], _read_predictions).unbind(dim=1)
        self.watcher.step(CIRCUIT_ALONE, 1, 1)
        return (
            measure_accuracy(self.circuit_metric, self.scale),
            self.scale.mean(kl),
            measure_probability_difference(circuit, model, self.scale),
        )

    def knocked_out(self) -> Completeness:
        self.watcher.step(KNOCKED_OUT, 0, 1)
        with self.ledger.stage(KNOCKED_OUT):
            nothing = self.ablator.by_pair(torch.zeros_like(self.keep))
            complement = self.ablator.by_pair(~self.keep)
        self.watcher.step(KNOCKED_OUT, 1, 1)
        return measure_completeness(complement, nothing, self.scale, self.plan.ablation)

    def heads(self) -> Minimality[Head]:
        with self.ledger.stage(HEAD_MINIMALITY):
            return head_minimality(self.ablator.by_pair, self.keep, self.scale, self._tick(HEAD_MINIMALITY))

    def by_size(self) -> BySize:
        ranking = ranking_of(self.circuit, self.prepared.scores.contrastive_flap)
        shape = self.model.n_layers, self.model.n_heads
        with self.ledger.stage(BY_SIZE):
            return faithfulness_by_size(self.ablator.by_pair, ranking, shape, self.scale, self._tick(BY_SIZE))

    def random(self) -> tuple[RandomCircuits, ...]:
        found, draws = [], self.plan.random_circuits
        with self.ledger.stage(RANDOM):
            for number, draw in enumerate(Draw if draws else ()):
                tick = self._tick(RANDOM, number * draws, len(Draw) * draws)
                found.append(
                    measure_random_circuits(
                        self.ablator.by_pair, self.keep, self.circuit_metric, self.scale, draw, draws, tick
                    )
                )
        return tuple(each for each in found if each is not None)

    def held_out(self) -> HeldOut:
        """The circuit on the prompts it was found on as well."""
        chosen_on = Scale.of(self.prepared.activations, self.prepared.settings.seed, self.plan.draws)
        self.watcher.step(HELD_OUT, 0, 1)
        with self.ledger.stage(HELD_OUT):
            ablator = Ablator(self.model, self.prepared.activations, self.ledger, self.plan.ablation)
            selection = ablator.by_pair(self.keep)
        self.watcher.step(HELD_OUT, 1, 1)
        return measure_held_out(selection, chosen_on, self.circuit_metric, self.scale)

    def notes(self) -> tuple[str, ...]:
        """What a reader must know before any number."""
        notes = [self.scale.note]
        if not self.circuit.heads:
            notes.append(
                "An empty circuit: there are no heads to judge. The numbers are those of the model with every head "
                "ablated, which need not be 0."
            )
        if self.prepared.custom:
            notes.append("The task has no other prompts than its own, so these are the ones the circuit may have seen.")
        elif not self.fresh:
            notes.append(f"These are the prompts of seed {self.scale.seed}, the ones the circuit may have seen.")
        if self.scale.n == 1:
            notes.append("One pair has no interval: take more pairs to see how sure the numbers are.")
        return tuple(note for note in notes if note)

    def _ablator(self, kind: Ablation) -> Ablator:
        if kind is self.plan.ablation:
            return self.ablator
        return Ablator(self.model, self.activations, self.ledger, kind)

    def _tick(self, stage: str, before: int = 0, total: int | None = None) -> Tick:
        """Steps of a stage, of which ``before`` are done and which has ``total`` (as many as told if None)."""
        return lambda done, own: self.watcher.step(stage, before + done, total or own)


def _read_predictions(pairs: Sequence[PromptPair], logits: Sequence[Tensor]) -> Tensor:
    """KL and both probability differences, ``[some 3]``, of the logits of the model and of the circuit."""
    model, circuit = logits
    differences = [probability_difference(each, pairs).double() for each in (model, circuit)]
    return torch.stack([kl_divergence(model, circuit), *differences], dim=1)
