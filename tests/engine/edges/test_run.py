"""Runs with only some edges live: against hooks, against the ablation of heads, and by definition."""

import random

import pytest
import torch

from engine.ablation import Ablation, Ablator, stand_ins
from engine.activations import capture
from engine.circuit import Edge, Input
from engine.cost.ledger import Ledger
from engine.edges.reference import ReferenceEdges
from engine.edges.run import EdgeAblator, edge_contributions, verify_edges
from engine.edges.wiring import all_edges, wiring_of
from engine.errors import HeadlightError
from engine.heads import Head, mask_of
from engine.machine.memory import MemoryPlan
from engine.models.loading import load_model
from engine.models.model import Model
from tests.engine.patching.test_effects import all_heads
from tests.engine.random_prompts import random_prompts
from tests.tiny import TINY_KINDS

EXACT = {"atol": 1e-5, "rtol": 1e-5, "check_dtype": False}
HOOKS = {"atol": 1e-4, "rtol": 1e-4, "check_dtype": False}  # a whole other way of computing the same
NAN = float("nan")


@pytest.fixture
def ledger():
    ledger = Ledger(1.0)
    with ledger.stage("test"):
        yield ledger


def some_edges(model, share: float, seed: int) -> list[Edge]:
    rng = random.Random(seed)
    return [edge for edge in all_edges(all_heads(model)) if rng.random() < share]


def by_hooks(model, activations, edges, kind, ledger):
    values = torch.empty(len(activations.prompts))
    for item, stand_in in zip(activations.batches, stand_ins(activations.batches, kind), strict=True):
        run = ReferenceEdges(model, item, stand_in, ledger)
        values[list(item.batch.indices)] = run.metric(wiring_of(edges, model.shape))
    return values


@pytest.mark.parametrize("ablation", Ablation)
@pytest.mark.parametrize("kind", TINY_KINDS)
def test_random_edges_equal_one_hooked_forward_a_receiver(tiny_model, kind, ablation, ledger):
    model = tiny_model(kind)
    activations = capture(model, random_prompts(n=4))
    ablator = EdgeAblator(model, activations, ledger, ablation)
    for seed, share in enumerate((0.2, 0.6)):
        edges = some_edges(model, share, seed)
        torch.testing.assert_close(
            ablator.by_pair(edges), by_hooks(model, activations, edges, ablation, ledger), **HOOKS
        )


@pytest.mark.parametrize("kind", ["gpt2", "llama", "gpt_neox", "gemma2"])
def test_random_edges_of_a_deep_model_equal_hooks(tiny_deep_models, kind, ledger):
    model = tiny_deep_models(kind)
    activations = capture(model, random_prompts(n=2))
    for ablation, share in ((Ablation.MEAN, 0.05), (Ablation.RESAMPLE, 0.15)):
        edges = some_edges(model, share, 3)
        values = EdgeAblator(model, activations, ledger, ablation).by_pair(edges)
        torch.testing.assert_close(values, by_hooks(model, activations, edges, ablation, ledger), **HOOKS)


@pytest.mark.parametrize("ablation", Ablation)
@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen2", "gemma2", "gpt_neox"])
def test_all_edges_among_heads_are_the_ablation_of_all_others(tiny_deep_models, kind, ablation, ledger):
    model = tiny_deep_models(kind)
    activations = capture(model, random_prompts())
    heads = random.Random(1).sample(all_heads(model), 9)
    expected = Ablator(model, activations, ledger, ablation).by_pair(mask_of(heads, model.n_layers, model.n_heads))
    values = EdgeAblator(model, activations, ledger, ablation).by_pair(all_edges(heads))
    torch.testing.assert_close(values, expected, **EXACT)
    assert (values - activations.by_pair("clean_metric")).abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["gpt2", "llama", "gemma2"])
def test_the_ends_of_the_scale(tiny_model, kind, ledger):
    model = tiny_model(kind)
    activations = capture(model, random_prompts())
    nothing = torch.zeros(model.n_layers, model.n_heads, dtype=torch.bool)
    for ablation in Ablation:
        ablator = EdgeAblator(model, activations, ledger, ablation)
        empty = Ablator(model, activations, ledger, ablation).by_pair(nothing)
        torch.testing.assert_close(ablator.by_pair([]), empty, **EXACT)
        everything = ablator.by_pair(all_edges(all_heads(model)))
        torch.testing.assert_close(everything, activations.by_pair("clean_metric"), **EXACT)
    # Nobody hears these heads' receiver, so their edges change nothing.
    deaf = [Edge(Head(0, h), Head(1, h), Input.Q, NAN) for h in range(4)]
    torch.testing.assert_close(ablator.by_pair(deaf), empty, **EXACT)


def test_an_edge_of_one_query_head_is_heard_by_its_whole_kv_head(tiny_model, ledger):
    """Two query heads a KV head: k of 1.0 and of 1.1 is one receiver, its senders the union."""
    model = tiny_model("llama")
    ablator = EdgeAblator(model, capture(model, random_prompts()), ledger)
    logits = [Edge(Head(1, h), None, Input.LOGITS, NAN) for h in (0, 1)]
    apart = [Edge(Head(0, 2), Head(1, 0), Input.K, NAN), Edge(Head(0, 3), Head(1, 1), Input.K, NAN)]
    listed = [Edge(Head(0, s), Head(1, h), Input.K, NAN, shared=True) for s in (2, 3) for h in (0, 1)]
    torch.testing.assert_close(ablator.by_pair(logits + apart), ablator.by_pair(logits + listed), **EXACT)
    assert (ablator.by_pair(logits + apart) - ablator.by_pair(logits + apart[:1])).abs().max() > 1e-4


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_each_edges_contribution_is_two_runs_apart(tiny_deep_models, kind, ledger):
    model = tiny_deep_models(kind)
    activations = capture(model, random_prompts())
    edges = some_edges(model, 0.08, 5)
    found = edge_contributions(EdgeAblator(model, activations, ledger), edges)
    fresh = EdgeAblator(model, activations, ledger)
    assert found.by_pair.shape == (len(edges), len(activations.prompts))
    torch.testing.assert_close(found.with_all, fresh.by_pair(edges), **EXACT)
    for row, edge in enumerate(edges):
        key = wiring_of([edge], model.shape).senders.keys()
        rest = [
            other for other in edges
            if other.sender != edge.sender or wiring_of([other], model.shape).senders.keys() != key
        ]  # fmt: skip
        torch.testing.assert_close(found.without[row], fresh.by_pair(rest), **EXACT)
    assert found.by_pair.abs().max() > 1e-3


def test_edges_that_share_a_kv_head_contribute_together(tiny_model, ledger):
    model = tiny_model("llama")
    logits = [Edge(Head(1, h), None, Input.LOGITS, NAN) for h in (0, 1)]
    shared = [Edge(Head(0, 2), Head(1, h), Input.V, NAN, shared=True) for h in (0, 1)]
    ablator = EdgeAblator(model, capture(model, random_prompts()), ledger)
    found = edge_contributions(ablator, logits + shared)
    torch.testing.assert_close(found.without[2], found.without[3])
    torch.testing.assert_close(found.without[2], ablator.by_pair(logits), **EXACT)


def test_how_the_work_is_cut_changes_nothing(tiny_deep_model, ledger):
    activations = capture(tiny_deep_model, random_prompts(n=6))
    edges = some_edges(tiny_deep_model, 0.1, 2)
    whole = edge_contributions(EdgeAblator(tiny_deep_model, activations, ledger), edges)
    for plan in (MemoryPlan(1, 1, 0.0), MemoryPlan(40, 40, 3e5), MemoryPlan(2048, 2048, 1e6)):
        cut = edge_contributions(EdgeAblator(tiny_deep_model, activations, ledger, memory=plan), edges)
        torch.testing.assert_close(cut.by_pair, whole.by_pair, **EXACT)


def test_sharing_saves_work(tiny_deep_model):
    """Each edge taken out in turn against as many whole runs."""
    activations = capture(tiny_deep_model, random_prompts())
    edges = some_edges(tiny_deep_model, 0.1, 2)
    ledger = Ledger(1.0)
    with ledger.stage("apart"):
        EdgeAblator(tiny_deep_model, activations, ledger).by_pair(edges)
    with ledger.stage("together"):
        edge_contributions(EdgeAblator(tiny_deep_model, activations, ledger), edges)
    apart, together = (row.flops for row in ledger.rows())
    assert together < 0.6 * len(edges) * apart


@torch.no_grad()
def test_what_is_booked_is_what_torch_counts(tiny_deep_models):
    from torch.utils.flop_counter import FlopCounterMode

    for kind in ("llama", "gpt_neox"):
        model = tiny_deep_models(kind)
        activations = capture(model, random_prompts())
        ledger = Ledger(1.0)
        with ledger.stage("test"), FlopCounterMode(display=False) as counter:
            edge_contributions(EdgeAblator(model, activations, ledger, Ablation.RESAMPLE), some_edges(model, 0.1, 4))
        assert ledger.rows()[0].flops == pytest.approx(counter.get_total_flops(), rel=1e-6)


def test_models_known_by_hooks_alone_run_the_reference(tiny_model, tiny_model_folder, ledger):
    fast, own = tiny_model("gpt2"), load_model(str(tiny_model_folder("gpt2")))  # a bridge wraps a model's modules
    hooked = Model("hooked", own.hf_model, own.tokenizer, hooked=True)
    prompts, edges = random_prompts(n=3), some_edges(fast, 0.4, 1)
    expected = EdgeAblator(fast, capture(fast, prompts), ledger).by_pair(edges)
    values = EdgeAblator(hooked, capture(hooked, prompts), ledger).by_pair(edges)
    torch.testing.assert_close(values, expected, **HOOKS)
    found = edge_contributions(EdgeAblator(hooked, capture(hooked, prompts), ledger), edges[:3])
    assert found.without.shape == (3, 3)


def test_verification_says_how_true_the_edges_are(tiny_model, ledger):
    model = tiny_model("llama")
    activations = capture(model, random_prompts())
    ablator = EdgeAblator(model, activations, ledger, Ablation.RESAMPLE)
    everything = all_edges(all_heads(model))
    found = verify_edges(activations, ablator, everything, seed=7)
    assert found.performance == pytest.approx(100, abs=1e-3) and found.faithfulness == pytest.approx(1, abs=1e-3)
    # 4 x 4 pairs of heads by q; by k and v 4 senders x 2 KV heads each; 8 to the logits.
    assert (found.edges, found.distinct, found.heads) == (3 * 16 + 8, 16 + 16 + 8, 8)
    assert (found.n, found.seed, found.ablation) == (5, 7, Ablation.RESAMPLE)
    empty = verify_edges(activations, ablator, [], seed=7)
    assert empty.faithfulness == pytest.approx(
        (empty.circuit_logit_diff - activations.corrupted) / (activations.clean - activations.corrupted)
    )


@pytest.mark.parametrize(
    ("edge", "message"),
    [
        (Edge(Head(1, 0), Head(1, 1), Input.Q, NAN), "sender below its receiver"),
        (Edge(Head(2, 0), None, Input.LOGITS, NAN), "no head 2.0"),
        (Edge(Head(0, 0), Head(1, 4), Input.K, NAN), "no head 1.4"),
        (Edge(Head(0, 0), Head(1, 1), Input.LOGITS, NAN), "Expected an edge to the logits"),
    ],
)
def test_edges_a_model_cannot_have_are_refused(tiny_model, ledger, edge, message):
    model = tiny_model("gpt2")
    ablator = EdgeAblator(model, capture(model, random_prompts()), ledger)
    with pytest.raises(HeadlightError, match=message):
        ablator.by_pair([edge])
