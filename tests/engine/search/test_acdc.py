"""ACDC against its definition, edge by edge with whole runs, and screened against exact."""

import math
from dataclasses import replace

import pytest
import torch

from engine.ablation import Ablation, stand_ins
from engine.activations import capture
from engine.circuit import Edge, Input
from engine.cost.ledger import Ledger
from engine.edges.reference import ReferenceEdges
from engine.edges.run import EdgeAblator
from engine.edges.wiring import Wiring, all_edges, receiver_of, wiring_of
from engine.errors import HeadlightError
from engine.heads import Head
from engine.machine.memory import MemoryPlan
from engine.models.loading import load_model
from engine.models.model import Model
from engine.patching.receiver import LOGITS, Receiver
from engine.prepare import prepare
from engine.progress import Watcher
from engine.search.acdc import _run_ahead, acdc
from engine.settings import Mode, Settings
from tests.engine.patching.test_effects import all_heads
from tests.engine.random_prompts import random_prompts
from tests.engine.search.test_path_patching import StopAfter

Name = tuple[Head, Receiver]


def run(model, activations, senders, tolerance, mode=Mode.EXACT, watcher=None, memory=None, kind=Ablation.RESAMPLE):
    return acdc(model, activations, senders, tolerance, mode, Ledger(1.0), memory, watcher or Watcher(), kind)


def named(edges, group) -> dict[Name, float]:
    return {(edge.sender, receiver_of(edge, group)): edge.effect for edge in edges}


def visited(model, receiver: Receiver) -> tuple:
    """The order of the visit: from the output down, q of each head, then k and v of each KV head."""
    if receiver == LOGITS:
        return (-model.n_layers,)
    head = receiver.head
    if receiver.input is Input.Q:
        return (-head.layer, 0, head.index)
    return (-head.layer, 1, head.index, receiver.input)


def brute_force(model, activations, senders, tolerance, value) -> tuple[set[Name], dict[Name, float]]:
    """Edges left, and f of each edge visited; ``value(edges)`` is the metric of a whole run of an edge set."""
    group, gap = model.group, activations.clean - activations.corrupted
    live = list(all_edges(senders))
    effects: dict[Name, float] = {}
    names = {(edge.sender, receiver_of(edge, group)) for edge in live}
    for receiver in sorted({receiver for _, receiver in names}, key=lambda receiver: visited(model, receiver)):
        members = {edge.receiver for edge in live if receiver_of(edge, group) == receiver}
        sending = {edge.sender for edge in live}
        if receiver != LOGITS and not members & sending:
            live = [edge for edge in live if receiver_of(edge, group) != receiver]
            continue
        for sender in sorted({s for s, r in names if r == receiver}, reverse=True):
            rest = [edge for edge in live if (edge.sender, receiver_of(edge, group)) != (sender, receiver)]
            f = (value(rest) - value(live)) / gap
            effects[sender, receiver] = f
            if abs(f) <= tolerance:
                live = rest
    return {(edge.sender, receiver_of(edge, group)) for edge in live}, effects


def hooked_value(model, activations, kind=Ablation.RESAMPLE):
    ledger = Ledger(1.0)

    def value(edges):
        with ledger.stage("test"):
            runs = zip(activations.batches, stand_ins(activations.batches, kind), strict=True)
            values = [ReferenceEdges(model, *each, ledger).metric(wiring_of(edges, model.shape)) for each in runs]
        return float(torch.cat(values).double().mean())

    return value


def fast_value(model, activations, kind=Ablation.RESAMPLE):
    ledger = Ledger(1.0)
    ablator = EdgeAblator(model, activations, ledger, kind)

    def value(edges):
        with ledger.stage("test"):
            return ablator.metric(edges)

    return value


def check(model, activations, result, left, effects, atol=1e-4):
    """``result`` is what brute force found: edges, their f, and f of every edge visited."""
    assert set(named(result.circuit.edges, model.group)) == left
    steps = {
        receiver_of(Edge(Head(0, 0), step.receivers[0] if step.receivers else None, step.input, 0.0), model.group): step
        for step in result.steps
    }
    assert set(steps) == {receiver for _, receiver in effects}
    for (sender, receiver), f in effects.items():
        assert float(steps[receiver].effects[sender.layer, sender.index]) == pytest.approx(f, abs=atol)
    measured = sum(int((~step.effects.isnan()).sum()) for step in result.steps)
    assert measured == len(effects)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_exact_decisions_are_those_of_hooked_runs(tiny_model, kind):
    model = tiny_model(kind)
    activations = capture(model, random_prompts(n=2))
    senders = [Head(0, 0), Head(0, 2), Head(1, 0), Head(1, 1), Head(1, 3)]
    left, effects = brute_force(model, activations, senders, 0.02, hooked_value(model, activations))
    result, screening = run(model, activations, senders, 0.02)
    assert screening is None and result.complete
    assert 0 < len(left) < len(effects)
    check(model, activations, result, left, effects)


@pytest.mark.parametrize("ablation", Ablation)
@pytest.mark.parametrize("kind", ["gpt2", "llama", "gpt_neox", "gemma2"])
def test_exact_decisions_are_those_of_whole_runs_of_a_deep_model(tiny_deep_models, kind, ablation):
    model = tiny_deep_models(kind)
    activations = capture(model, random_prompts())
    senders = [head for head in all_heads(model) if (head.layer + head.index) % 2 == 0][:-2]
    value = fast_value(model, activations, ablation)
    left, effects = brute_force(model, activations, senders, 0.06, value)
    result, _ = run(model, activations, senders, 0.06, kind=ablation)
    check(model, activations, result, left, effects)
    assert 3 < len(left) < len(effects)


def test_with_no_tolerance_nothing_goes_that_does_anything(tiny_model):
    model = tiny_model("llama")
    activations = capture(model, random_prompts())
    result, _ = run(model, activations, all_heads(model), 0.0)
    # 0.* hear nothing; every edge does something, if little.
    assert len(named(result.circuit.edges, model.group)) == 16 + 16 + 8
    nothing, _ = run(model, activations, all_heads(model), 1e9)
    assert nothing.circuit.heads == () and len(nothing.steps) == 1


@pytest.mark.parametrize("kind", ["gpt2", "llama", "gpt_neox", "gemma2"])
def test_screened_finds_the_heads_that_exact_finds(tiny_deep_models, kind):
    """Of random models, far less linear than trained ones, nearly: at most one head more or less in ten."""
    model = tiny_deep_models(kind)
    activations = capture(model, random_prompts())
    exact, _ = run(model, activations, all_heads(model), 0.1)
    found, screening = run(model, activations, all_heads(model), 0.1, Mode.SCREENED)
    ours, theirs = set(found.circuit.heads), set(exact.circuit.heads)
    assert len(ours ^ theirs) <= len(ours | theirs) / 10
    assert found.steps[0].important == exact.steps[0].important  # the logits' edges are decided exactly
    inner = [step for step in found.steps if step.receivers]
    assert screening.estimated == sum(int((~step.effects.isnan()).sum()) for step in inner)
    assert screening.recomputed == screening.estimated - sum(int(step.estimated.sum()) for step in inner)


def test_whoever_stays_was_decided_exactly_and_whoever_was_guessed_lies_below_half(tiny_deep_model):
    activations = capture(tiny_deep_model, random_prompts())
    found, screening = run(tiny_deep_model, activations, all_heads(tiny_deep_model), 0.02, Mode.SCREENED)
    assert 0 < screening.recomputed < screening.estimated
    for step in found.steps:
        for head in step.important:
            assert not step.estimated[head.layer, head.index]
        assert (step.effects[step.estimated].abs() < 0.01).all()
        kept = (step.effects.abs() > 0.02) & ~step.estimated
        assert set(step.important) == {Head(*at) for at in kept.nonzero().tolist()}


def every_third(model) -> list[Head]:
    return [head for head in all_heads(model) if (head.layer + head.index) % 3 == 0]


def nearly_clean(activations, share: float):
    """The same with corrupted z moved to clean: what first order leaves out falls with the square of ``share``."""
    items = [
        replace(item, corrupted_z=item.clean_z + share * (item.corrupted_z - item.clean_z))
        for item in activations.batches
    ]
    return replace(activations, batches=tuple(items))


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen2", "gpt_neox", "gemma2", "gemma3_text"])
def test_to_first_order_the_estimates_are_exact(tiny_deep_models, kind):
    """Nothing is pruned at tolerance 0, so each edge is both estimated and run, in the same graph."""
    model = tiny_deep_models(kind)
    activations = capture(model, random_prompts(n=3))
    senders = every_third(model)
    worst = []
    for share in (0.04, 0.01):
        result, screening = run(model, nearly_clean(activations, share), senders, 0.0, Mode.SCREENED)
        largest = max(float(step.effects.nan_to_num().abs().max()) for step in result.steps if step.receivers)
        assert screening.recomputed == screening.estimated > 30
        assert screening.largest < 0.2 * largest
        worst.append(screening.largest)
    assert worst[1] < worst[0] / 4 + 5e-6  # a sixteenth, but for higher orders and rounding


def test_how_the_work_is_cut_changes_nothing(tiny_deep_model):
    activations, senders = capture(tiny_deep_model, random_prompts(n=4)), every_third(tiny_deep_model)
    for mode in Mode:
        whole, _ = run(tiny_deep_model, activations, senders, 0.01, mode)
        assert len(whole.steps) > 5
        for plan in (MemoryPlan(9, 9, 0.0), MemoryPlan(60, 60, 4e5)):
            cut, _ = run(tiny_deep_model, activations, senders, 0.01, mode, memory=plan)
            assert [step.important for step in cut.steps] == [step.important for step in whole.steps]
            for ours, theirs in zip(cut.steps, whole.steps, strict=True):
                torch.testing.assert_close(ours.effects, theirs.effects, atol=1e-4, rtol=0, equal_nan=True)


@pytest.mark.parametrize("mode", Mode)
def test_the_toy_models_circuit_is_found(toy_model, mode):
    settings = Settings(model="toy-induction", task="induction-random", pairs=8)
    prepared = prepare(toy_model, settings, Watcher())
    result, _ = run(toy_model, prepared.activations, all_heads(toy_model), 0.01, mode)
    found = {(edge.sender, edge.receiver, edge.input) for edge in result.circuit.edges}
    assert found == {(Head(1, 2), None, Input.LOGITS), (Head(0, 1), Head(1, 2), Input.K)}
    assert result.circuit.heads == (Head(0, 1), Head(1, 2))


def test_run_ahead_by_hand():
    """Of four senders the first and third are expected to go."""
    a, b, c, d = (Head(0, index) for index in range(4))
    wiring = Wiring({LOGITS: frozenset({a, b, c, d})})
    before, without = _run_ahead(wiring, LOGITS, [d, c, b, a], [True, False, True, True])
    assert [sorted(graph.heard_by(LOGITS)) for graph in without] == [[a, b, c], [a, b], [a, c], [c]]
    assert before == [0, 1, 1, 3]


def test_edges_of_a_kv_head_are_listed_for_each_head_still_there(tiny_deep_model):
    activations = capture(tiny_deep_model, random_prompts())
    result, _ = run(tiny_deep_model, activations, all_heads(tiny_deep_model), 0.03)
    shared = [edge for edge in result.circuit.edges if edge.shared]
    assert shared and all(edge.input in (Input.K, Input.V) for edge in shared)
    heads = set(result.circuit.heads)
    assert heads == {edge.sender for edge in result.circuit.edges}
    assert all(edge.receiver is None or edge.receiver in heads for edge in result.circuit.edges)
    for edge in shared:
        name = (edge.sender, receiver_of(edge, 2))
        assert len({twin.effect for twin in shared if (twin.sender, receiver_of(twin, 2)) == name}) == 1


@pytest.mark.parametrize("mode", Mode)
def test_cancel_keeps_the_layers_finished(tiny_deep_model, mode):
    activations = capture(tiny_deep_model, random_prompts())
    whole, _ = run(tiny_deep_model, activations, all_heads(tiny_deep_model), 0.02, mode)
    part, _ = run(tiny_deep_model, activations, all_heads(tiny_deep_model), 0.02, mode, StopAfter(2))
    assert whole.complete and not part.complete
    assert 1 < len(part.steps) < len(whole.steps)
    assert len({step.receivers[0].layer for step in part.steps[1:]}) == 1
    assert set(part.circuit.edges) < set(whole.circuit.edges)


def test_progress_never_goes_back_and_cost_grows(tiny_deep_model):
    activations, watcher = capture(tiny_deep_model, random_prompts()), StopAfter(10**6)
    result, _ = run(tiny_deep_model, activations, all_heads(tiny_deep_model), 0.02, Mode.SCREENED, watcher)
    assert watcher.shares == sorted(watcher.shares) and watcher.shares[-1] == pytest.approx(1.0)
    assert watcher.seen[-1] == result.circuit
    spent = [step.spent.flops for step in result.steps]
    assert spent == sorted(spent) and spent[0] > 0


@torch.no_grad()
def test_what_is_booked_is_what_torch_counts(tiny_deep_models):
    from torch.utils.flop_counter import FlopCounterMode

    for kind in ("llama", "gpt_neox"):
        model = tiny_deep_models(kind)
        activations, ledger = capture(model, random_prompts()), Ledger(1.0)
        with FlopCounterMode(display=False) as counter:
            acdc(model, activations, every_third(model), 0.02, Mode.SCREENED, ledger, None, Watcher())
        booked = sum(row.flops for row in ledger.rows())
        assert booked == pytest.approx(counter.get_total_flops(), rel=1e-6)


def test_screening_saves_work(tiny_deep_model):
    activations, cost = capture(tiny_deep_model, random_prompts()), {}
    for mode in Mode:
        ledger = Ledger(1.0)
        acdc(tiny_deep_model, activations, all_heads(tiny_deep_model), 0.2, mode, ledger, None, Watcher())
        cost[mode] = sum(row.flops for row in ledger.rows())
    assert cost[Mode.SCREENED] < 0.8 * cost[Mode.EXACT], cost


def test_a_model_known_by_hooks_alone_is_pruned_exactly(tiny_model, tiny_model_folder):
    fast, own = tiny_model("gpt2"), load_model(str(tiny_model_folder("gpt2")))  # a bridge wraps a model's modules
    hooked = Model("hooked", own.hf_model, own.tokenizer, hooked=True)
    senders, prompts = [Head(0, 1), Head(0, 2), Head(1, 0)], random_prompts(n=2)
    expected, _ = run(fast, capture(fast, prompts), senders, 0.02)
    result, screening = run(hooked, capture(hooked, prompts), senders, 0.02, Mode.SCREENED)
    assert screening is None
    assert [step.important for step in result.steps] == [step.important for step in expected.steps]


@pytest.mark.parametrize("tolerance", [-0.1, math.nan, math.inf])
def test_a_tolerance_is_a_number_from_zero_on(tiny_model, tolerance):
    model = tiny_model("gpt2")
    with pytest.raises(HeadlightError, match="tolerance of 0 or more"):
        run(model, capture(model, random_prompts()), all_heads(model), tolerance)
