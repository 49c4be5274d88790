"""ACDC: edges taken out one by one from the output backwards (Conmy et al. 2023, arXiv 2304.14997, section 3).

1. Start with every edge among the candidate heads, and from each of them to the logits. All other heads, and
   every edge taken out, give what the corrupted prompt gives (resample; other kinds can be named).
2. Visit receivers from the output backwards: the logits, then layer by layer down the heads that still send to
   somewhere; in a layer q of each head by index, then k and v of each KV head. Of a receiver visit the senders
   from the last head to the first.
3. An edge goes if that changes the metric by at most the tolerance: |f| <= tau, f = (metric without - with) /
   (clean - corrupted), both in the graph as it stands then. A rise counts as much as a fall, as elsewhere.
4. A head without an outgoing edge is dropped with its incoming ones: it is never visited.

``exact`` runs the model for every decision. ``screened`` first estimates what taking out each edge of a receiver
would do (engine/search/acdc_estimates.py), takes out together those below half the tolerance, and decides the others
exactly, in the graph that leaves. The logits' edges, cheap, are all decided exactly. Of SmolLM2-135M on IOI, 26
candidate heads, tolerance .01, both modes keep the same 13 heads and edges, screened at a sixth of the FLOPs.

Decisions are run ahead of: a batch holds the next edges, each without those before it that are expected to go.
Up to the first that turns out otherwise this is what one by one gives; from there it is run again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from engine.ablation import Ablation
from engine.activations import Activations
from engine.circuit import Circuit, Edge, Input
from engine.cost.ledger import CostRow, Ledger
from engine.edges.nodes import Drawing
from engine.edges.run import NOTHING_KEPT, EdgeAblator
from engine.edges.wiring import NOBODY, Senders, Wiring, kv_receivers
from engine.errors import Cancelled, HeadlightError
from engine.heads import Head, mask_of
from engine.machine.memory import MemoryPlan
from engine.models.model import Model
from engine.notes.acdc_notes import Decision, Visited, read_visited
from engine.notes.journal import Journal
from engine.notes.notes import Note, Notes
from engine.patching.effects import LOGITS_STAGE, PASS_TWO, Tick, check_effect_unit
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.screening import Screening
from engine.progress import Watcher
from engine.search.acdc_estimates import EdgeEstimates
from engine.search.path_patching import MARGIN, SearchResult, SearchStep, circuit_of, search_cost
from engine.search.stops import Stop, WalkProgress
from engine.settings import Mode

Receivers = Mapping[Receiver, tuple[Head, ...]]  # with the heads each belongs to that still send to somewhere
AHEAD = 8  # edges decided in one batch: what lies behind a wrong guess is run again


@torch.no_grad()
def acdc(
    model: Model,
    activations: Activations,
    senders: Sequence[Head],
    tolerance: float,
    mode: Mode,
    ledger: Ledger,
    memory: MemoryPlan | None,
    watcher: Watcher,
    kind: Ablation = Ablation.RESAMPLE,
    notes: Notes | None = None,
) -> tuple[SearchResult, Screening | None]:
    """Prune the edges among ``senders``; on cancel the layers finished so far come back, ``complete`` False.

    ``tolerance``: tau, in units of f. A step's effects are f when its edge was decided, NaN where there was no edge.
    What was estimated is None in exact mode, and for a model whose parts are not known, which is always exact.
    Layers that ``notes`` have are not visited again (engine/notes/acdc_notes.py). Raises HeadlightError for a tolerance
    below 0, and where clean and corrupted metric are the same.
    """
    check_tolerance(tolerance)
    check_effect_unit(activations)
    ablator = EdgeAblator(model, activations, ledger, kind, memory)
    screened = mode is Mode.SCREENED and model.fast
    walk = _Walk(ablator, frozenset(senders), tolerance, EdgeEstimates(ablator) if screened else None)
    notes = notes or Notes(Journal(), ledger)
    progress = WalkProgress(model.n_layers, watcher)
    complete = False
    try:
        for layer in range(model.n_layers, 0, -1):
            visited = notes.read(f"acdc.{layer}", lambda note, layer=layer: walk.parse(layer, note))
            if visited is None:
                with ledger.stage(LOGITS_STAGE if layer == model.n_layers else PASS_TWO):
                    visited = walk.visit(layer, progress.within(Stop(layer)))
                notes.write(f"acdc.{layer}", visited.as_json())
            walk.take(layer, visited, ledger.rows())
            watcher.found(walk.circuit())
            watcher.walked(tuple(walk.steps))
            progress.leave(Stop(layer))
        complete = True
    except Cancelled:
        pass  # the layers finished are the result
    return SearchResult(walk.circuit(), tuple(walk.steps), complete), walk.screening()


def check_tolerance(tolerance: float) -> None:
    """Raises HeadlightError for what cannot be a tolerance."""
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise HeadlightError(f"Expected a tolerance of 0 or more, got {tolerance:g}. Try 0.01.")


class _Walk:
    """What has been pruned so far."""

    def __init__(
        self, ablator: EdgeAblator, candidates: Senders, tolerance: float, estimates: EdgeEstimates | None
    ) -> None:
        self.steps: list[SearchStep] = []
        self._ablator, self._model, self._candidates = ablator, ablator.model, candidates
        self._tolerance, self._estimates = tolerance, estimates
        self._gap = ablator.activations.clean - ablator.activations.corrupted
        self._wiring = Wiring({}, candidates)
        self._now: float | None = None  # the metric of _wiring, once it has been run
        self._counts = Screening(0, 0, math.nan)
        self._members: Receivers = {}  # of the layer last entered
        self._unsettled: list[tuple[int, Wiring, Receivers]] = []  # layers taken from notes

    def visit(self, layer: int, tick: Tick) -> Visited:
        """Prune what this layer's receivers hear; layer n_layers stands for the logits."""
        self._catch_up()
        receivers = self._enter(layer)
        decisions: list[Decision] = []
        for done, (receiver, members) in enumerate(receivers.items()):
            decision = self._decide(receiver, members, self._below(layer))
            self._wiring = self._wiring.hearing(receiver, decision.kept)
            decisions.append(decision)
            tick((done + 1) / len(receivers))
        self._settle(layer, self._wiring, receivers)
        return Visited(tuple(receivers), tuple(decisions), self._now, self._counts)

    def parse(self, layer: int, note: Note) -> Visited:
        """The visit that was noted; raises HeadlightError for one that does not fit what was pruned so far."""
        receivers = self._enter(layer)
        visited = read_visited(note, tuple(receivers), self._below(layer))
        for receiver, decision in zip(visited.receivers, visited.decisions, strict=True):
            self._wiring = self._wiring.hearing(receiver, decision.kept)
        self._now, self._counts = visited.now, visited.counts
        self._unsettled.append((layer, self._wiring, receivers))
        return visited

    def take(self, layer: int, visited: Visited, rows: Sequence[CostRow]) -> None:
        """Add the steps of a visit; ``rows``: what all had taken after it."""
        spent, members = search_cost(rows), self._members
        for receiver, decision in zip(visited.receivers, visited.decisions, strict=True):
            self.steps.append(self._step(layer, receiver, members[receiver], decision, spent))

    def _enter(self, layer: int) -> Receivers:
        """The layer's receivers, all of them still hearing everyone below."""
        self._members = self._receivers_in(layer)
        below = self._below(layer)
        self._wiring = Wiring({**self._wiring.senders, **dict.fromkeys(self._members, below)}, below)
        return self._members

    def _below(self, layer: int) -> Senders:
        return frozenset(head for head in self._candidates if head.layer < layer)

    def _catch_up(self) -> None:
        """Stand where the visits taken from notes would have left the ablator and the estimates."""
        if not self._unsettled:
            return
        with self._ablator.ledger.unbooked():
            self._ablator.hold()
            for layer, wiring, receivers in self._unsettled:
                self._settle(layer, wiring, receivers)
        self._unsettled = []

    def circuit(self) -> Circuit:
        edges: list[Edge] = [edge for step in self.steps for edge in step.edges]
        return circuit_of(edges, self._model.n_layers, self._model.n_heads)

    def screening(self) -> Screening | None:
        return None if self._estimates is None else self._counts

    def _receivers_in(self, layer: int) -> Receivers:
        """In the order of the visit."""
        if layer == self._model.n_layers:
            return {LOGITS: ()}
        heard = NOBODY.union(*self._wiring.senders.values())
        heads = sorted(head for head in heard if head.layer == layer)
        group = self._model.group
        shared = [receiver for head in heads for receiver in kv_receivers(head, group)]
        members = {receiver: tuple(h for h in heads if receiver in kv_receivers(h, group)) for receiver in shared}
        return {Receiver(Input.Q, head): (head,) for head in heads} | members

    def _decide(self, receiver: Receiver, members: Sequence[Head], below: Senders) -> Decision:
        if self._estimates is None or receiver.head is None or not below:
            return self._in_turn(receiver, sorted(below, reverse=True), {})
        drawing = Drawing(self._ablator.nodes, self._wiring)
        change = self._estimates.without(drawing, receiver, members, below)
        f = change / len(self._ablator.activations.prompts) / self._gap
        guesses = {sender: float(f[sender.layer, sender.index]) for sender in below}
        self._counts = replace(self._counts, estimated=self._counts.estimated + len(guesses))
        small = frozenset(sender for sender, guess in guesses.items() if abs(guess) < MARGIN * self._tolerance)
        if small:
            self._wiring, self._now = self._wiring.hearing(receiver, below - small), None
        decided = self._in_turn(receiver, sorted(below - small, reverse=True), guesses)
        self._compare(guesses, decided.effects)
        return Decision(decided.kept, {**guesses, **decided.effects}, small)

    def _in_turn(self, receiver: Receiver, senders: Sequence[Head], guesses: Mapping[Head, float]) -> Decision:
        """Decide ``senders`` one after the other, each by running the model without it."""
        waiting, expected, effects = list(senders), dict(guesses), dict[Head, float]()
        while waiting:
            batch = waiting[:AHEAD]
            goes = [self._goes(expected.get(sender, 0.0)) for sender in batch]
            before, without = _run_ahead(self._wiring, receiver, batch, goes)
            values = self._measure(without)
            f = [(values[place + 1] - values[before[place]]) / self._gap for place in range(len(batch))]
            # What was run on a wrong guess does not count, but is a better guess.
            expected |= zip(batch, f, strict=True)
            for place, sender in enumerate(batch):
                effects[sender] = f[place]
                waiting.remove(sender)
                if self._goes(f[place]):
                    self._wiring, self._now = without[place], values[place + 1]
                if self._goes(f[place]) != goes[place]:
                    break
        return Decision(self._wiring.heard_by(receiver), effects, NOBODY)

    def _goes(self, f: float) -> bool:
        return abs(f) <= self._tolerance

    def _measure(self, wirings: Sequence[Wiring]) -> list[float]:
        """The metric of the graph as it stands, then of each of ``wirings``."""
        wanted = [self._wiring, *wirings] if self._now is None else list(wirings)
        keep = NOTHING_KEPT
        if self._model.fast:
            nodes = self._ablator.nodes
            # The last one is where the batch is expected to lead.
            keep = frozenset(nodes.behind([Drawing(nodes, self._wiring).final, Drawing(nodes, wirings[-1]).final]))
        values = self._ablator.of_wirings(wanted, keep).mean(dim=1).tolist()
        now = values.pop(0) if self._now is None else self._now
        self._now = now
        return [now, *values]

    def _compare(self, guesses: Mapping[Head, float], effects: Mapping[Head, float]) -> None:
        apart = [abs(guesses[sender] - f) for sender, f in effects.items()]
        largest = max([gap for gap in (self._counts.largest, *apart) if gap == gap], default=self._counts.largest)
        self._counts = replace(self._counts, recomputed=self._counts.recomputed + len(apart), largest=largest)

    def _settle(self, layer: int, wiring: Wiring, receivers: Receivers) -> None:
        """Tell the estimates that this layer is done; nothing run before is kept (engine/notes/acdc_notes.py)."""
        self._ablator.forget()
        if self._estimates is None:
            return
        drawing = Drawing(self._ablator.nodes, wiring)
        if layer == self._model.n_layers:
            self._estimates.settle_logits(drawing)
        else:
            queries = (receiver.head for receiver in receivers if receiver.input is Input.Q)
            heads = [head for head in queries if isinstance(head, Head)]
            self._estimates.settle(drawing, heads)

    def _step(
        self, layer: int, receiver: Receiver, members: tuple[Head, ...], decision: Decision, spent: CostRow
    ) -> SearchStep:
        shape = (self._model.n_layers, self._model.n_heads)
        effects = torch.full(shape, math.nan)
        for sender, f in decision.effects.items():
            effects[sender.layer, sender.index] = f
        limits = torch.full(shape[:1], math.inf, dtype=torch.float64)
        limits[:layer] = self._tolerance
        estimated = mask_of(decision.estimated, *shape)
        return SearchStep(members, receiver.input, effects, estimated, limits, tuple(sorted(decision.kept)), spent)


def _run_ahead(
    wiring: Wiring, receiver: Receiver, batch: Sequence[Head], goes: Sequence[bool]
) -> tuple[list[int], list[Wiring]]:
    """The graph without each of ``batch``, those before it taken out that are expected to go.

    And for each the graph it was taken from: 0 for ``wiring``, i + 1 for the one without the i-th of ``batch``.
    """
    before, without = [], []
    place = 0
    for sender, going in zip(batch, goes, strict=True):
        standing = without[place - 1] if place else wiring
        before.append(place)
        without.append(standing.hearing(receiver, standing.heard_by(receiver) - {sender}))
        place = len(without) if going else place
    return before, without
