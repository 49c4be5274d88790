"""MLPs as nodes: the fast path against the hooked reference, and what must hold by definition."""

from dataclasses import replace

import pytest
import torch

from engine.activations import capture
from engine.circuit import Input
from engine.cost.ledger import Ledger
from engine.errors import HeadlightError
from engine.heads import Head
from engine.machine.memory import MemoryPlan
from engine.nodes import Mlp
from engine.patching.mlp_nodes import NodePatching, ScreenedNodes
from engine.patching.mlp_reference import reference_node_effects
from engine.patching.receiver import LOGITS, Receiver
from tests.engine.random_prompts import random_prompts
from tests.tiny import TINY_KINDS

EXACT = {"atol": 1e-4, "rtol": 0, "equal_nan": True}  # in f, as SPEED.md promises
PARALLEL = ("gpt_neox", "gptj", "phi")
RECEIVERS = [LOGITS, Receiver(Input.MLP, Mlp(1)), Receiver(Input.MLP, Mlp(0))] + [
    Receiver(letter, Head(1, 3)) for letter in (Input.Q, Input.K, Input.V)
]


def all_nodes(model):
    heads = [Head(layer, index) for layer in range(model.n_layers) for index in range(model.n_heads)]
    return [*heads, *map(Mlp, range(model.n_layers))]


def node_patching(model, activations, senders=None, memory=None):
    return NodePatching(model, activations, senders or all_nodes(model), Ledger(1.0), memory)


def fast_effects(model, activations, receiver, senders=None, memory=None):
    patching = node_patching(model, activations, senders, memory)
    with patching.ledger.stage("test"):
        return patching.effects(receiver)


def nobody(receiver, f):
    return torch.zeros_like(f, dtype=torch.bool)


@pytest.mark.parametrize("receiver", RECEIVERS, ids=str)
@pytest.mark.parametrize("kind", TINY_KINDS)
def test_fast_equals_reference(tiny_model, kind, receiver):
    model = tiny_model(kind)
    activations = capture(model, random_prompts(), mlps=True)
    reference = reference_node_effects(model, activations, receiver, all_nodes(model))
    fast = fast_effects(model, activations, receiver)
    if kind in PARALLEL and receiver.head == Mlp(0):
        assert fast.isnan().all() and reference.isnan().all()  # nothing lies below it
        return
    assert reference.nan_to_num().abs().max() > 1e-3  # there is something to agree on
    torch.testing.assert_close(fast, reference, **EXACT)


@pytest.mark.parametrize("kind", ["llama", "gpt_neox", "gemma2"])
def test_deep_models_agree_through_many_live_layers(tiny_deep_models, kind):
    model = tiny_deep_models(kind)
    activations = capture(model, random_prompts(n=3), mlps=True)
    senders = [Head(0, 0), Mlp(0), Head(2, 2), Mlp(2), Head(4, 1), Mlp(4)]
    receivers = (LOGITS, Receiver(Input.MLP, Mlp(3)), Receiver(Input.MLP, Mlp(5)), Receiver(Input.K, Head(3, 0)))
    reference = torch.stack([reference_node_effects(model, activations, r, senders) for r in receivers])
    fast = torch.stack([fast_effects(model, activations, r, senders) for r in receivers])
    assert reference.nan_to_num().abs().max() > 1e-2
    torch.testing.assert_close(fast, reference, **EXACT)


@pytest.mark.parametrize(("kind", "hears"), [("llama", True), ("gpt_neox", False)])
def test_who_may_send_to_an_mlp(tiny_deep_models, kind, hears):
    """The heads of its own layer, but not in a parallel block; all nodes below; never itself."""
    model = tiny_deep_models(kind)
    activations = capture(model, random_prompts(n=3), mlps=True)
    measured = ~fast_effects(model, activations, Receiver(Input.MLP, Mlp(2))).isnan()
    assert measured[:2].all() and not measured[3:].any()
    assert measured[2].tolist() == [hears] * model.n_heads + [False]


def test_patching_in_the_clean_run_itself_changes_nothing(tiny_model):
    model, prompts = tiny_model("gemma2"), random_prompts()
    activations = capture(model, prompts, mlps=True)
    same = tuple(
        replace(item, corrupted_z=item.clean.z, mlps=replace(item.mlp_runs, corrupted=item.mlp_runs.clean))
        for item in activations.batches
    )
    for receiver in RECEIVERS:
        effects = fast_effects(model, replace(activations, batches=same), receiver)
        assert effects.nan_to_num().abs().max() < 1e-5


@pytest.mark.parametrize("kind", ["gpt2", "llama", "gpt_neox"])
def test_all_senders_together_make_the_corrupted_stream(tiny_model, kind):
    """Without norms after attention and MLP, all changes and that of the embedding add up to corrupted - clean."""
    model = tiny_model(kind)
    activations = capture(model, random_prompts(), mlps=True)
    patching = node_patching(model, activations)
    with patching.ledger.stage("test"):
        for sweep in patching.sweeps():
            item = sweep.item
            final = item.clean.resid_final[:, item.first :]
            changes = (sweep.stream_into(model.n_layers) - final).sum(0)
            embedded = model.parts.embed(item.batch.corrupted) - model.parts.embed(item.batch.clean)
            changed = (final + changes + embedded[:, item.first :])[:, -1]
            torch.testing.assert_close(changed, item.corrupted_end, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("memory", [MemoryPlan(40, 40, 0.0), MemoryPlan(40, 40, 1e12)])
def test_how_work_is_cut_never_changes_a_number(tiny_deep_models, memory):
    model = tiny_deep_models("gemma2")
    activations = capture(model, random_prompts(), mlps=True)
    cut = node_patching(model, activations, memory=memory)  # one for all receivers, which may share what is kept
    for receiver in (LOGITS, Receiver(Input.MLP, Mlp(4)), Receiver(Input.V, Head(4, 1)), Receiver(Input.MLP, Mlp(1))):
        whole = fast_effects(model, activations, receiver)
        torch.testing.assert_close(cut.effects(receiver), whole, atol=1e-5, rtol=0, equal_nan=True)


@pytest.mark.parametrize("receiver", RECEIVERS[1:], ids=str)
@pytest.mark.parametrize("kind", ["gpt2", "gpt_neox", "gemma2", "qwen2"])
def test_estimates_become_exact_as_the_corruption_becomes_small(tiny_model, kind, receiver):
    if kind in PARALLEL and receiver.head == Mlp(0):
        return
    model = tiny_model(kind)
    activations = capture(model, random_prompts(), mlps=True)
    errors = []
    for share in (0.02, 0.005):
        small = with_corruption_scaled(activations, share)
        patching = ScreenedNodes(node_patching(model, small))
        (estimate,) = patching.measure([receiver], nobody)
        exact = fast_effects(model, small, receiver)
        assert torch.equal(estimate.estimated, ~exact.isnan())
        assert exact.nan_to_num().abs().max() > 1e-4 * share
        errors.append(float((estimate.f - exact).nan_to_num().abs().max()))
    assert errors[1] < 0.15 * errors[0] + 1e-5


def test_recomputed_effects_are_the_exact_ones(tiny_deep_models):
    model, receiver = tiny_deep_models("llama"), Receiver(Input.MLP, Mlp(3))
    activations = capture(model, random_prompts(), mlps=True)
    patching = ScreenedNodes(node_patching(model, activations))
    (effects,) = patching.measure([receiver], lambda receiver, f: ~f.isnan())
    exact = fast_effects(model, activations, receiver)
    torch.testing.assert_close(effects.f, exact, atol=1e-6, rtol=0, equal_nan=True)
    assert not effects.estimated.any()
    assert patching.screening.recomputed == patching.screening.estimated == 3 * 5 + 4


def with_corruption_scaled(activations, share):
    """The corrupted z and MLP outputs moved towards the clean ones; f keeps its unit."""
    batches = []
    for item in activations.batches:
        runs = item.mlp_runs
        batches.append(
            replace(
                item,
                corrupted_z=item.clean.z + share * (item.corrupted_z - item.clean.z),
                mlps=replace(runs, corrupted=runs.clean + share * (runs.corrupted - runs.clean)),
            )
        )
    return replace(activations, batches=tuple(batches))


def test_an_mlp_is_measured_alone(tiny_model):
    model = tiny_model("llama")
    patching = node_patching(model, capture(model, random_prompts(), mlps=True))
    with pytest.raises(ValueError, match="An MLP is measured alone"):
        patching.measure([Receiver(Input.MLP, Mlp(1)), Receiver(Input.Q, Head(1, 0))])


def test_receivers_are_named():
    assert str(Receiver(Input.MLP, Mlp(3))) == "m3"
    assert Receiver.parse("m3", 4, 2) == Receiver(Input.MLP, Mlp(3))
    with pytest.raises(HeadlightError, match="no MLP m4: layers go from 0 to 3"):
        Receiver.parse("m4", 4, 2)
    with pytest.raises(ValueError, match="An MLP receives by mlp"):
        Receiver(Input.MLP, Head(1, 1))
