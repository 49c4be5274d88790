"""The threshold rule by hand, and the walk against the paper's queue."""

import math
import random
import statistics

import pytest
import torch

from engine.activations import capture
from engine.circuit import Circuit, Edge, Input
from engine.cost.ledger import Ledger
from engine.heads import Head
from engine.patching.effects import Effects, PathPatching
from engine.patching.receiver import LOGITS, Receiver
from engine.progress import Watcher
from engine.search.path_patching import LOGITS_THRESHOLD_SCALE, Thresholds, important_senders, layer_thresholds, search
from tests.engine.random_prompts import random_prompts


def test_threshold_by_hand():
    effects = torch.tensor([[0.1, -0.1, 0.0], [0.0, 0.2, -0.8], [float("nan")] * 3])
    values = [0.1, -0.1, 0.0, 0.0, 0.2, -0.8]
    mean, std = statistics.mean(values), statistics.stdev(values)
    limits = layer_thresholds(effects, 2, Thresholds(scale=1.0, min_effect=0.01))
    assert limits[0].item() == pytest.approx(abs(mean) + (1 + 2 / math.sqrt(3)) * std, abs=1e-6)
    assert limits[1].item() == pytest.approx(abs(mean) + (1 + 2 / math.sqrt(6)) * std, abs=1e-6)
    assert limits[2].item() == math.inf  # not below the receiver
    assert important_senders(effects, limits) == (Head(1, 2),)


def test_heads_not_measured_count_as_zero():
    measured = torch.tensor([[0.0, 0.5, 0.0, 0.0]])
    masked = torch.tensor([[float("nan"), 0.5, float("nan"), float("nan")]])
    thresholds = Thresholds(0.5, 0.0)
    torch.testing.assert_close(layer_thresholds(measured, 1, thresholds), layer_thresholds(masked, 1, thresholds))
    assert important_senders(masked, torch.tensor([0.1])) == (Head(0, 1),)


def test_nothing_counts_when_no_effect_exceeds_the_smallest():
    effects = torch.tensor([[0.0, 0.0, 0.25, 0.0]])
    assert layer_thresholds(effects, 1, Thresholds(0.1, min_effect=0.25)).tolist() == [math.inf]
    assert layer_thresholds(effects, 1, Thresholds(0.1, min_effect=0.24)).isfinite().all()


def test_the_scale_is_the_receivers_and_the_logits_step_keeps_two():
    def measure(receiver, tick):
        effects = torch.zeros(2, 20)
        effects[(1, 3) if receiver == LOGITS else (0, 4)] = -0.5
        return effects

    strict = search(one_by_one(measure), 2, 20, 1, Thresholds(100.0, 0.01), Watcher())
    assert strict.circuit.heads == (Head(1, 3),) and [edge.input for edge in strict.circuit.edges] == [Input.LOGITS]
    lax = search(one_by_one(measure), 2, 20, 1, Thresholds(1.0, 0.01), Watcher())
    assert lax.circuit.heads == (Head(0, 4), Head(1, 3)) and len(lax.circuit.edges) == 4


def test_a_positive_effect_counts_as_much_as_a_negative_one():
    effects = torch.tensor([[0.0, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    thresholds = Thresholds(1.0, 0.01)
    for signed in (effects, -effects):
        assert important_senders(signed, layer_thresholds(signed, 1, thresholds)) == (Head(0, 1),)


def one_by_one(measure):
    """A search's way of asking for a layer at once, answered receiver by receiver."""
    return lambda receivers, decides, tick: [Effects.exact(measure(receiver, tick)) for receiver in receivers]


class MadeUp:
    """Random effects for every receiver, sparse enough that circuits end; k and v by KV head."""

    def __init__(self, seed: int, n_layers: int, n_heads: int, group: int) -> None:
        self.n_layers, self.n_heads, self.group, self.seed = n_layers, n_heads, group, seed
        self.asked: list[Receiver] = []

    def __call__(self, receiver: Receiver, tick=lambda share: None) -> torch.Tensor:
        self.asked.append(receiver)
        tick(1.0)
        rng = random.Random(f"{self.seed} {receiver}")
        top = self.n_layers if receiver.head is None else receiver.head.layer
        effects = torch.full((self.n_layers, self.n_heads), math.nan)
        for layer in range(top):
            for index in range(self.n_heads):
                effects[layer, index] = rng.gauss(0, 0.01) + (rng.choice((-1, 1)) if rng.random() < 0.06 else 0)
        return effects


def paper_queue(measure: MadeUp, thresholds: Thresholds, shuffle: random.Random) -> tuple[set[Head], set[tuple]]:
    """The paper's queue, taken in random order: heads, and edges named by (sender, KV or query receiver, input)."""
    heads, edges, searched = set(), set(), set()
    queue: list[Head] = []

    def take(receiver: Receiver, rule: Thresholds) -> None:
        top = measure.n_layers if receiver.head is None else receiver.head.layer
        effects = measure(receiver)
        for sender in important_senders(effects, layer_thresholds(effects, top, rule)):
            edges.add((sender, receiver))
            if sender not in heads:
                heads.add(sender)
                queue.append(sender)

    take(LOGITS, Thresholds(LOGITS_THRESHOLD_SCALE, thresholds.min_effect))
    while queue:
        head = queue.pop(shuffle.randrange(len(queue)))
        kv = Head(head.layer, head.index // measure.group * measure.group)
        for receiver in (Receiver(Input.Q, head), Receiver(Input.K, kv), Receiver(Input.V, kv)):
            if head.layer > 0 and receiver not in searched:
                searched.add(receiver)
                take(receiver, thresholds)
    return heads, edges


@pytest.mark.parametrize("group", [1, 3])
@pytest.mark.parametrize("seed", range(8))
def test_walking_down_finds_what_the_papers_queue_finds_in_any_order(seed, group):
    thresholds = Thresholds(1.0, 0.01)
    measure = MadeUp(seed, 7, 6, group)
    found = search(one_by_one(measure), 7, 6, group, thresholds, Watcher())
    assert found.complete and len(measure.asked) == len(set(measure.asked))  # nothing measured twice
    assert found.circuit.heads
    for order in range(3):
        heads, edges = paper_queue(MadeUp(seed, 7, 6, group), thresholds, random.Random(order))
        assert set(found.circuit.heads) == heads
        named = set()
        for edge in found.circuit.edges:
            receiver = LOGITS
            if edge.receiver is not None:
                shares = edge.input in (Input.K, Input.V)
                index = edge.receiver.index // group * group if shares else edge.receiver.index
                receiver = Receiver(edge.input, Head(edge.receiver.layer, index))
            named.add((edge.sender, receiver))
        assert named == edges


def test_a_kv_head_with_one_query_head_in_the_circuit_is_not_shared():
    """Groups of ten; only query head 3 of the first group is in."""

    def measure(receiver, tick):
        effects = torch.zeros(2, 20)
        if receiver == LOGITS:
            effects[1, 3] = -0.5
        elif receiver.input is Input.V:
            effects[0, 4] = -0.3
        return effects

    found = search(one_by_one(measure), 2, 20, 10, Thresholds(1.0, 0.01), Watcher())
    assert found.circuit.edges == (
        Edge(Head(0, 4), Head(1, 3), Input.V, pytest.approx(-0.3), shared=False),
        Edge(Head(1, 3), None, Input.LOGITS, pytest.approx(-0.5)),
    )


def test_sharing_is_marked_when_two_query_heads_of_one_group_are_in():
    """Twenty heads a layer in groups of ten: two outliers of forty pass s = 2."""

    def measure(receiver, tick):
        effects = torch.zeros(2, 20)
        if receiver == LOGITS:
            effects[1, [3, 7]] = -0.5
        elif receiver.input is Input.K:
            assert receiver.head == Head(1, 0)  # named by the group's first query head
            effects[0, 4] = -0.3
        return effects

    found = search(one_by_one(measure), 2, 20, 10, Thresholds(1.0, 0.01), Watcher())
    keys = [edge for edge in found.circuit.edges if edge.input is Input.K]
    assert [(edge.receiver, edge.effect, edge.shared) for edge in keys] == [
        (Head(1, 3), pytest.approx(-0.3), True),
        (Head(1, 7), pytest.approx(-0.3), True),
    ]
    shared_steps = [step for step in found.steps if step.input in (Input.K, Input.V)]
    assert [step.receivers for step in shared_steps] == [(Head(1, 3), Head(1, 7))] * 2


def test_layer_zero_heads_are_not_searched():
    def measure(receiver, tick):
        assert receiver == LOGITS
        effects = torch.zeros(2, 12)
        effects[0, 5] = -1.0
        return effects

    found = search(one_by_one(measure), 2, 12, 1, Thresholds(1.0, 0.01), Watcher())
    assert found.circuit.heads == (Head(0, 5),) and len(found.steps) == 1


class StopAfter(Watcher):
    def __init__(self, steps: int) -> None:
        self.left, self.seen, self.shares = steps, [], []

    def report(self, stage, done, total):
        self.shares.append(done / total)

    def found(self, circuit: Circuit) -> None:
        self.seen.append(circuit)
        self.left -= 1

    def cancelled(self) -> bool:
        return self.left <= 0


def test_cancel_keeps_what_was_found_and_says_so():
    whole = search(one_by_one(MadeUp(1, 7, 6, 1)), 7, 6, 1, Thresholds(1.0, 0.01), Watcher())
    watcher = StopAfter(2)  # the logits and one layer
    part = search(one_by_one(MadeUp(1, 7, 6, 1)), 7, 6, 1, Thresholds(1.0, 0.01), watcher)
    assert not part.complete and 1 < len(part.steps) < len(whole.steps)
    assert len({step.receivers[0].layer for step in part.steps[1:]}) == 1
    assert part.circuit == watcher.seen[-1]
    assert set(part.circuit.edges) < set(whole.circuit.edges)


def test_progress_never_goes_back_and_ends_at_one():
    watcher = StopAfter(10**6)
    search(one_by_one(MadeUp(3, 7, 6, 3)), 7, 6, 3, Thresholds(1.0, 0.01), watcher)
    assert watcher.shares == sorted(watcher.shares)
    assert watcher.shares[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["gpt2", "gpt_neox", "gemma2", "qwen2"])
def test_on_a_model_too_the_order_of_receivers_changes_nothing(tiny_deep_models, kind, monkeypatch):
    """The paper's queue in random order, each receiver patched alone, against the walk that shares one sweep."""
    monkeypatch.setattr("engine.search.path_patching.LOGITS_THRESHOLD_SCALE", 0.0)  # with so few heads 2 finds none
    monkeypatch.setattr("tests.engine.search.test_path_patching.LOGITS_THRESHOLD_SCALE", 0.0)
    model = tiny_deep_models(kind)
    activations, thresholds, ledger = capture(model, random_prompts()), Thresholds(0.0, 0.001), Ledger(1.0)
    senders = [Head(layer, index) for layer in range(model.n_layers) for index in range(model.n_heads)]
    walked = search(
        PathPatching(model, activations, senders, ledger).measure,
        model.n_layers, model.n_heads, model.group, thresholds, Watcher(),
    )  # fmt: skip
    measure = _OfModel(model, PathPatching(model, activations, senders, ledger))
    heads, edges = paper_queue(measure, thresholds, random.Random(1))
    assert set(walked.circuit.heads) == heads and len(edges) > 5
    assert {(edge.sender, edge.input) for edge in walked.circuit.edges} == {(s, r.input) for s, r in edges}


class _OfModel:
    """A model's effects as ``paper_queue`` asks for them."""

    def __init__(self, model, patching):
        self.n_layers, self.n_heads, self.group, self._patching = model.n_layers, model.n_heads, model.group, patching

    def __call__(self, receiver):
        return self._patching.effects(receiver)
