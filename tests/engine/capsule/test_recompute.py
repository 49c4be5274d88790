"""Runs measured again, of every kind there is: what was changed in a record is found, and nothing else."""

from __future__ import annotations

import ast
import copy
import json
from dataclasses import replace

import pytest
import torch

from engine.capsule import recompute as recompute_module
from engine.capsule.reading import read_capsule
from engine.capsule.recompute import circuit_follows, recompute
from engine.capsule.script import script_of
from engine.capsule.verdict import Verdict
from engine.capsule.writing import capsule_bytes
from engine.circuit import Circuit
from engine.errors import Cancelled, HeadlightError
from engine.heads import Head
from engine.models.loading import load_model
from engine.models.model import Model
from engine.pipeline import discover
from engine.prepare import prepare
from engine.progress import Watcher
from engine.record import writing as record
from engine.record.json_values import dumps
from engine.record.reading import discovery_of
from engine.search import path_patching as search
from engine.search.path_patching import circuit_of
from engine.settings import Algorithm, Method, Mode, Score, Settings
from engine.tasks.custom import CUSTOM
from tests.engine.capsule.conftest import SETTINGS
from tests.engine.random_prompts import random_prompts


def again(model: Model, content, **options):
    return recompute(model, discovery_of(content), content["fingerprint"], Watcher(), **options)


def run_of(model: Model, settings: Settings, prompts=None):
    prepared = prepare(model, settings, Watcher(), prompts)
    found = discover(model, prepared.settings, Watcher(), prepared)
    return json.loads(dumps(record.discovery_json(model, found)))


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"mode": Mode.EXACT, "method": Method.DENSE}, {"grid": True}, {"union": "first+fixed"},
        {"sparsity": 0.5, "score": Score.RANK_SUM}, {"algorithm": Algorithm.ACDC, "sparsity": 0.5},
        {"algorithm": Algorithm.EAP, "sparsity": 0.5, "top_edges": 5},
        {"mlps": True, "method": Method.DENSE, "threshold_scale": 0.5, "mode": Mode.EXACT}, {"mlps": True},
    ],
    ids=str,
)  # fmt: skip
def test_every_kind_of_run_is_reproduced(toy_model, changes):
    content = run_of(toy_model, replace(SETTINGS, **changes))
    assert read_capsule(capsule_bytes(content)).record == content
    assert "SETTINGS" in {name.id for name in ast.walk(ast.parse(script_of(content))) if isinstance(name, ast.Name)}
    done = again(toy_model, content, sample=100)
    assert done.verdict is Verdict.REPRODUCED, done.words
    assert done.same_model and done.tokens_agree and len(done.sample) == done.receivers == len(content["steps"])
    assert done.circuit_follows is (None if "algorithm" in changes else True)
    assert {each.name for each in done.agreements} >= {
        "metric, clean and corrupted", "accuracy", "keep mask", "effects on logits", "verification: faithfulness",
        *(f"score {name}" for name in content["scores"]),
    }  # fmt: skip
    assert ("MLP scores" in {each.name for each in done.agreements}) == ("mlps" in changes)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen2"])
def test_random_models_with_their_own_prompts(tiny_deep_models, kind, monkeypatch):
    """Estimates, exact effects, grouped KV heads; the prompts are random tokens, so text does not give them again."""
    for module in (search, recompute_module):  # or a random model's logits have no important senders
        monkeypatch.setattr(module, "LOGITS_THRESHOLD_SCALE", -0.5)
    model = tiny_deep_models(kind)
    settings = Settings(
        model=model.name, task=CUSTOM, method=Method.DENSE, threshold_scale=3.0, min_effect=0.0, mode=Mode.SCREENED
    )
    content = run_of(model, settings, random_prompts())
    assert len(content["steps"]) > 6 and any(step["estimated"] for step in content["steps"])
    done = again(model, content, sample=6, seed=3)
    assert not done.tokens_agree and done.circuit_follows
    assert all(each.reaches(4) for each in done.agreements), done.words
    assert "other tokens" in done.words and done.verdict is Verdict.DIFFERS


def test_a_model_that_has_only_hooks_is_measured_by_them():
    toy = load_model("toy-induction")
    hooked = Model("toy-induction", toy.hf_model, toy.tokenizer, hooked=True)
    content = run_of(hooked, replace(SETTINGS, pairs=2, sparsity=0.5))
    done = again(hooked, content, sample=2)
    assert done.verdict is Verdict.REPRODUCED and content["path_patching"] == "reference"


def changed(content, path, value):
    made = copy.deepcopy(content)
    place = made
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value(place[path[-1]])
    return made


@pytest.mark.parametrize(
    ("path", "value", "name", "digits"),
    [
        (("baseline", "clean_logit_diff"), lambda v: v * 1.001, "metric, clean and corrupted", 3),
        (("baseline", "accuracy"), lambda v: v - 0.125, "accuracy", 0),
        (("scores", "output_difference", 0, 1), lambda v: v * 1.01, "score output_difference", 2),
        (("verification", "faithfulness"), lambda v: v + 0.02, "verification: faithfulness", 1),
        (("verification", "performance"), lambda v: v + 0.02, "verification: performance", 3),
        (("verification", "circuit_logit_diff"), lambda v: v + 1, "verification: metric", 1),
        (("steps", 2, "effects", 0, 1), lambda v: v * 1.1, "effects on 1.2.k", 1),
    ],
)
def test_a_number_that_was_changed_is_found_and_no_other(toy_model, toy_record, path, value, name, digits):
    done = again(toy_model, changed(toy_record, path, value), sample=4)
    others = {each.name: each.digits for each in done.agreements if each.name != name}
    assert {each.name: each.digits for each in done.agreements}[name] == digits
    assert all(digits is None or digits >= 6 for digits in others.values())
    assert done.verdict is (Verdict.PARTLY if digits >= 3 else Verdict.DIFFERS) or done.circuit_follows is False


def test_a_circuit_that_does_not_follow_is_found(toy_model, toy_found):
    assert circuit_follows(toy_found)
    heads, edges = toy_found.circuit.heads, toy_found.circuit.edges
    for circuit in (Circuit(heads, edges[1:], 2, 12), Circuit(heads[1:], edges, 2, 12),
                    Circuit(heads, (replace(edges[0], effect=-0.5), *edges[1:]), 2, 12)):  # fmt: skip
        assert circuit_follows(replace(toy_found, circuit=circuit)) is False
    more = (Head(0, 1), *toy_found.steps[0].important)  # below its threshold, and the circuit made to fit
    steps = (replace(toy_found.steps[0], important=more), *toy_found.steps[1:])
    fitting = circuit_of([edge for step in steps for edge in step.edges], 2, 12)
    assert circuit_follows(replace(toy_found, steps=steps, circuit=fitting)) is False
    assert circuit_follows(replace(toy_found, complete=False)) is None


def test_the_keep_mask_is_made_again(toy_model, toy_record):
    wrong = changed(toy_record, ("keep", 0, 5), lambda kept: not kept)
    done = again(toy_model, wrong, sample=0)
    assert {each.name: each.digits for each in done.agreements}["keep mask"] == 0 and done.sample == ()


def test_other_prompts_are_found_and_the_numbers_are_of_the_kept_ones(toy_model):
    content = run_of(toy_model, SETTINGS)
    reordered = copy.deepcopy(content)
    for name in ("clean", "corrupted", "clean_tokens", "corrupted_tokens", "answer_tokens", "distractor_tokens"):
        reordered["prompts"][name].reverse()
    done = again(toy_model, reordered, sample=0)
    assert not done.tokens_agree and done.verdict is Verdict.DIFFERS
    assert all(each.reaches(5) for each in done.agreements)


def test_another_model_is_noticed(toy_model, toy_record):
    other = load_model("toy-induction")
    with torch.no_grad():
        next(other.hf_model.parameters()).mul_(1.01)
    done = again(other, toy_record, sample=1)
    assert done.same_model is False and done.verdict is Verdict.DIFFERS


def test_a_model_it_cannot_be_of_is_refused(toy_record, tiny_model):
    with pytest.raises(HeadlightError, match=r"2 layers x 12 heads; .* has 2 x 4"):
        again(tiny_model("gpt2"), toy_record)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("prompts", "answer_tokens", 0), lambda v: [10**6], "tokens up to 1000000"),
        (("prompts", "answer_tokens", 0), lambda v: [], "no answer"),
        (("prompts", "clean_tokens", 0), lambda v: v * 50, "as many tokens"),
    ],
)
def test_prompts_the_model_cannot_run_are_refused(toy_model, toy_record, path, value, says):
    with pytest.raises(HeadlightError, match=says):
        again(toy_model, changed(toy_record, path, value))


def test_prompts_longer_than_the_model_takes_are_refused(toy_model, toy_record):
    longer = toy_record
    for run in ("clean", "corrupted"):
        longer = changed(longer, ("prompts", f"{run}_tokens", 0), lambda tokens: tokens * 500)
    with pytest.raises(HeadlightError, match=f"positions; .* {toy_model.max_positions} positions"):
        again(toy_model, longer)


def test_the_sample_is_drawn_by_its_seed(toy_model, toy_record):
    drawn = {again(toy_model, toy_record, sample=2, seed=seed).sample for seed in (0, 0, 1, 2, 3)}
    assert 1 < len(drawn) <= 4 and all(len(each) == 2 for each in drawn)
    assert again(toy_model, toy_record, sample=2, seed=0).sample in drawn


def test_a_whole_search_made_again_can_be_stopped(toy_model):
    """Stopped, such a search returns what it had: that must not be compared."""

    class StoppedIn(Watcher):
        stop = False

        def report(self, stage, done, total):
            self.stop = self.stop or stage == search.STAGE

        def cancelled(self):
            return self.stop

    content = run_of(toy_model, replace(SETTINGS, algorithm=Algorithm.ACDC, sparsity=0.5))
    with pytest.raises(Cancelled):
        recompute(toy_model, discovery_of({**content, "verification": None}), None, StoppedIn(), 2)


def test_it_can_be_stopped(toy_model, toy_record):
    class Stopped(Watcher):
        def cancelled(self):
            return True

    with pytest.raises(Cancelled):
        recompute(toy_model, discovery_of(toy_record), None, Stopped())
