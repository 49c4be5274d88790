"""Every place that runs chunks: memory that runs out there once changes nothing that is found."""

from functools import partial

import pytest
import torch

from engine import ablation, activations
from engine.ablation import Ablation, Ablator
from engine.activations import capture, pair_probabilities
from engine.circuit import Input
from engine.cost.ledger import Ledger
from engine.edges.run import EdgeAblator
from engine.errors import HeadlightError
from engine.heads import Head
from engine.machine.memory import MemoryPlan
from engine.models.loading import load_model
from engine.models.model import Model
from engine.models.parts import Layer, Parts
from engine.nodes import Mlp
from engine.patching import effects, gradients, input_gradients, mlp_nodes, reference, screening
from engine.patching.effects import PathPatching
from engine.patching.mlp_nodes import NodePatching, ScreenedNodes
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.reference import ReferencePatching
from engine.patching.screening import ScreenedPatching
from engine.prepare import prepare
from engine.progress import Watcher
from engine.scores.kinds import Score
from engine.scoring import attribution
from engine.scoring.attribution import with_score
from engine.search.eap import eap
from engine.settings import Settings
from tests.engine.failing import Failing
from tests.engine.random_prompts import random_prompts

ROUNDING = {"atol": 1e-5, "rtol": 1e-5, "equal_nan": True}
AMPLE, ONE_SENDER = MemoryPlan(2048, 2048, 1e9), MemoryPlan(1, 2048, 1e9)


def all_heads(model):
    return [Head(layer, index) for layer in range(model.n_layers) for index in range(model.n_heads)]


def booked(work):
    """What ``work(ledger)`` gives, and the FLOPs it booked."""
    ledger = Ledger(1.0)
    with ledger.stage("test"):
        found = work(ledger)
    return found, sum(row.flops for row in ledger.rows())


def captured(model, mlps=False):
    return capture(model, random_prompts(n=6), mlps=mlps)


def run_capture(model):
    found = captured(model)
    return torch.stack([found.by_pair("clean_metric"), found.by_pair("corrupted_metric")]), 0


def run_probabilities(model):
    return pair_probabilities(model, captured(model)), 0


def patching_of(receiver, memory=AMPLE):
    def run(model):
        given = captured(model)
        return booked(lambda ledger: PathPatching(model, given, all_heads(model), ledger, memory).effects(receiver))

    return run


def run_screened(model, memory=AMPLE):
    given, receivers = captured(model), [Receiver(letter, Head(1, 0)) for letter in (Input.Q, Input.K, Input.V)]

    def work(ledger):
        screened = ScreenedPatching(PathPatching(model, given, all_heads(model), ledger, memory))
        return torch.stack([each.f for each in screened.estimates(receivers, lambda r, f: f > 0)])

    return booked(work)


def nodes_of(model):
    return [*all_heads(model), *(Mlp(layer) for layer in range(model.n_layers))]


def run_mlp(model, memory=AMPLE):
    given = captured(model, mlps=True)
    receiver = Receiver(Input.MLP, Mlp(1))
    return booked(lambda ledger: NodePatching(model, given, nodes_of(model), ledger, memory).effects(receiver))


def run_screened_mlp(model, memory=AMPLE):
    given = captured(model, mlps=True)

    def work(ledger):
        screened = ScreenedNodes(NodePatching(model, given, nodes_of(model), ledger, memory))
        return screened.estimates([Receiver(Input.MLP, Mlp(1))], lambda r, f: f > 0)[0].f

    return booked(work)


def run_ablation(model):
    given = captured(model)
    keep = torch.zeros(model.n_layers, model.n_heads, dtype=torch.bool)
    keep[0, 1] = keep[1, 0] = True
    return booked(lambda ledger: Ablator(model, given, ledger, Ablation.MEAN).by_pair(keep))


def run_ablated_logits(model):
    given = captured(model)
    keep = torch.zeros(model.n_layers, model.n_heads, dtype=torch.bool)

    def work(ledger):
        return Ablator(model, given, ledger).at_end([keep], lambda pairs, logits: logits[0])

    return booked(work)


def run_eap(model):
    given = captured(model)

    def work(ledger):
        found = eap(model, given, all_heads(model), 8, ledger, AMPLE)
        return torch.tensor([edge.effect for edge in found.circuit.edges])

    return booked(work)


def run_edges(model):
    given = captured(model)
    found = eap(model, given, all_heads(model), 8, Ledger(1.0), AMPLE).circuit.edges
    return booked(lambda ledger: EdgeAblator(model, given, ledger, memory=AMPLE).by_pair(found))


def run_attribution(model):
    prepared = prepare(model, Settings(model=model.name), Watcher(), random_prompts(n=6))
    return with_score(prepared, Score.POSITION_ATTRIBUTION, Watcher()).scores.of(Score.POSITION_ATTRIBUTION), 0


def run_reference(model):
    given = captured(model)
    receiver = Receiver(Input.Q, Head(1, 0))
    ledger = Ledger(1.0)
    return ReferencePatching(model, given, all_heads(model)[:2], ledger).effects(receiver), ledger.rows()[0].flops


SITES = [
    ("capture", activations, "_capture_batch", run_capture),
    ("capture by hooks", activations, "_hooked_batch", run_capture),
    ("probabilities", Parts, "unembed", run_probabilities),
    ("sweep", Layer, "output", patching_of(LOGITS)),
    ("logits", effects, "read_metric", patching_of(LOGITS)),
    ("a receiver's z", effects, "patched_z", patching_of(Receiver(Input.Q, Head(1, 0)))),
    ("a receiver's output", effects, "patched_attention", patching_of(Receiver(Input.K, Head(1, 0)))),
    ("sweep of one sender", Layer, "output", patching_of(LOGITS, ONE_SENDER)),
    ("one sender to the logits", effects, "read_metric", patching_of(LOGITS, ONE_SENDER)),
    ("one sender's z", effects, "patched_z", patching_of(Receiver(Input.K, Head(1, 0)), ONE_SENDER)),
    ("one sender resumed", effects, "resume", patching_of(Receiver(Input.Q, Head(1, 0)), ONE_SENDER)),
    ("resumed", effects, "resume", patching_of(Receiver(Input.V, Head(1, 0)))),
    ("an MLP's output", mlp_nodes, "stream_out_of_mlp", run_mlp),
    ("resumed above an MLP", mlp_nodes, "resume_after", run_mlp),
    ("an MLP's estimate", mlp_nodes, "mlp_flops", run_screened_mlp),
    ("one sender's estimate", screening, "patched_z", partial(run_screened, memory=ONE_SENDER)),
    ("one sender's MLP", mlp_nodes, "resume_after", partial(run_mlp, memory=ONE_SENDER)),
    ("one sender's MLP estimate", mlp_nodes, "mlp_flops", partial(run_screened_mlp, memory=ONE_SENDER)),
    ("gradients", gradients, "_gradients", run_screened),
    ("estimates", screening, "patched_z", run_screened),
    ("ablation", Layer, "attention_output", run_ablation),
    ("ablated metric", ablation, "read_metric", run_ablation),
    ("ablated logits", Parts, "unembed", run_ablated_logits),
    ("ablation by hooks", ablation, "ablated_logits", run_ablation),
    ("attribution", gradients, "_gradients", run_attribution),
    ("attribution by hooks", attribution, "_hooked_gradients", run_attribution),
    ("gradients of inputs", input_gradients, "_gradients", run_eap),
    ("gradients of streams", input_gradients, "_through", run_eap),
    ("an edge's head", Layer, "attend", run_edges),
    ("an edge's stream", Layer, "output", run_edges),
    ("reference", reference, "recorder", run_reference),
]
HOOKED = {"capture by hooks", "ablation by hooks", "attribution by hooks"}  # of a model whose parts are not known


@pytest.fixture(scope="module")
def model_of(tiny_model, tiny_model_folder):
    """``model_of(site)``: a tiny model that comes by that site."""
    fast = tiny_model("llama")
    loaded = load_model(str(tiny_model_folder("llama")))
    hooked = Model("hooked", loaded.hf_model, loaded.tokenizer, hooked=True)
    return lambda name: hooked if name in HOOKED else fast


def last_call(monkeypatch, model, run, owner, name):
    """How often the run calls the site's function: the last call is the site's, earlier stages share some of them."""
    counting = Failing(getattr(owner, name), at=())
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, counting)
        run(model)
    return counting.calls


@pytest.mark.parametrize(("name", "owner", "function", "run"), SITES, ids=[site[0] for site in SITES])
def test_memory_that_runs_out_once_changes_nothing(monkeypatch, model_of, name, owner, function, run):
    model = model_of(name)
    undisturbed, flops = run(model)
    last = last_call(monkeypatch, model, run, owner, function)
    failing = Failing(getattr(owner, function), at=(last,))
    monkeypatch.setattr(owner, function, failing)
    found, booked_now = run(model)
    assert failing.calls == last + 2  # the chunk that failed, and its two halves
    torch.testing.assert_close(found, undisturbed, **ROUNDING)
    assert booked_now == pytest.approx(flops, rel=0.02)  # a clean pattern is computed for each half


@pytest.mark.parametrize(("name", "owner", "function", "run"), SITES, ids=[site[0] for site in SITES])
def test_memory_that_runs_out_again_ends_the_run_with_words(monkeypatch, model_of, name, owner, function, run):
    model = model_of(name)
    last = last_call(monkeypatch, model, run, owner, function)
    monkeypatch.setattr(owner, function, Failing(getattr(owner, function), at=range(last, last + 9)))
    with pytest.raises(HeadlightError, match=r"Memory ran out while computing .* again by halves .*--memory-budget"):
        run(model)
