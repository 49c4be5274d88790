"""Memory that runs out in a chunk: the chunk is halved and tried once more, and nothing found changes."""

from functools import partial

import pytest
import torch

from engine import ablation, activations, attribution
from engine.ablation import Ablation, Ablator
from engine.activations import capture, pair_probabilities
from engine.attribution import with_score
from engine.chunks import chunked, halved, halved_grid
from engine.circuit import Input
from engine.cli.main import main
from engine.cost import Ledger
from engine.eap import eap
from engine.edge_run import EdgeAblator
from engine.errors import HeadlightError
from engine.heads import Head
from engine.jobs import JobManager
from engine.memory import MemoryPlan
from engine.models.loading import load_model
from engine.models.model import Model
from engine.models.parts import Layer, Parts
from engine.nodes import Mlp
from engine.out_of_memory import is_out_of_memory, told_when_memory_runs_out
from engine.patching import effects, gradients, input_gradients, mlp_nodes, reference, screening
from engine.patching.effects import PathPatching
from engine.patching.mlp_nodes import NodePatching, ScreenedNodes
from engine.patching.receiver import LOGITS, Receiver
from engine.patching.reference import ReferencePatching
from engine.patching.screening import ScreenedPatching
from engine.prepare import prepare
from engine.progress import Watcher
from engine.scores.kinds import Score
from engine.settings import Settings
from tests.engine.cli.toy import TOY
from tests.engine.random_prompts import random_prompts

CPU_WORDS = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 4096 bytes. Error code 12"
ROUNDING = {"atol": 1e-5, "rtol": 1e-5, "equal_nan": True}
AMPLE, ONE_SENDER = MemoryPlan(2048, 2048, 1e9), MemoryPlan(1, 2048, 1e9)


class Failing:
    """A function that runs out of memory at chosen calls, counted from 1."""

    def __init__(self, function, at=(1,), error=None):
        self.function, self.at, self.calls = function, at, 0
        self.error = error or RuntimeError(CPU_WORDS)

    def __call__(self, *args, **named):
        self.calls += 1
        if self.calls in self.at:
            raise self.error
        return self.function(*args, **named)

    def __get__(self, instance, owner):  # a method where a method was
        return lambda *args, **named: self(instance, *args, **named)


# -- the helper ------------------------------------------------------------------------------------------------------


def test_a_chunk_that_does_not_fit_is_run_as_two_halves():
    seen = []

    def work(rows):
        seen.append((rows.start, rows.stop))
        if rows.stop - rows.start > 3:
            raise RuntimeError(CPU_WORDS)
        return rows.stop - rows.start

    assert chunked(work, 12, 5) == [3, 2, 3, 2, 2]
    assert seen == [(0, 5), (0, 3), (3, 5), (5, 10), (5, 8), (8, 10), (10, 12)]


def test_halves_are_put_together_along_their_axis():
    table = torch.arange(12.0).reshape(2, 6)
    failing = Failing(lambda rows: 2 * table[:, rows])
    torch.testing.assert_close(halved(failing, 6, dim=1), 2 * table)
    assert failing.calls == 3


@pytest.mark.parametrize(("count", "says"), [(5, "5 rows at once, and again by halves"), (1, "a single row, twice")])
def test_memory_that_runs_out_again_is_told_with_the_way_on(count, says):
    failing = Failing(torch.ones, at=(1, 2))
    with pytest.raises(HeadlightError) as told:
        halved(lambda rows: failing(rows.stop - rows.start), count)
    assert says in str(told.value) and "--memory-budget" in str(told.value) and "fewer or shorter" in str(told.value)
    assert "4096 bytes" in str(told.value) and failing.calls == 2


def test_a_single_row_is_tried_once_more():
    assert halved(Failing(lambda rows: torch.ones(1)), 1).tolist() == [1.0]


def test_pairs_are_halved_where_a_sender_is_alone():
    table = torch.arange(12.0).reshape(1, 6, 2)
    failing = Failing(lambda senders, pairs: 2 * table[senders, pairs])
    torch.testing.assert_close(halved_grid(failing, (1, 6)), 2 * table)
    failing = Failing(lambda senders, pairs: table[senders, pairs].flatten(1).sum(dim=1))
    assert halved_grid(failing, (1, 6), summed=True).tolist() == [66.0]


def test_other_errors_are_not_tried_again():
    failing = Failing(torch.ones, error=RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes"):
        halved(lambda rows: failing(3), 3)
    assert failing.calls == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (MemoryError(), True),
        (RuntimeError(CPU_WORDS), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("expected scalar type Float"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_running_out_of_memory_looks_like(error, expected):
    assert is_out_of_memory(error) is expected


def test_torch_really_says_so_when_it_cannot_allocate():
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(refused.value)


def test_what_a_failed_attempt_booked_is_taken_back():
    ledger = Ledger(1.0)

    def work(rows):
        ledger.add(10.0 * (rows.stop - rows.start))
        if rows.stop - rows.start == 4:
            raise MemoryError
        return torch.zeros(rows.stop - rows.start)

    with ledger.stage("before"):
        ledger.add(1.0)
    with ledger.stage("work"):
        ledger.add(5.0)
        halved(work, 4, ledger)
    assert [(row.stage, row.flops) for row in ledger.rows()] == [("before", 1.0), ("work", 45.0)]


# -- every place that runs chunks -------------------------------------------------------------------------------------


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


# -- the border of a run ---------------------------------------------------------------------------------------------


def test_anywhere_else_in_a_run_it_is_told_too():
    says = r"Memory ran out \(MemoryError\)\. Give a smaller memory budget"
    with pytest.raises(HeadlightError, match=says), told_when_memory_runs_out():
        raise MemoryError
    with pytest.raises(RuntimeError, match="shapes"), told_when_memory_runs_out():
        raise RuntimeError("shapes")


def test_a_job_out_of_memory_says_what_to_lower(manager: JobManager):
    def work(watcher):
        raise RuntimeError(CPU_WORDS)

    job = manager.submit("key", work)
    assert job.wait(10)
    assert job.snapshot().error.startswith("Memory ran out (DefaultCPUAllocator") and job.snapshot().log is None


def test_the_command_line_out_of_memory_says_what_to_lower(monkeypatch, capsys):
    monkeypatch.setattr("engine.prepare.measure_baseline", Failing(None, error=MemoryError()))
    assert main(["score", *TOY]) == 1
    assert "error: Memory ran out" in capsys.readouterr().err
