"""First-order estimates: right in the limit of small changes, mended to the exact values where it matters."""

from dataclasses import replace

import pytest
import torch

from engine.activations import capture
from engine.circuit import Input
from engine.cost.ledger import Ledger
from engine.heads import Head
from engine.machine.memory import MemoryPlan
from engine.patching.effects import PathPatching
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.screening import ScreenedPatching
from engine.progress import Watcher
from engine.search.path_patching import Thresholds, deciding_senders, search
from tests.engine.patching.test_effects import all_heads, fast_effects
from tests.engine.random_prompts import random_prompts
from tests.tiny import TINY_KINDS

LETTERS = (Input.Q, Input.K, Input.V)


@pytest.fixture
def ledger():
    ledger = Ledger(1.0)
    with ledger.stage("test"):
        yield ledger


def nobody(receiver, f):
    return torch.zeros_like(f, dtype=torch.bool)


def everybody(receiver, f):
    return ~f.isnan()


def screened(model, activations, ledger, memory=None):
    return ScreenedPatching(PathPatching(model, activations, all_heads(model), ledger, memory))


def with_corruption_scaled(activations, share):
    """The corrupted z moved towards the clean one; f keeps its unit."""
    batches = tuple(
        replace(item, corrupted_z=item.clean.z + share * (item.corrupted_z - item.clean.z))
        for item in activations.batches
    )
    return replace(activations, batches=batches)


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("kind", TINY_KINDS)
def test_estimates_become_exact_as_the_corruption_becomes_small(tiny_model, ledger, kind, letter):
    model, receiver = tiny_model(kind), Receiver(letter, Head(1, 3))
    activations = capture(model, random_prompts())
    errors = []
    for share in (0.02, 0.005):
        small = with_corruption_scaled(activations, share)
        (estimate,) = screened(model, small, ledger).measure([receiver], nobody)
        exact = fast_effects(model, small, receiver)
        assert torch.equal(estimate.estimated, ~exact.isnan())
        assert exact.nan_to_num().abs().max() > 1e-4 * share  # there is something to estimate
        errors.append(float((estimate.f - exact).nan_to_num().abs().max()))
    # What a first-order estimate leaves out shrinks with the square, to a sixteenth; rounding does not.
    assert errors[1] < 0.15 * errors[0] + 1e-5


def test_recomputed_effects_are_the_exact_ones(tiny_deep_model, ledger):
    activations = capture(tiny_deep_model, random_prompts())
    receivers = [Receiver(letter, Head(4, 1)) for letter in LETTERS]
    patching = screened(tiny_deep_model, activations, ledger)
    for receiver, effects in zip(receivers, patching.measure(receivers, everybody), strict=True):
        exact = fast_effects(tiny_deep_model, activations, receiver)
        torch.testing.assert_close(effects.f, exact, atol=1e-6, rtol=0, equal_nan=True)
        assert not effects.estimated.any()


def test_what_is_recomputed_is_counted_and_the_rest_stays_marked(tiny_deep_model, ledger):
    activations = capture(tiny_deep_model, random_prompts())
    receiver, chosen = Receiver(Input.K, Head(3, 0)), [(0, 1), (2, 3)]

    def decides(_, f):
        mask = torch.zeros_like(f, dtype=torch.bool)
        for layer, index in chosen:
            mask[layer, index] = True
        return mask

    patching = screened(tiny_deep_model, activations, ledger)
    (before,) = screened(tiny_deep_model, activations, ledger).measure([receiver], nobody)
    (after,) = patching.measure([receiver], decides)
    exact = fast_effects(tiny_deep_model, activations, receiver)
    changed = torch.zeros_like(after.estimated)
    for layer, index in chosen:
        changed[layer, index] = True
    torch.testing.assert_close(after.f[changed], exact[changed], atol=1e-6, rtol=0)
    torch.testing.assert_close(after.f[~changed], before.f[~changed], atol=0, rtol=0, equal_nan=True)
    assert torch.equal(after.estimated, before.estimated & ~changed)
    counts = patching.screening
    assert (counts.estimated, counts.recomputed) == (3 * tiny_deep_model.n_heads, 2)
    assert counts.largest == pytest.approx(float((before.f - exact)[changed].abs().max()), abs=1e-6)


def test_the_logits_stage_is_exact(tiny_model, ledger):
    model = tiny_model("llama")
    activations = capture(model, random_prompts())
    (effects,) = screened(model, activations, ledger).measure([LOGITS], nobody)
    assert torch.equal(effects.f, fast_effects(model, activations, LOGITS)) and not effects.estimated.any()


def test_estimates_do_not_depend_on_how_the_work_is_cut(tiny_deep_model, ledger):
    activations = capture(tiny_deep_model, random_prompts())
    receivers = [Receiver(letter, Head(4, 1)) for letter in LETTERS]
    whole = screened(tiny_deep_model, activations, ledger).measure(receivers, nobody)
    cut = screened(tiny_deep_model, activations, ledger, MemoryPlan(20, 20, 0.0)).measure(receivers, nobody)
    for one, other in zip(whole, cut, strict=True):
        torch.testing.assert_close(one.f, other.f, atol=1e-5, rtol=0, equal_nan=True)


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_a_screened_search_finds_the_exact_circuit(tiny_deep_model, ledger, scale, monkeypatch):
    monkeypatch.setattr("engine.search.path_patching.LOGITS_THRESHOLD_SCALE", 0.2)  # with so few heads 2 finds none
    model = tiny_deep_model
    # A random model answers to corruption far from linearly; real ones are measured in benchmarks/.
    activations = with_corruption_scaled(capture(model, random_prompts()), 0.1)
    thresholds = Thresholds(scale, 1e-4)
    patching = screened(model, activations, ledger)
    found = search(patching.measure, model.n_layers, model.n_heads, model.group, thresholds, Watcher())
    plain = PathPatching(model, activations, all_heads(model), ledger)
    exact = search(plain.measure, model.n_layers, model.n_heads, model.group, thresholds, Watcher())
    assert found.circuit.heads == exact.circuit.heads and len(exact.circuit.edges) > 2
    assert [replace(edge, effect=0.0) for edge in found.circuit.edges] == [
        replace(edge, effect=0.0) for edge in exact.circuit.edges
    ]
    for edge, other in zip(found.circuit.edges, exact.circuit.edges, strict=True):
        assert edge.effect == pytest.approx(other.effect, abs=1e-5)
    assert 0 < patching.screening.recomputed < patching.screening.estimated


def test_no_edge_rests_on_an_estimate(tiny_deep_model, ledger, monkeypatch):
    monkeypatch.setattr("engine.search.path_patching.LOGITS_THRESHOLD_SCALE", 0.2)
    model, activations = tiny_deep_model, capture(tiny_deep_model, random_prompts())
    patching = screened(model, activations, ledger)
    found = search(patching.measure, model.n_layers, model.n_heads, model.group, Thresholds(2.0, 0.01), Watcher())
    assert any(step.estimated.any() for step in found.steps)
    for step in found.steps:
        assert not any(step.estimated[head.layer, head.index] for head in step.important)


def test_who_decides_by_hand():
    """Twenty heads, one of 1: mean .05, std .2236, threshold .05 + (1 + 2 / sqrt(20)) · .2236 = .374."""
    effects = torch.zeros(2, 20)
    effects[0, 3], effects[1] = 1.0, torch.nan
    assert deciding_senders(effects, 1, Thresholds(1.0, 0.01)).nonzero().tolist() == [[0, 3]]
    effects[0, 7] = -0.2  # mean .04, std .232: threshold .376, half of it .188
    assert deciding_senders(effects, 1, Thresholds(1.0, 0.01)).nonzero().tolist() == [[0, 3], [0, 7]]
    effects[0, 7] = -0.18
    assert deciding_senders(effects, 1, Thresholds(1.0, 0.01)).nonzero().tolist() == [[0, 3]]


def test_near_the_smallest_effect_the_largest_effects_decide():
    effects = torch.zeros(1, 20)
    effects[0, 3], effects[0, 4] = 0.009, 0.004
    assert deciding_senders(effects, 1, Thresholds(1.0, 0.01)).nonzero().tolist() == [[0, 3]]
    assert not deciding_senders(effects, 1, Thresholds(1.0, 0.1)).any()
