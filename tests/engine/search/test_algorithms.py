"""Every algorithm through the whole pipeline, on the toy model and on one that has only hooks."""

import json
from dataclasses import replace

import pytest
import torch

from engine.activations import capture
from engine.circuit import Circuit, Input
from engine.cost.estimate import estimate_run
from engine.cost.ledger import Ledger
from engine.errors import HeadlightError
from engine.heads import heads_of
from engine.machine.memory import plan_memory
from engine.models.loading import load_model
from engine.models.model import Model
from engine.patching.flops import acdc_flops
from engine.patching.screening import Screening
from engine.pipeline import discover
from engine.prepare import prepare
from engine.progress import Watcher
from engine.pruning.candidates import keep_of
from engine.record import writing as record
from engine.record.json_values import dumps
from engine.record.run_file import read_run
from engine.record.run_summary import summary_of
from engine.search.acdc import acdc
from engine.search.algorithms import check_algorithm, serves
from engine.search.path_patching import STAGE, SearchResult
from engine.settings import Algorithm, Method, Mode, Settings
from tests.engine.random_prompts import random_prompts

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=8, seed=0, sparsity=0.5)
EAP = replace(SETTINGS, algorithm=Algorithm.EAP, top_edges=6)
EAP_IG = replace(EAP, algorithm=Algorithm.EAP_IG)
ACDC = replace(SETTINGS, algorithm=Algorithm.ACDC, tolerance=0.02, mode=Mode.EXACT)


@pytest.fixture(scope="module")
def prepared(toy_model):
    return prepare(toy_model, SETTINGS, Watcher())


@pytest.mark.parametrize("settings", [EAP, EAP_IG, EAP.densely()], ids=["eap", "eap-ig", "dense"])
def test_a_search_by_scores_is_a_run_like_any_other(toy_model, prepared, settings):
    found = discover(toy_model, settings, Watcher(), prepared)
    assert found.complete and found.verification is not None and found.thresholds is None
    assert {"0.1", "1.2"} <= {str(head) for head in found.circuit.heads}
    assert all(found.keep[head.layer, head.index] for head in found.circuit.heads)
    assert len(found.circuit.edges) == 6 and found.verification.faithfulness > 0.9
    assert all(torch.equal(step.estimated, ~step.effects.isnan()) for step in found.steps)
    assert found.steps[0].input is Input.LOGITS
    stages = {row.stage: row for row in found.cost}
    assert all(stages[name].flops > 0 and stages[name].seconds > 0 for name in ("attribution", "sender sweep"))
    assert "pass 2" not in stages and "look ahead" not in stages
    spent = {step.spent.flops for step in found.steps if step.spent is not None}
    assert spent == {stages["attribution"].flops + stages["sender sweep"].flops}


@pytest.mark.parametrize("settings", [EAP, EAP_IG], ids=["eap", "eap-ig"])
def test_what_it_takes_is_known_before(toy_model, prepared, settings):
    found = discover(toy_model, settings, Watcher(), prepared)
    booked = {row.stage: row.flops for row in found.cost}
    predicted = {row.stage: row.flops for row in found.predicted}
    for stage in ("attribution", "sender sweep"):
        assert predicted[stage] == pytest.approx(booked[stage])
    keep = keep_of(prepared, settings, None)
    estimate = estimate_run(prepared, keep, settings)
    assert estimate.most.flops == estimate.search.flops
    low, high = keep.sum(dim=1).tolist()
    edges = low + high + 3 * low * high  # q, k and v: no head shares
    points = 5 if settings.algorithm is Algorithm.EAP_IG else 1
    assert estimate.reference_passes == low + high + 2 * points * edges


def test_it_is_written_and_read_like_any_other(toy_model, prepared):
    found = discover(toy_model, EAP_IG, Watcher(), prepared)
    text = dumps(record.discovery_json(toy_model, found))
    saved = json.loads(text)
    assert saved["settings"]["algorithm"] == "eap_ig" and saved["settings"]["top_edges"] == 6
    read = read_run(text.encode())
    assert read.thresholds is None and read.settings["algorithm"] == "eap_ig" and read.circuit == found.circuit
    assert read.search.flops == summary_of(found).search.flops > 0


def test_a_file_from_before_there_was_a_choice_is_path_patching(toy_model, prepared):
    saved = record.discovery_json(toy_model, discover(toy_model, SETTINGS, Watcher(), prepared))
    for name in ("algorithm", "top_edges", "tolerance"):
        del saved["settings"][name]
    assert read_run(dumps(saved).encode()).thresholds is not None


def test_stopped_it_has_found_nothing_and_says_so(toy_model, prepared):
    class Stop(Watcher):
        stage = ""

        def report(self, stage: str, done: float, total: float) -> None:
            self.stage = stage

        def cancelled(self) -> bool:
            return self.stage == STAGE

    found = discover(toy_model, EAP, Stop(), prepared)
    assert not found.complete and found.circuit.heads == () and found.steps == () and found.verification is None


def test_acdc_is_asked_for_what_the_settings_say(toy_model, prepared, monkeypatch):
    asked = []

    def stand_in(model, activations, senders, tolerance, mode, ledger, memory, watcher, notes):
        asked.append((model, activations, senders, tolerance, mode, memory))
        return SearchResult(Circuit((), (), model.n_layers, model.n_heads), (), True), Screening(3, 2, 0.1)

    monkeypatch.setattr("engine.search.algorithms.acdc", stand_in)
    found = discover(toy_model, ACDC, Watcher(), prepared)
    [(model, activations, senders, tolerance, mode, memory)] = asked
    assert (model, activations, memory) == (toy_model, prepared.activations, prepared.memory)
    assert (tolerance, mode) == (0.02, Mode.EXACT)
    assert len(senders) == int(found.keep.sum()) and found.screening == Screening(3, 2, 0.1)
    predicted = {row.stage: row.flops for row in found.predicted}
    assert predicted["pass 2"] > 0 and "look ahead" not in predicted


def test_a_model_of_hooks_alone_has_no_gradients_and_says_what_does_work():
    toy = load_model("toy-induction")
    hooked = Model("toy", toy.hf_model, toy.tokenizer, hooked=True)
    with pytest.raises(HeadlightError, match=r"eap_ig needs gradients.*Choose path_patching or acdc"):
        discover(hooked, EAP_IG, Watcher())
    assert [serves(hooked, algorithm) for algorithm in Algorithm] == [True, True, False, False]
    check_algorithm(hooked, Algorithm.ACDC)


def test_the_standard_to_compare_with_is_dense_path_patching():
    assert ACDC.standard() == Settings(
        model="toy-induction", task="induction-random", pairs=8, method=Method.DENSE, mode=Mode.EXACT
    )
    own = replace(SETTINGS, threshold_scale=1.0)
    assert own.standard() == own.densely()


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_a_guess_at_acdc_is_of_the_right_size(tiny_deep_models, kind, mode):
    """Told which heads stay and what was recomputed; at a tolerance that leaves a circuit."""
    model = tiny_deep_models(kind)
    activations = capture(model, random_prompts())
    senders = heads_of(torch.ones(model.n_layers, model.n_heads, dtype=torch.bool))
    ledger = Ledger(1.0)
    memory = plan_memory(model, activations.prompts)
    found, screening = acdc(model, activations, senders, 0.05, mode, ledger, memory, Watcher())
    heard = dict.fromkeys(found.circuit.heads, 1.0)
    recomputed = screening.recomputed / screening.estimated if screening is not None else 1.0
    guessed = sum(acdc_flops(model, activations.batches, senders, heard, mode, recomputed).values())
    assert len(heard) > 5 and 1 / 3 < guessed / sum(row.flops for row in ledger.rows()) < 3
