"""Edge scores against finite differences, whole and cut; the known circuit of the toy model on top."""

import json
from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoTokenizer

from engine.activations import capture
from engine.circuit import Input
from engine.cost.ledger import Ledger, gradient_flops
from engine.heads import Head, heads_of
from engine.machine.memory import MemoryPlan, plan_memory
from engine.models.loading import load_model
from engine.models.model import Model
from engine.models.sources import TOY_FOLDER
from engine.patching.eap_reference import reference_score
from engine.patching.effects import PathPatching
from engine.patching.flops import attribution_flops
from engine.patching.input_gradients import input_gradients, starts
from engine.patching.receiver import LOGITS, Receiver
from engine.progress import Watcher
from engine.search.eap import INTERPOLATIONS, eap, edge_scores
from engine.tasks.build import build_prompts
from tests.engine.random_prompts import random_prompts
from tests.tiny import random_model, tiny_config, tiny_kv_heads

KINDS = ("gpt2", "llama", "qwen2", "gpt_neox")
EDGES = (
    (LOGITS, Head(0, 1)), (LOGITS, Head(2, 3)), (Receiver(Input.Q, Head(1, 2)), Head(0, 0)),
    (Receiver(Input.Q, Head(2, 1)), Head(0, 3)), (Receiver(Input.K, Head(2, 2)), Head(1, 1)),
    (Receiver(Input.V, Head(1, 2)), Head(0, 2)), (Receiver(Input.V, Head(2, 0)), Head(1, 3)),
)  # fmt: skip


@pytest.fixture(scope="module")
def precise(tiny_model_folder):
    """``precise(kind)``: three layers in double precision, for differences of differences."""
    made: dict[str, Model] = {}

    def model_of(kind: str) -> Model:
        if kind not in made:
            tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder(kind))
            made[kind] = Model(f"precise-{kind}", random_model(tiny_config(kind, n_layers=3)).double(), tokenizer)
        return made[kind]

    return model_of


def everyone(model: Model) -> tuple[Head, ...]:
    return heads_of(torch.ones(model.n_layers, model.n_heads, dtype=torch.bool))


def scored(model: Model, activations, steps: int = 1, memory=None):
    ledger = Ledger(1.0)
    return edge_scores(model, activations, everyone(model), ledger, memory, steps=steps)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_an_edges_score_is_the_finite_difference_of_moving_what_its_letter_reads(precise, kind, steps):
    model = precise(kind)
    activations = capture(model, random_prompts())
    scores = scored(model, activations, steps)
    for receiver, sender in EDGES:
        expected = reference_score(model, activations, receiver, sender, steps)
        assert abs(expected) > 1e-5
        assert float(scores[receiver][sender.layer, sender.index]) == pytest.approx(expected, rel=5e-3, abs=1e-6)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_how_the_work_is_cut_changes_no_score(precise, kind):
    model = precise(kind)
    activations = capture(model, random_prompts())
    plan = plan_memory(model, activations.prompts)
    whole = scored(model, activations, 2, plan)
    for cut in (replace(plan, rows=9, gradient_rows=9, streams=0.0), replace(plan, rows=40, streams=4e5)):
        again = scored(model, activations, 2, cut)
        for receiver, scores in whole.items():
            torch.testing.assert_close(again[receiver], scores, atol=1e-6, rtol=0, equal_nan=True)


def test_every_input_of_every_candidate_is_scored_and_nothing_else(precise):
    model = precise("llama")  # four query heads, two KV heads
    assert tiny_kv_heads("llama") == 2
    activations = capture(model, random_prompts())
    candidates = (Head(0, 1), Head(0, 2), Head(1, 3), Head(2, 0))
    scores = edge_scores(model, activations, candidates, Ledger(1.0))
    q13, kv13 = Head(1, 3), Head(1, 2)
    assert set(scores) == {
        LOGITS, Receiver(Input.Q, q13), Receiver(Input.K, kv13), Receiver(Input.V, kv13),
        *(Receiver(letter, Head(2, 0)) for letter in (Input.Q, Input.K, Input.V)),
    }  # fmt: skip
    measured = {receiver: set(heads_of(~values.isnan())) for receiver, values in scores.items()}
    assert measured[LOGITS] == set(candidates)
    assert measured[Receiver(Input.V, kv13)] == set(candidates[:2])
    assert measured[Receiver(Input.Q, Head(2, 0))] == set(candidates[:3])
    all_of_them = scored(model, activations)
    for receiver, values in scores.items():
        expected = all_of_them[receiver].where(~values.isnan(), float("nan"))
        torch.testing.assert_close(values, expected, equal_nan=True, atol=1e-6, rtol=0)


def test_a_small_change_makes_a_score_the_exact_effect(precise):
    """Corrupted prompts that differ little from the clean ones: first order is nearly all there is."""
    model = precise("gpt2")
    activations = capture(model, random_prompts())
    near = []
    for item in activations.batches:
        z = item.clean_z + 1e-3 * (item.corrupted_z - item.clean_z)
        near.append(replace(item, corrupted_z=z))
    activations = replace(activations, batches=tuple(near))
    scores = scored(model, activations)
    exact = PathPatching(model, activations, everyone(model), Ledger(1.0))
    inputs = ((Input.Q, Head(2, 1)), (Input.K, Head(2, 2)), (Input.V, Head(1, 0)))
    for receiver in (LOGITS, *(Receiver(*into) for into in inputs)):
        effects = exact.effects(receiver)
        assert effects.nan_to_num().abs().max() > 1e-5
        torch.testing.assert_close(scores[receiver], effects, equal_nan=True, rtol=0.05, atol=2e-7)


def test_the_cost_of_scoring_is_the_ledgers(tiny_deep_models):
    for kind, steps in (("gpt2", 1), ("llama", 5), ("qwen2", 1)):
        model = tiny_deep_models(kind)
        activations = capture(model, random_prompts())
        ledger = Ledger(1.0)
        edge_scores(model, activations, everyone(model), ledger, MemoryPlan(2048, 2048, 1e12), steps=steps)
        expected = attribution_flops(model, activations.batches, everyone(model), steps)
        assert {row.stage: row.flops for row in ledger.rows()} == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_a_backward_pass_costs_what_torch_counts(precise, kind):
    model = precise(kind)
    [item, *_] = capture(model, random_prompts()).batches
    pairs, length = item.batch.clean.shape
    [start] = starts(model.parts, item, 1)
    with FlopCounterMode(display=False) as counter:
        input_gradients(model.parts, item, start, 10_000, ledger := Booked())
    assert ledger.flops == pytest.approx(counter.get_total_flops())
    assert item.readout.tokens is not None
    assert ledger.flops > gradient_flops(model.parts, pairs, length, len(item.readout.tokens))


class Booked(Ledger):
    """What is booked, without a stage."""

    def __init__(self) -> None:
        super().__init__(1.0)
        self.flops = 0.0

    def add(self, flops: float) -> None:
        self.flops += flops


def named(found) -> set[tuple[str, str, str]]:
    return {(str(e.sender), str(e.receiver or "logits"), e.input.value) for e in found.circuit.edges}


def toy_activations(model: Model):
    return capture(model, build_prompts("induction-random", model.tokenizer, 8, 0))


@pytest.mark.parametrize("steps", [1, INTERPOLATIONS])
def test_the_known_circuits_edges_come_out_on_top(steps):
    """The toy model with softer attention: its circuit is the same, but no softmax is at its limit."""
    model = load_model("toy-induction")
    first, second = model.parts.layers
    model._parts = replace(model.parts, layers=(first, replace(second, scale=0.2 * second.scale)))
    known = json.loads((TOY_FOLDER / "circuit.json").read_text(encoding="utf-8"))
    edges = {(edge["sender"], edge["receiver"], edge["input"]) for edge in known["edges"]}
    found = eap(model, toy_activations(model), everyone(model), len(edges), Ledger(1.0), steps=steps)
    assert named(found) == edges and [str(head) for head in found.circuit.heads] == known["heads"]


def test_a_softmax_at_its_limit_hides_a_key_from_first_order(toy_model):
    """The toy model's induction head attends with certainty: its key decides half of f, and has no gradient."""
    activations, key = toy_activations(toy_model), Receiver(Input.K, Head(1, 2))
    exact = PathPatching(toy_model, activations, everyone(toy_model), Ledger(1.0)).effects(key)
    assert float(exact[0, 1]) == pytest.approx(-0.5, abs=0.05)
    for steps in (1, INTERPOLATIONS):
        scores = edge_scores(toy_model, activations, everyone(toy_model), Ledger(1.0), steps=steps)
        assert abs(float(scores[key][0, 1])) < 1e-3
        assert float(scores[LOGITS][1, 2]) < -0.8  # what it writes is not hidden


def test_a_stopped_search_has_found_nothing_and_says_so(precise):
    class Stop(Watcher):
        def cancelled(self) -> bool:
            return True

    model = precise("gpt2")
    found = eap(model, capture(model, random_prompts()), everyone(model), 5, Ledger(1.0), watcher=Stop())
    assert not found.complete and found.steps == () and found.circuit.heads == ()
