"""Receipts on the toy model, whose circuit is known: the true one is confirmed, a planted one is not."""

from dataclasses import replace

import pytest
import torch

from engine.ablation import Ablation, Ablator
from engine.activations import capture
from engine.circuit import Circuit, Edge, Input
from engine.cost.ledger import Ledger
from engine.errors import Cancelled, HeadlightError
from engine.heads import Head, mask_of
from engine.models.loading import load_model
from engine.patching.effects import PathPatching
from engine.patching.receiver import LOGITS
from engine.prepare import prepare, task_prompts
from engine.progress import Watcher
from engine.settings import Settings
from engine.trust.claim import Verdict
from engine.trust.receipt import output_norms, receipts
from tests.engine.random_prompts import random_prompts
from tests.tiny_hooked import save_hooked_model

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=8)
PREVIOUS, INDUCTION = Head(0, 1), Head(1, 2)
TO_LOGITS = Edge(INDUCTION, None, Input.LOGITS, -0.999)
TO_KEY = Edge(PREVIOUS, INDUCTION, Input.K, -0.479)
KNOWN = Circuit((PREVIOUS, INDUCTION), (TO_LOGITS, TO_KEY), 2, 12)


@pytest.fixture(scope="module")
def prepared(toy_model):
    return prepare(toy_model, SETTINGS, Watcher())


def test_the_known_circuit_is_confirmed(prepared):
    done = receipts(prepared, KNOWN, [PREVIOUS, INDUCTION, *KNOWN.edges], Watcher())
    assert [each.verdict for each in done.receipts] == [Verdict.CONFIRMED] * 4
    assert (done.n, done.seed, done.fresh, done.ablation, done.complete) == (8, 1, True, Ablation.MEAN, True)
    for each in done.receipts:
        assert each.effect.low <= each.effect.value <= each.effect.high < 0
        assert each.by_pair.shape == (8,) and float(each.by_pair.mean()) == pytest.approx(each.effect.value)
        assert each.control not in KNOWN.heads and each.difference is not None and each.difference.low > 0
    names = [each.name for each in done.receipts]
    assert names == ["0.1", "1.2", "1.2 → logits", "0.1 → 1.2.k"]
    said = "Confirmed. 0.1 → 1.2.k matters, says the circuit (effect -0.479). Measured"
    assert done.receipts[3].words.startswith(said)


def test_prompts_of_another_seed_than_the_report_seed(prepared):
    (own,), (other,) = (receipts(prepared, KNOWN, [INDUCTION], Watcher(), seed=seed).receipts for seed in (1, 5))
    assert own.effect == receipts(prepared, KNOWN, [INDUCTION], Watcher()).receipts[0].effect != other.effect
    assert receipts(prepared, KNOWN, [INDUCTION], Watcher(), seed=5).seed == 5


def test_each_number_is_what_it_says(toy_model, prepared):
    """Against the stages it is made of, run apart on the same fresh prompts."""
    head, edge = receipts(prepared, KNOWN, [INDUCTION, TO_LOGITS], Watcher()).receipts
    activations = capture(toy_model, task_prompts(toy_model, SETTINGS, 1))
    ledger = Ledger(1.0)
    with ledger.stage("test"):
        without = Ablator(toy_model, activations, ledger).metric(~mask_of([INDUCTION], 2, 12))
        f = PathPatching(toy_model, activations, [INDUCTION, edge.control], ledger).effects(LOGITS)
        norms = output_norms(toy_model, activations, 1, ledger)
    gap = activations.clean - activations.corrupted
    assert head.effect.value == pytest.approx((without - activations.clean) / gap, abs=1e-6)
    assert edge.effect.value == pytest.approx(float(f[1, 2]), abs=1e-6)
    assert edge.control_effect.value == pytest.approx(float(f[1, edge.control.index]), abs=1e-6)
    assert edge.difference.value == pytest.approx(float(f[1, 2].abs() - f[1, edge.control.index].abs()), abs=1e-6)
    assert (head.norm, head.control_norm) == (pytest.approx(float(norms[2])), float(norms[head.control.index]))


def test_norms_by_hand(tiny_model):
    """W_O z of each head at each position, one product at a time."""
    model = tiny_model("gpt2")
    activations, ledger = capture(model, random_prompts(n=3)), Ledger(1.0)
    with ledger.stage("test"):
        norms = output_norms(model, activations, 1, ledger)
    layer = model.parts.layers[1]
    for head in range(4):
        written = [
            layer.heads_output(item.clean_z[1, pair, pos, head : head + 1], head).norm()
            for item in activations.batches
            for pair in range(item.clean_z.shape[1])
            for pos in range(item.clean_z.shape[2])
        ]
        assert float(norms[head]) == pytest.approx(float(torch.stack(written).mean()), rel=1e-5)


def test_a_planted_wrong_circuit_is_found_out(prepared):
    idle = Edge(Head(1, 7), None, Input.LOGITS, -0.6)
    turned = Edge(INDUCTION, None, Input.LOGITS, 0.8)
    wrong = Circuit((INDUCTION, Head(1, 7)), (idle, turned), 2, 12)
    done = receipts(prepared, wrong, [*wrong.heads, *wrong.edges, PREVIOUS], Watcher()).receipts
    by_name = {each.name: each for each in done}
    assert by_name["1.7"].verdict is by_name["1.7 → logits"].verdict is Verdict.INSIDE_NOISE
    assert by_name["1.2"].verdict is by_name["1.2 → logits"].verdict is Verdict.CONTRADICTS
    assert by_name["0.1"].verdict is Verdict.CONTRADICTS and not by_name["0.1"].claim.matters  # left out, and matters
    assert by_name["0.1"].words.startswith("Contradicts the score. 0.1 does not matter, says the circuit.")


def test_a_head_left_out_that_does_nothing_is_confirmed(prepared):
    (idle,) = receipts(prepared, KNOWN, [Head(0, 7)], Watcher(), Ablation.RESAMPLE).receipts
    assert not idle.claim.matters and idle.verdict is Verdict.CONFIRMED and abs(idle.effect.value) < 0.01


def test_an_own_task_has_no_fresh_prompts_and_one_pair_no_interval(toy_model):
    prompts = task_prompts(toy_model, SETTINGS, 3)
    own = prepare(toy_model, SETTINGS, Watcher(), replace(prompts, pairs=prompts.pairs[:1]))
    done = receipts(own, KNOWN, [INDUCTION], Watcher())
    assert not done.fresh and done.n == 1 and done.seed == SETTINGS.seed
    assert done.receipts[0].verdict is Verdict.INSIDE_NOISE and "one pair has no interval" in done.receipts[0].words


def test_a_model_that_has_only_hooks_gets_the_references_receipts(tmp_path, tiny_model):
    save_hooked_model("gpt_neo", tmp_path)
    model = load_model(str(tmp_path))
    hooked = prepare(model, Settings(model="tiny", task="custom"), Watcher(), random_prompts())
    edge = Edge(Head(0, 1), Head(1, 2), Input.V, -0.1)
    circuit = Circuit((Head(0, 1), Head(1, 2)), (edge,), 2, 4)
    head, path = receipts(hooked, circuit, [Head(1, 2), edge], Watcher()).receipts
    assert head.effect.known and path.effect.known and path.effect.value != 0


def test_bad_targets_are_named(prepared):
    for target, says in (
        (Head(2, 0), r"no head 2\.0"),
        ((Head(0, 1), Head(1, 12), "k"), r"no head 1\.12"),
        ((INDUCTION, PREVIOUS, "q"), "higher layer, got 1.2 to 0.1"),
    ):
        with pytest.raises(HeadlightError, match=says):
            receipts(prepared, KNOWN, [target], Watcher())


class StopAfter(Watcher):
    """Cancels once so many receipts are reported."""

    def __init__(self, most):
        self.most, self.done = most, 0.0

    def report(self, stage, done, total):
        self.done = done

    def cancelled(self):
        return self.done >= self.most


def test_stopped_those_that_are_done_come_back(prepared):
    done = receipts(prepared, KNOWN, [INDUCTION, PREVIOUS, TO_KEY], StopAfter(2))
    assert [each.target for each in done.receipts] == [INDUCTION, PREVIOUS] and not done.complete
    with pytest.raises(Cancelled):
        receipts(prepared, KNOWN, [INDUCTION], StopAfter(0))
