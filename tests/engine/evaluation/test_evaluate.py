"""A whole evaluation: on the toy model, whose circuit is known, against brute force; and the ends of the scale."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch

from engine.ablation import Ablation, Ablator
from engine.activations import capture
from engine.circuit import Circuit, Edge, Input
from engine.cost.ledger import Ledger, pass_flops
from engine.errors import Cancelled, HeadlightError
from engine.evaluation import evaluate as stages
from engine.evaluation.evaluate import evaluate
from engine.evaluation.kl import kl_divergence
from engine.evaluation.minimality import Standing
from engine.evaluation.plan import Plan
from engine.evaluation.random_circuits import Draw
from engine.evaluation.words import summary
from engine.heads import Head, mask_of
from engine.models.bridge import hook_name
from engine.models.loading import load_model
from engine.prepare import prepare, task_prompts
from engine.progress import Watcher
from engine.record.evaluation_file import evaluation_json
from engine.record.json_values import dumps
from engine.settings import Settings
from tests.engine.random_prompts import random_prompts
from tests.tiny_hooked import save_hooked_model

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=8, seed=0)
PREVIOUS, INDUCTION = Head(0, 1), Head(1, 2)
KNOWN = Circuit(
    (PREVIOUS, INDUCTION),
    (Edge(INDUCTION, None, Input.LOGITS, -0.999), Edge(PREVIOUS, INDUCTION, Input.K, -0.479)),
    2, 12,
)  # fmt: skip
FEW = Plan(draws=200, random_circuits=3)


@pytest.fixture(scope="module")
def prepared(toy_model):
    return prepare(toy_model, SETTINGS, Watcher())


@pytest.fixture(scope="module")
def known(prepared):
    return evaluate(prepared, KNOWN, seed=1, watcher=Watcher(), plan=Plan(Ablation.RESAMPLE))


def brute_force(model, activations, keep, kind):
    """Faithfulness, of ``hooked_logits``."""
    values = [
        logits[list(pair.answer_tokens)].mean() - logits[list(pair.distractor_tokens)].mean()
        for pair, logits in zip(activations.prompts.pairs, hooked_logits(model, activations, keep, kind), strict=True)
    ]
    circuit = float(torch.stack(values).mean())
    return (circuit - activations.corrupted) / (activations.clean - activations.corrupted)


@torch.no_grad()
def hooked_logits(model, activations, keep, kind):
    """End logits ``[pair vocab]`` by plain hooked forwards, one pair at a time; nothing of the Ablator is used."""
    pairs = activations.prompts.pairs
    corrupted = [_recorded_z(model, pair.corrupted_tokens) for pair in pairs]
    groups = [(pair.template_group, len(pair.clean_tokens)) for pair in pairs]
    rows = []
    for pair, own, group in zip(pairs, corrupted, groups, strict=True):
        alike = [z for z, other in zip(corrupted, groups, strict=True) if other == group]
        z = {Ablation.MEAN: torch.stack(alike).mean(0), Ablation.RESAMPLE: own, Ablation.ZERO: torch.zeros_like(own)}
        hooks = [(hook_name(layer, "z"), _replacing(keep[layer], z[kind][layer])) for layer in range(model.n_layers)]
        with model.lock:
            rows.append(model.bridge.run_with_hooks(torch.tensor([pair.clean_tokens]), fwd_hooks=hooks)[0, -1])
    return torch.stack(rows)


def _recorded_z(model, tokens):
    """``[layer 1 pos head d_head]``"""
    recorded = []
    hooks = [(hook_name(layer, "z"), lambda value, hook: recorded.append(value.clone())) for layer in range(2)]
    with model.lock:
        model.bridge.run_with_hooks(torch.tensor([tokens]), fwd_hooks=hooks)
    return torch.stack(recorded).view(model.n_layers, 1, len(tokens), model.n_heads, -1)


def _replacing(keep, stand_in):
    return lambda value, hook: torch.where(keep[:, None], value.view(stand_in.shape), stand_in).view_as(value)


def test_the_known_circuit_is_the_model(known):
    faithfulness, performance = known.main
    assert faithfulness.ablation is performance.ablation is Ablation.RESAMPLE
    assert faithfulness.faithfulness.value == pytest.approx(1, abs=0.02)
    assert performance.performance.value == pytest.approx(100, abs=2)
    assert [each.ablation for each in known.faithfulness] == list(Ablation) == [e.ablation for e in known.performance]
    assert known.accuracy.circuit.value == known.accuracy.model.value == 1
    assert 0 < known.kl.value < 0.01 and abs(known.probability_difference.difference.value) < 0.01
    assert known.fresh and known.seed == 1 and known.n == 8 and not known.empty and known.notes == ()


def test_nothing_is_left_without_it_and_each_head_is_needed(known):
    """By hand: 1.2 alone writes the answer, so all is lost with it. Without 0.1 its keys are the corrupted prompt's,
    which costs what path patching of that edge does, .48 (circuit.json)."""
    assert known.completeness.left.value == pytest.approx(0, abs=0.02)
    assert known.completeness.excess.value == pytest.approx(0, abs=0.02)
    shares = {each.member: each.share.value for each in known.heads.contributions}
    assert list(shares) == [INDUCTION, PREVIOUS]
    assert shares[INDUCTION] == pytest.approx(0.999, abs=0.02) and shares[PREVIOUS] == pytest.approx(0.48, abs=0.1)
    assert {each.standing for each in known.heads.contributions} == {Standing.CONTRIBUTES}


@pytest.mark.parametrize("kind", Ablation)
def test_every_share_equals_brute_force(toy_model, prepared, kind):
    found = evaluate(prepared, KNOWN, 1, Watcher(), replace(FEW, ablation=kind))
    activations = capture(toy_model, task_prompts(toy_model, SETTINGS, 1))
    keep = mask_of(KNOWN.heads, 2, 12)

    def share(mask, of=activations):
        return brute_force(toy_model, of, mask, kind)

    whole = share(keep)
    assert found.main[0].faithfulness.value == pytest.approx(whole, abs=1e-4)
    for each in found.faithfulness:
        assert each.faithfulness.value == pytest.approx(
            brute_force(toy_model, activations, keep, each.ablation), abs=1e-4
        )
    assert found.completeness.left.value == pytest.approx(share(~keep), abs=1e-4)
    assert found.completeness.floor.value == pytest.approx(share(torch.zeros_like(keep)), abs=1e-4)
    for each in found.heads.contributions:
        without = mask_of([head for head in KNOWN.heads if head != each.member], 2, 12)
        assert each.share.value == pytest.approx(whole - share(without), abs=1e-4)
    sizes = {size: each.value for size, each in zip(found.by_size.sizes, found.by_size.faithfulness, strict=True)}
    assert sizes[2] == pytest.approx(whole, abs=1e-4) and sizes[24] == pytest.approx(1, abs=1e-4)
    assert sizes[1] == pytest.approx(share(mask_of([INDUCTION], 2, 12)), abs=1e-4)  # the larger effect goes first
    assert found.held_out.selection.value == pytest.approx(share(keep, prepared.activations), abs=1e-4)
    assert found.held_out.gap.value == pytest.approx(found.held_out.selection.value - whole, abs=1e-4)


@pytest.mark.parametrize("heads", [KNOWN.heads, (Head(0, 5), INDUCTION)])
def test_predictions_equal_those_of_brute_force(toy_model, prepared, heads):
    found = evaluate(prepared, replace(KNOWN, heads=heads, edges=()), 1, Watcher(), FEW)
    activations = capture(toy_model, task_prompts(toy_model, SETTINGS, 1))
    everything = torch.ones(2, 12, dtype=torch.bool)
    model, circuit = (
        hooked_logits(toy_model, activations, keep, Ablation.MEAN).log_softmax(-1)
        for keep in (everything, mask_of(heads, 2, 12))
    )
    kl = torch.nn.functional.kl_div(circuit, model, log_target=True, reduction="batchmean")
    assert found.kl.value == pytest.approx(float(kl), abs=1e-5, rel=1e-3)
    for each, logits in ((found.probability_difference.model, model), (found.probability_difference.circuit, circuit)):
        pairs = zip(activations.prompts.pairs, logits.exp(), strict=True)
        values = [row[list(pair.answer_tokens)].sum() - row[list(pair.distractor_tokens)].sum() for pair, row in pairs]
        assert each.value == pytest.approx(float(torch.stack(values).mean()), abs=1e-5)
    preferred = [row[pair.answer_tokens[0]] > row[pair.distractor_tokens[0]]
                 for pair, row in zip(activations.prompts.pairs, circuit, strict=True)]  # fmt: skip
    assert found.accuracy.circuit.value == pytest.approx(float(torch.stack(preferred).float().mean()))


def test_it_beats_random_circuits_and_a_planted_wrong_one_does_not(prepared, known):
    assert [(each.draw, each.beaten) for each in known.random] == [(Draw.SAME_SIZE, 1.0), (Draw.SAME_LAYERS, 1.0)]
    assert all(each.band[2] < 0.6 and len(each.metric) == 20 for each in known.random)
    planted = Circuit((Head(0, 5), Head(1, 7), Head(1, 2)), (), 2, 12)  # 0.1 is missing, two that do nothing are in
    found = evaluate(prepared, planted, 1, Watcher(), Plan(Ablation.RESAMPLE, random_circuits=0))
    assert found.main[0].faithfulness.high < 0.7 and found.random == ()
    assert set(found.heads.not_contributing) == {Head(0, 5), Head(1, 7)}
    wrong = evaluate(prepared, replace(planted, heads=(Head(0, 5), Head(1, 7))), 1, Watcher(), Plan(Ablation.RESAMPLE))
    assert wrong.main[0].faithfulness.high < 0.05 and wrong.accuracy.circuit.value == 0 and wrong.kl.value > 1
    assert wrong.completeness.left.value == pytest.approx(1, abs=0.02)  # the model does not need it


def test_an_empty_circuit_is_marked_and_measured(prepared):
    found = evaluate(prepared, Circuit((), (), 2, 12), 1, Watcher(), FEW)
    assert found.empty and any("empty circuit" in note for note in found.notes)
    assert found.heads.contributions == () and found.random == ()
    assert found.completeness.left.value == pytest.approx(1, abs=1e-4)
    floor = found.by_size.faithfulness[0].value
    assert found.main[0].faithfulness.value == pytest.approx(floor) == pytest.approx(found.completeness.floor.value)
    assert floor > 0.1  # not 0
    assert "An empty circuit" in " ".join(summary(found)) and evaluation_json(found)["empty"] is True


def test_one_pair_has_numbers_without_intervals(toy_model):
    alone = prepare(toy_model, replace(SETTINGS, pairs=1), Watcher())
    found = evaluate(alone, KNOWN, 1, Watcher(), FEW)
    assert found.main[0].faithfulness.defined and not found.main[0].faithfulness.known
    assert any("One pair" in note for note in found.notes) and not found.held_out.gap.known
    assert {each.standing for each in found.heads.contributions} == {Standing.UNKNOWN}
    dumps(evaluation_json(found))


def test_prompts_that_corruption_does_not_change_leave_shares_undefined(toy_model):
    prompts = task_prompts(toy_model, SETTINGS, 0)
    same = replace(prompts, pairs=tuple(replace(pair, corrupted_tokens=pair.clean_tokens) for pair in prompts.pairs))
    found = evaluate(prepare(toy_model, SETTINGS, Watcher(), same), KNOWN, 1, Watcher(), FEW)
    faithfulness, performance = found.main
    assert math.isnan(faithfulness.faithfulness.value) and math.isnan(found.by_size.cpr.value)
    assert faithfulness.clean.value == pytest.approx(faithfulness.corrupted.value) and faithfulness.clean.value > 5
    assert faithfulness.circuit.defined and performance.performance.defined
    assert "same on clean and corrupted" in found.notes[0] and all(math.isnan(each.beaten) for each in found.random)
    assert json.loads(dumps(evaluation_json(found)))["by_size"]["cpr"]["value"] is None
    assert "undefined" in " ".join(summary(found))


def test_prompts_that_are_not_fresh_are_said_to_be(toy_model, prepared):
    custom = prepare(toy_model, SETTINGS, Watcher(), task_prompts(toy_model, SETTINGS, 3))
    own = evaluate(custom, KNOWN, 1, Watcher(), FEW)
    assert not own.fresh and own.held_out is None and own.seed == 0 and "no other prompts" in own.notes[0]
    again = evaluate(prepared, KNOWN, 0, Watcher(), FEW)
    assert not again.fresh and again.held_out is None and "prompts of seed 0" in again.notes[0]


def test_the_same_seed_gives_the_same_numbers(prepared):
    first, second = (evaluation_json(evaluate(prepared, KNOWN, 1, Watcher(), FEW)) for _ in range(2))
    assert first.pop("cost").keys() == second.pop("cost").keys() and first == second


class CancelIn(Watcher):
    def __init__(self, stage):
        self.stage, self.seen = stage, []

    def report(self, stage, done, total):
        assert 0 <= done <= total
        self.seen.append(stage)

    def cancelled(self):
        return bool(self.seen) and self.seen[-1] == self.stage


STAGES = (stages.FRESH, stages.CIRCUIT_ALONE, stages.HEAD_MINIMALITY, stages.KNOCKED_OUT, stages.BY_SIZE,
          stages.RANDOM, stages.HELD_OUT)  # fmt: skip


def test_every_stage_is_booked_and_reports_itself(prepared):
    watcher = CancelIn("")
    found = evaluate(prepared, KNOWN, 1, watcher, FEW)
    assert tuple(dict.fromkeys(watcher.seen)) == STAGES == tuple(row.stage for row in found.cost)
    assert all(row.flops > 0 and row.seconds > 0 for row in found.cost)
    # Three ablations of a circuit that reaches the top, and the whole model and the circuit once more for KL.
    alone = next(row for row in found.cost if row.stage == stages.CIRCUIT_ALONE)
    assert 3 < alone.forward_passes < 5


@pytest.mark.parametrize("stage", STAGES)
def test_it_can_be_stopped_in_any_stage(prepared, stage):
    with pytest.raises(Cancelled):
        evaluate(prepared, KNOWN, 1, CancelIn(stage), FEW)


def test_a_circuit_of_another_model_is_refused(prepared):
    with pytest.raises(HeadlightError, match="12 layers of 12 heads, but toy-induction has 2 layers of 12"):
        evaluate(prepared, replace(KNOWN, n_layers=12), 1, Watcher())


@pytest.mark.parametrize(("name", "value"), [("draws", 0), ("draws", 10**9), ("random_circuits", -1)])
def test_plans_out_of_range_are_refused(name, value):
    with pytest.raises(HeadlightError, match="Expected"):
        Plan(**{name: value})


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@torch.no_grad()
def test_all_logits_at_the_end_are_those_of_hooked_forwards(tiny_model, kind):
    model, prompts = tiny_model(kind), random_prompts(n=5)
    activations = capture(model, prompts)
    ledger = Ledger(pass_flops(model, prompts))
    keeps = [torch.ones(2, 4, dtype=torch.bool), mask_of([Head(0, 1), Head(1, 3)], 2, 4)]
    with ledger.stage("test"):
        ablator = Ablator(model, activations, ledger, Ablation.RESAMPLE)
        logits = ablator.at_end(keeps, lambda pairs, ends: torch.stack(list(ends), dim=1))
        metric = ablator.by_pair(keeps[1])
    assert logits.shape == (5, 2, model.vocab_size)
    for row, pair in enumerate(prompts.pairs):
        plain = model.hf_model(torch.tensor([pair.clean_tokens])).logits[0, -1]
        torch.testing.assert_close(logits[row, 0], plain.double(), atol=1e-4, rtol=1e-4)
        read = logits[row, 1, list(pair.answer_tokens)].mean() - logits[row, 1, list(pair.distractor_tokens)].mean()
        assert float(read) == pytest.approx(float(metric[row]), abs=1e-4)
    assert float(kl_divergence(logits[:, 0], logits[:, 0]).abs().max()) == 0
    assert float(kl_divergence(logits[:, 0], logits[:, 1]).min()) > 0


def test_a_model_with_hooks_alone_is_evaluated_too(tmp_path):
    save_hooked_model("gpt_neo", tmp_path / "neo")
    model = load_model(str(tmp_path / "neo"))
    assert not model.fast
    neo = prepare(model, Settings(task="random", pairs=4), Watcher(), random_prompts(n=4))
    everything = Circuit(tuple(Head(layer, index) for layer in range(2) for index in range(4)), (), 2, 4)
    found = evaluate(neo, everything, 1, Watcher(), FEW)
    assert found.main[0].faithfulness.value == pytest.approx(1, abs=1e-4)
    assert found.kl.value == pytest.approx(0, abs=1e-9)
    assert found.by_size.faithfulness[-1].value == pytest.approx(1, abs=1e-4)
    assert sum(row.flops for row in found.cost) > 0
