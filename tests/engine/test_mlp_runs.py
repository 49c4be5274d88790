"""Whole runs with MLPs as nodes: masks, search, verification, files; and what is refused."""

import json
from dataclasses import replace

import pytest
import torch

from engine.ablation import Ablation, Ablator
from engine.activations import capture
from engine.circuit import Circuit, Edge, Input
from engine.cost.ledger import Ledger
from engine.edges.wiring import wiring_of
from engine.errors import HeadlightError
from engine.evaluation.evaluate import evaluate
from engine.heads import Head
from engine.hooked import end_logits
from engine.models.bridge import hook_name, mlp_name
from engine.models.hooks import replacing
from engine.nodes import Mlp, node_mask
from engine.pipeline import discover
from engine.prepare import prepare, prepare_mlps
from engine.progress import Watcher
from engine.pruning.candidates import keep_of
from engine.record.circuit_file import circuit_in, parse_circuit
from engine.record.run_file import read_run
from engine.record.writing import discovery_json
from engine.search.trail import trail_of
from engine.settings import Algorithm, Method, Mode, Settings
from engine.trust.draws import Plan
from engine.trust.receipt import receipts
from engine.trust.stability import stability
from engine.tuning.tune import check_tuned
from tests.engine.random_prompts import random_prompts

SETTINGS = Settings(
    model="tiny", task="random", method=Method.DENSE, mlps=True, threshold_scale=0.0, min_effect=1e-4
)


@pytest.fixture
def easy_logits(monkeypatch):
    monkeypatch.setattr("engine.search.path_patching.LOGITS_THRESHOLD_SCALE", 0.0)  # with so few nodes 2 finds none


@pytest.fixture
def found(tiny_deep_models, easy_logits):
    model = tiny_deep_models("llama")
    prepared = prepare(model, SETTINGS, Watcher(), random_prompts())
    return model, discover(model, prepared.settings, Watcher(), prepared)


def hooked_metric(model, activations, keep, kind):
    """Heads and MLPs outside ``keep [layer column]`` replaced by TransformerLens hooks: [pair]."""
    values = torch.empty(len(activations.prompts))
    for item in activations.batches:
        hooks = []
        for layer in range(model.n_layers):
            z, out = (
                {
                    Ablation.ZERO: torch.zeros_like(each),
                    Ablation.RESAMPLE: each,
                    Ablation.MEAN: each.mean(0, keepdim=True).expand_as(each),  # one template group a length
                }[kind]
                for each in (item.corrupted_z[layer], item.mlp_runs.corrupted[layer])
            )
            mask = keep[layer, :-1, None]
            hooks.append((hook_name(layer, "z"), lambda value, hook, mask=mask, z=z: torch.where(mask, value, z)))
            if not keep[layer, -1]:
                hooks.append(replacing(mlp_name(layer, "out"), out))
        logits = end_logits(model, item.batch.clean, hooks)
        values[list(item.batch.indices)] = item.readout.of_vocabulary(logits)
    return values


@pytest.mark.parametrize("ablation", Ablation)
@pytest.mark.parametrize("kind", ["gpt2", "llama", "gpt_neox", "gemma2"])
@torch.no_grad()
def test_ablated_mlps_equal_hooks(tiny_model, kind, ablation):
    model, ledger = tiny_model(kind), Ledger(1.0)
    activations = capture(model, random_prompts(n=6), mlps=True)
    ablator = Ablator(model, activations, ledger, ablation)
    generator = torch.Generator().manual_seed(1)
    with ledger.stage("test"):
        for density in (0.5, 0.9, 0.1, 0.5, 0.3):
            keep = torch.rand(2, 5, generator=generator) < density
            torch.testing.assert_close(
                ablator.by_pair(keep), hooked_metric(model, activations, keep, ablation), atol=1e-4, rtol=1e-4,
                check_dtype=False,
            )


def test_a_mask_without_the_mlps_column_keeps_them_all(tiny_model):
    model, ledger = tiny_model("llama"), Ledger(1.0)
    activations = capture(model, random_prompts(n=6), mlps=True)
    heads = node_mask([Head(0, 1), Head(1, 2)], 2, 4)[:, :-1]
    ablator = Ablator(model, activations, ledger)
    with ledger.stage("test"):
        live = ablator.metric(heads)
        assert ablator.metric(node_mask([Head(0, 1), Head(1, 2), Mlp(0), Mlp(1)], 2, 4)) == pytest.approx(live)
        assert ablator.metric(node_mask([Head(0, 1), Head(1, 2), Mlp(1)], 2, 4)) != pytest.approx(live, rel=1e-3)
        without = Ablator(model, capture(model, random_prompts(n=6)), ledger)
        assert without.metric(heads) == pytest.approx(live)
        with pytest.raises(ValueError, match="mlps=True"):
            without.metric(node_mask([Mlp(0)], 2, 4))


def test_live_mlps_do_not_count_as_heads_above_which_one_position_is_carried(tiny_deep_models):
    """With heads kept in layer 0 alone, five of six layers run their end position only: a fifth of the work or so."""
    model = tiny_deep_models("llama")
    activations = capture(model, random_prompts(n=6), mlps=True)
    spent = []
    for layer in (0, 5):
        ledger = Ledger(1.0)
        with ledger.stage("test"):
            Ablator(model, activations, ledger).metric(node_mask([Head(layer, 1), *map(Mlp, range(6))], 6, 4))
        spent.append(ledger.rows()[0].flops)
    assert spent[0] < 0.5 * spent[1]


def test_steps_of_an_mlp_and_of_its_layers_heads_are_measured_apart(found):
    trail = trail_of(found[1].steps)
    for station in trail:
        first, last = station.together
        kinds = {each.step.input is Input.MLP for each in trail[first - 1 : last]}
        assert kinds == {station.step.input is Input.MLP}
    assert any(station.receiver == "m5" for station in trail)


def test_a_run_finds_mlps_and_verifies_with_the_others_ablated(found):
    run = found[1]
    circuit = run.circuit
    assert run.complete and circuit.mlps and circuit.heads
    assert run.keep.shape == (6, 5) and run.steps[0].effects.shape == (6, 5)
    assert {edge.input for edge in circuit.edges} == set(Input)
    assert {edge.sender for edge in circuit.edges} == set(circuit.nodes)
    assert run.verification is not None and run.verification.live_mlps == len(circuit.mlps)
    assert run.verification.sparsity == pytest.approx(1 - len(circuit.heads) / 24)
    assert run.check is not None and run.check.largest <= 1e-4


def test_every_edge_leads_upwards(found):
    for edge in found[1].circuit.edges:
        if edge.receiver is not None:
            assert edge.sender < edge.receiver
            assert edge.sender.layer < edge.receiver.layer or isinstance(edge.receiver, Mlp)
            assert isinstance(edge.receiver, Mlp) == (edge.input is Input.MLP)


def test_screened_and_exact_find_the_same_when_all_that_decides_is_recomputed(found):
    model, screened = found
    prepared = prepare(model, replace(SETTINGS, mode=Mode.EXACT), Watcher(), random_prompts())
    exact = discover(model, prepared.settings, Watcher(), prepared)
    assert screened.screening is not None and exact.screening is None
    effects = {(e.sender, e.receiver, e.input): e.effect for e in exact.circuit.edges}
    common = [e for e in screened.circuit.edges if (e.sender, e.receiver, e.input) in effects]
    assert len(common) > 10
    for edge in common:
        assert edge.effect == pytest.approx(effects[edge.sender, edge.receiver, edge.input], abs=1e-5)


def test_a_run_without_mlps_is_what_it_was(tiny_deep_models, easy_logits):
    model = tiny_deep_models("llama")
    prepared = prepare(model, replace(SETTINGS, mlps=False), Watcher(), random_prompts())
    run = discover(model, prepared.settings, Watcher(), prepared)
    assert run.circuit.mlps == () and run.keep.shape == (6, 4) and run.mlp_scores is None
    assert run.verification is not None and run.verification.live_mlps is None
    assert "mlps" not in discovery_json(model, run)["circuit"]


def test_mlps_can_be_added_to_what_was_prepared_without(tiny_deep_models):
    model = tiny_deep_models("llama")
    plain = prepare(model, replace(SETTINGS, mlps=False), Watcher(), random_prompts())
    added, whole = prepare_mlps(plain, Watcher()), prepare(model, SETTINGS, Watcher(), random_prompts())
    assert added.settings == whole.settings and prepare_mlps(added, Watcher()) is added
    torch.testing.assert_close(added.mlp_scores.flap, whole.mlp_scores.flap)
    torch.testing.assert_close(added.mlp_scores.contrastive_flap, whole.mlp_scores.contrastive_flap)


def test_the_mask_at_a_sparsity_keeps_mlps_by_their_own_scores(tiny_deep_models):
    prepared = prepare(tiny_deep_models("llama"), SETTINGS, Watcher(), random_prompts())
    keep = keep_of(prepared, replace(SETTINGS, method=Method.APP, sparsity=0.5), None)
    assert keep[:, :-1].sum() == 11 and keep[:, -1].sum() == 2  # round(24 / 2) - 1 and round(6 / 2) - 1
    best = prepared.mlp_scores.contrastive_flap.topk(2).indices.tolist()
    assert sorted(keep[:, -1].nonzero().flatten().tolist()) == sorted(best)


def test_files_bring_mlps_back(found):
    model, run = found
    record = discovery_json(model, run)
    assert record["circuit"]["mlps"] == [str(mlp) for mlp in run.circuit.mlps]
    assert parse_circuit(record["circuit"], 6, 4) == run.circuit
    assert circuit_in(record).circuit == run.circuit
    assert read_run(json.dumps(record).encode()).candidates == 30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mlps": ["m6"]}, "layers 0 to 5"),
        ({"mlps": ["6"]}, "such as m9"),
        ({"edges": [{"sender": "m1", "receiver": "m1", "input": "mlp", "effect": 1.0}]}, "higher layer"),
        ({"edges": [{"sender": "m1", "receiver": "1.0", "input": "q", "effect": 1.0}]}, "higher layer"),
        ({"edges": [{"sender": "0.0", "receiver": "m1", "input": "q", "effect": 1.0}]}, "expected mlp"),
        ({"edges": [{"sender": "m3", "receiver": "logits", "input": "logits", "effect": 1.0}]}, "among the MLPs"),
    ],
)
def test_a_wrong_file_is_refused(change, message):
    record = {
        "schema": "headlight/1", "model": "tiny", "task": "random", "model_shape": {"n_layers": 6, "n_heads": 4},
        "circuit": {"heads": ["0.0", "1.0"], "mlps": ["m1"], "edges": []} | change,
    }
    with pytest.raises(HeadlightError, match=message):
        circuit_in(record)


def test_an_old_file_has_no_mlps():
    record = {
        "schema": "headlight/1", "model": "tiny", "task": "random", "model_shape": {"n_layers": 2, "n_heads": 4},
        "circuit": {
            "heads": ["0.0"], "edges": [{"sender": "0.0", "receiver": "logits", "input": "logits", "effect": -1.0}]
        },
    }
    edge = Edge(Head(0, 0), None, Input.LOGITS, -1.0)
    assert circuit_in(record).circuit == Circuit((Head(0, 0),), (edge,), 2, 4)


def test_a_model_whose_parts_are_not_known_is_refused(tmp_path):
    from engine.models.loading import load_model
    from tests.tiny_hooked import save_hooked_model

    save_hooked_model("gpt_neo", tmp_path)
    model = load_model(str(tmp_path))
    with pytest.raises(HeadlightError, match="MLPs cannot be nodes in"):
        prepare(model, replace(SETTINGS, model=str(tmp_path)), Watcher(), random_prompts())


@pytest.mark.parametrize("mode", Mode)
def test_the_toy_models_circuit_has_no_mlp(toy_model, mode):
    """Its two heads do it all: found with MLPs as nodes too, and enough with every MLP ablated."""
    settings = Settings(
        model="toy-induction", task="induction-random", pairs=8, method=Method.DENSE, mlps=True, mode=mode
    )
    run = discover(toy_model, settings, Watcher())
    assert run.circuit.heads == (Head(0, 1), Head(1, 2)) and run.circuit.mlps == ()
    named = [(str(edge.sender), edge.receiver and str(edge.receiver), edge.input) for edge in run.circuit.edges]
    assert named == [("0.1", "1.2", Input.K), ("1.2", None, Input.LOGITS)]
    assert run.verification is not None and run.verification.live_mlps == 0
    assert run.verification.faithfulness == pytest.approx(1, abs=0.05)


def test_what_knows_heads_alone_refuses_mlps_by_name(found):
    model, run = found
    prepared = prepare(model, replace(SETTINGS, mlps=False), Watcher(), random_prompts())
    of_mlp = next(edge for edge in run.circuit.edges if edge.input is Input.MLP)
    with pytest.raises(HeadlightError, match="An evaluation asks about heads"):
        evaluate(prepared, run.circuit, 1, Watcher())
    with pytest.raises(HeadlightError, match="A receipt asks about heads"):
        receipts(prepared, run.circuit, [Head(0, 0)], Watcher())
    with pytest.raises(HeadlightError, match="An MLP has no receipt"):
        receipts(prepared, replace(run.circuit, mlps=()), [of_mlp], Watcher())
    with pytest.raises(HeadlightError, match="Stability is about circuits of heads"):
        stability(prepared, SETTINGS, Plan(), Watcher())
    with pytest.raises(HeadlightError, match="Expected an edge between heads"):
        wiring_of(run.circuit.edges, model.shape)
    with pytest.raises(HeadlightError, match="Leave MLPs as nodes out"):
        check_tuned(replace(SETTINGS, method=Method.APP), 10)
    with pytest.raises(HeadlightError, match="Expected heads alone with acdc"):
        replace(SETTINGS, algorithm=Algorithm.ACDC)
