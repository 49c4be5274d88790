"""Edges beside heads: on the toy model, whose circuit is known, and against the pieces it is made of."""

from dataclasses import replace

import pytest

from engine.ablation import Ablation, Ablator
from engine.activations import capture
from engine.circuit import Circuit, Edge, Input
from engine.cost.ledger import Ledger
from engine.edges.evaluation import EDGES_ALONE, edges_flops, evaluate_edges
from engine.edges.run import EdgeAblator
from engine.edges.wiring import all_edges
from engine.errors import Cancelled, HeadlightError
from engine.evaluation.bootstrap import Interval
from engine.evaluation.evaluate import EDGE_MINIMALITY, FRESH
from engine.evaluation.minimality import Standing
from engine.heads import Head, mask_of
from engine.nodes import Mlp
from engine.prepare import prepare, task_prompts
from engine.progress import Watcher
from engine.settings import Settings
from tests.engine.random_prompts import random_prompts

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=8, seed=0)
PREVIOUS, INDUCTION = Head(0, 1), Head(1, 2)
TO_LOGITS, TO_KEY = Edge(INDUCTION, None, Input.LOGITS, -1.0), Edge(PREVIOUS, INDUCTION, Input.K, -0.48)
KNOWN = Circuit((PREVIOUS, INDUCTION), (TO_LOGITS, TO_KEY), 2, 12)


@pytest.fixture(scope="module")
def prepared(toy_model):
    return prepare(toy_model, SETTINGS, Watcher())


def test_the_known_edges_are_the_known_heads(prepared):
    """By hand: 1.2 reads what 0.1 wrote through its key alone, so two edges do what all edges among them do."""
    found = evaluate_edges(prepared, KNOWN, 1, Watcher(), Ablation.RESAMPLE, draws=200)
    assert found.edges.faithfulness.value == pytest.approx(1, abs=0.02)
    assert found.heads.faithfulness.value == pytest.approx(1, abs=0.02)
    assert found.difference.value == pytest.approx(0, abs=0.01) and "nothing to speak of" in found.words
    shares = {each.member: each.share.value for each in found.minimality.contributions}
    assert list(shares) == [TO_LOGITS, TO_KEY]
    assert shares[TO_LOGITS] == pytest.approx(1, abs=0.02) and shares[TO_KEY] == pytest.approx(0.48, abs=0.1)
    assert {each.standing for each in found.minimality.contributions} == {Standing.CONTRIBUTES}
    assert (found.n, found.seed, found.fresh, found.verification.distinct) == (8, 1, True, 2)
    assert [row.stage for row in found.cost] == [FRESH, EDGES_ALONE, EDGE_MINIMALITY]


def test_an_edge_that_is_missing_shows_in_the_difference(prepared):
    """The heads alone are whole, but without the edge into the key the answer is not found."""
    found = evaluate_edges(prepared, replace(KNOWN, edges=(TO_LOGITS,)), 1, Watcher(), Ablation.RESAMPLE)
    assert found.heads.faithfulness.value == pytest.approx(1, abs=0.02)
    assert found.difference.value == pytest.approx(-0.48, abs=0.1) and found.difference.high < 0
    assert "flows along edges that it does not list" in found.words


def test_every_number_is_that_of_its_pieces(toy_model, prepared):
    found = evaluate_edges(prepared, KNOWN, 1, Watcher())
    activations = capture(toy_model, task_prompts(toy_model, SETTINGS, 1))
    ledger = Ledger(1.0)
    with ledger.stage("test"):
        run = EdgeAblator(toy_model, activations, ledger)
        edges, alone, every = (run.metric(each) for each in (KNOWN.edges, (TO_LOGITS,), all_edges(KNOWN.heads)))
        heads = Ablator(toy_model, activations, ledger).metric(mask_of(KNOWN.heads, 2, 12))
    unit = activations.clean - activations.corrupted
    assert found.edges.circuit.value == pytest.approx(edges) == pytest.approx(found.verification.circuit_logit_diff)
    assert found.heads.circuit.value == pytest.approx(heads) == pytest.approx(every)
    assert found.difference.value == pytest.approx((edges - heads) / unit)
    (share,) = (each.share.value for each in found.minimality.contributions if each.member == TO_KEY)
    assert share == pytest.approx((edges - alone) / unit)


def interval(value: float, low: float, high: float) -> Interval:
    return Interval(value, low, high, 8, 100)


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        (interval(0.3, 0.1, 0.5), "pull the metric down"),
        (interval(-0.3, -0.5, -0.1), "part of what its heads do"),
        (interval(-0.3, -0.5, 0.1), "nothing to speak of"),
        (interval(-0.01, -0.015, -0.005), "nothing to speak of"),
        (replace(interval(-0.3, float("nan"), float("nan")), n=1), "one pair has no interval"),
    ],
)
def test_the_difference_in_words(prepared, gap, words):
    found = evaluate_edges(prepared, KNOWN, 1, Watcher(), draws=20)
    assert words in replace(found, difference=gap).words


def test_prompts_that_corruption_does_not_change_leave_shares_undefined(toy_model):
    prompts = task_prompts(toy_model, SETTINGS, 0)
    same = replace(prompts, pairs=tuple(replace(pair, corrupted_tokens=pair.clean_tokens) for pair in prompts.pairs))
    found = evaluate_edges(prepare(toy_model, SETTINGS, Watcher(), same), KNOWN, 1, Watcher(), draws=20)
    assert not found.difference.defined and "undefined" in found.words and not found.fresh
    assert {each.standing for each in found.minimality.contributions} == {Standing.UNKNOWN}


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_about_what_was_predicted_is_booked(tiny_deep_models, kind):
    model = tiny_deep_models(kind)
    prepared = prepare(model, Settings(model="tiny", task="ioi"), Watcher(), random_prompts(n=4))
    heads = (Head(0, 1), Head(2, 0), Head(3, 2), Head(5, 1))  # 22 edges to take out, of which 11 are counted
    circuit = Circuit(heads, all_edges(heads), model.n_layers, model.n_heads)
    booked = sum(row.flops for row in evaluate_edges(prepared, circuit, 1, Watcher(), draws=20).cost)
    assert 0.6 < edges_flops(prepared, circuit) / booked < 1.7


def test_circuits_without_edges_and_of_other_models_are_refused(prepared):
    with pytest.raises(HeadlightError, match="heads alone"):
        evaluate_edges(prepared, replace(KNOWN, edges=()), 1, Watcher())
    with pytest.raises(HeadlightError, match="MLPs as nodes"):
        evaluate_edges(prepared, replace(KNOWN, mlps=(Mlp(0),)), 1, Watcher())
    with pytest.raises(HeadlightError, match="3 layers"):
        evaluate_edges(prepared, replace(KNOWN, n_layers=3), 1, Watcher())


class Stop(Watcher):
    def __init__(self, stage: str) -> None:
        self.stage, self.now_at = stage, ""

    def report(self, stage, done, total):
        self.now_at = stage

    def cancelled(self):
        return self.now_at == self.stage


@pytest.mark.parametrize("stage", [FRESH, EDGES_ALONE, EDGE_MINIMALITY])
def test_it_can_be_stopped_in_any_stage(prepared, stage):
    with pytest.raises(Cancelled):
        evaluate_edges(prepared, KNOWN, 1, Stop(stage), draws=20)
