"""The toy circuit is found again whatever the draw; what is drawn, counted and reported is what it says."""

import json
from collections import Counter
from dataclasses import replace

import pytest
import torch

from engine.ablation import Ablator
from engine.activations import capture
from engine.circuit import Circuit
from engine.cost.ledger import Ledger
from engine.errors import Cancelled, HeadlightError
from engine.heads import Head, mask_of
from engine.models.sources import TOY_FOLDER
from engine.pipeline import discover, find_again
from engine.prepare import prepare, task_prompts
from engine.progress import Watcher
from engine.record import trust_record
from engine.record.circuit_file import parse_circuit
from engine.record.json_values import dumps
from engine.settings import Method, Score, Settings
from engine.subset import subset_prompts
from engine.trust.draws import Kind, Plan, draws_of, resampled
from engine.trust.refind import STAGE, DrawBench
from engine.trust.stability import frequency_of, stability

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=8, sparsity=0.5)
KNOWN = (Head(0, 1), Head(1, 2))


@pytest.fixture(scope="module")
def prepared(toy_model):
    return prepare(toy_model, SETTINGS, Watcher())


@pytest.fixture(scope="module")
def groups(prepared):
    return {pair.template_group for pair in prepared.prompts.pairs}


@pytest.fixture(scope="module")
def found(prepared):
    return stability(prepared, SETTINGS, Plan(resamples=3, seeds=2), Watcher())


@pytest.fixture(scope="module")
def circuit(toy_model):
    known = json.loads((TOY_FOLDER / "circuit.json").read_text(encoding="utf-8"))
    return parse_circuit(known, toy_model.n_layers, toy_model.n_heads)


def test_the_toy_circuit_is_found_every_time(found, circuit, groups):
    assert found.complete and found.failed == () and (found.report_seed, found.n, found.fresh) == (1, 8, True)
    assert [refind.draw.kind for refind in found.refinds] == (
        [Kind.RESAMPLE] * 3 + [Kind.SEED] * 2 + [Kind.TEMPLATE] * (len(groups) if len(groups) > 1 else 0)
    )
    mine = frequency_of(circuit, found)
    assert mine.heads == dict.fromkeys(KNOWN, 1.0) and set(mine.edges.values()) == {1.0}
    assert mine.n == found.overall.n == len(found.refinds) and found.overall.coin_flips == ()
    assert {kind: each.n for kind, each in found.by_kind.items()} == Counter(r.draw.kind for r in found.refinds)
    assert all(refind.faithfulness > 0.9 for refind in found.refinds)
    assert [refind.draw.seed for refind in found.refinds][:5] == [0, 1, 2, 2, 3]


def test_each_run_is_a_whole_run_on_its_prompts(toy_model, prepared, found):
    """Against discover on the same prompts, run anew; with its circuit measured on those of the report seed."""
    for refind in found.refinds:
        if refind.draw.kind is Kind.SEED:
            prompts = task_prompts(toy_model, SETTINGS, refind.draw.seed)
        else:
            prompts = subset_prompts(prepared.prompts, refind.draw.places)
        anew = discover(toy_model, SETTINGS, Watcher(), prepare(toy_model, SETTINGS, Watcher(), prompts))
        assert refind.circuit is not None and refind.circuit.heads == anew.circuit.heads
        for one, other in zip(refind.circuit.edges, anew.circuit.edges, strict=True):
            assert replace(one, effect=0) == replace(other, effect=0)
            assert one.effect == pytest.approx(other.effect, abs=1e-4)
    whole = discover(toy_model, SETTINGS, Watcher(), prepared)
    assert whole.verification is not None and whole.circuit.heads == found.refinds[0].circuit.heads
    assert found.refinds[0].faithfulness == pytest.approx(whole.verification.faithfulness, abs=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"method": Method.DENSE, "sparsity": None}, {"sparsity": None}, {"grid": True}, {"sparsity": 0.9},
        {"score": Score.POSITION_ATTRIBUTION},
    ],
)  # fmt: skip
def test_finding_again_finds_what_discover_finds(toy_model, prepared, change):
    settings = replace(SETTINGS, **change)
    circuit, cost = find_again(prepared, settings, Watcher())
    assert circuit == discover(toy_model, settings, Watcher(), prepared).circuit
    assert any(row.flops > 0 for row in cost)
    assert ("attribution" in {row.stage for row in cost}) == (settings.score is Score.POSITION_ATTRIBUTION)
    assert len(circuit.heads) == (1 if settings.sparsity == 0.9 else 2)  # a mask of one head finds one


def test_a_draw_is_scored_anew(toy_model, prepared):
    draw = draws_of(prepared, SETTINGS, Plan(1, 0, templates=False))[0][0]
    ledger = Ledger(1.0)
    with ledger.stage("test"):
        drawn = DrawBench(prepared, SETTINGS, ledger)._drawn(draw)
    anew = prepare(toy_model, SETTINGS, Watcher(), subset_prompts(prepared.prompts, draw.places))
    torch.testing.assert_close(drawn.scores.flap, anew.scores.flap, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(drawn.scores.contrastive_flap, anew.scores.contrastive_flap, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(drawn.scores.flap, prepared.scores.flap, atol=1e-3)
    assert drawn.baseline.clean_logit_diff == pytest.approx(anew.baseline.clean_logit_diff, abs=1e-4)


def in_groups(prompts, *numbers):
    """The prompts with their pairs in template groups of these numbers, in turns."""
    pairs = [replace(pair, template_group=numbers[i % len(numbers)]) for i, pair in enumerate(prompts.pairs)]
    return replace(prompts, pairs=tuple(pairs))


def test_a_resample_keeps_each_templates_share(prepared):
    prompts = in_groups(prepared.prompts, 0, 1, 1, 1)
    draws = {resampled(prompts, seed) for seed in range(5)}
    assert len(draws) == 5 and resampled(prompts, 3) == resampled(prompts, 3)
    for places in draws:
        assert Counter(prompts.pairs[place].template_group for place in places) == {0: 2, 1: 6}


def test_a_left_out_template_is_reported_beside_those_used(toy_model, prepared):
    """By hand, from the metric of each pair with all other heads at their group's corrupted mean."""
    prompts = in_groups(task_prompts(toy_model, SETTINGS, 0), 0, 1, 2)
    three = prepare(toy_model, SETTINGS, Watcher(), prompts)
    done = stability(three, SETTINGS, Plan(0, 0), Watcher())
    assert [refind.draw.left_out for refind in done.refinds] == [0, 1, 2]
    first = done.refinds[0]
    assert first.draw.places == (1, 2, 4, 5, 7) and first.draw.label == "without template 1"
    ledger = Ledger(1.0)
    with ledger.stage("test"):
        values = Ablator(toy_model, capture(toy_model, prompts), ledger).by_pair(mask_of(first.circuit.heads, 2, 12))
    clean, corrupted = (three.activations.by_pair(f"{run}_metric").double() for run in ("clean", "corrupted"))
    for places, reported in ((first.draw.places, first.used), ((0, 3, 6), first.held_out)):
        at = list(places)
        expected = (values[at].mean() - corrupted[at].mean()) / (clean[at].mean() - corrupted[at].mean())
        assert reported == pytest.approx(float(expected), abs=1e-6)


def test_an_own_task_has_no_other_seeds_and_says_so(toy_model):
    prompts = in_groups(task_prompts(toy_model, SETTINGS, 0), 5)
    own = prepare(toy_model, SETTINGS, Watcher(), prompts)
    done = stability(own, SETTINGS, Plan(2, 3), Watcher())
    assert [refind.draw.kind for refind in done.refinds] == [Kind.RESAMPLE] * 2
    assert not done.fresh and done.report_seed == SETTINGS.seed
    assert "no other seeds" in done.notes[0] and "one template" in done.notes[1]
    with pytest.raises(HeadlightError, match="nothing to find the circuit again on"):
        draws_of(own, SETTINGS, Plan(0, 3))


def test_one_run_of_a_kind_is_marked(prepared):
    done = stability(prepared, SETTINGS, Plan(1, 0, templates=False), Watcher())
    assert not done.overall.judged and "no frequency can be judged" in done.notes[0]
    saved = trust_record.stability_json(done, Circuit(KNOWN, (), 2, 12))
    assert saved["overall"]["judged"] is False and saved["circuit"]["heads"] == {"0.1": None, "1.2": None}


def test_a_run_that_cannot_be_done_is_named_and_the_others_count(toy_model, prepared, monkeypatch):
    import engine.trust.refind as module

    search = module.find_again

    def failing(drawn, settings, watcher):
        if drawn.prompts.pairs[0] == bad.pairs[0]:
            raise HeadlightError("The metric is the same on clean and corrupted prompts.")
        return search(drawn, settings, watcher)

    places = [resampled(prepared.prompts, seed) for seed in (0, 1)]
    bad = subset_prompts(prepared.prompts, places[1])
    assert bad.pairs[0] != subset_prompts(prepared.prompts, places[0]).pairs[0]
    monkeypatch.setattr(module, "find_again", failing)
    done = stability(prepared, SETTINGS, Plan(2, 0, templates=False), Watcher())
    assert done.complete and done.overall.n == 1 and len(done.failed) == 1
    assert done.failed[0].draw.label == "resample 2" and "same on clean" in done.failed[0].problem
    bad = prepared.prompts
    monkeypatch.setattr(module, "find_again", lambda *given: (_ for _ in ()).throw(HeadlightError("no unit")))
    with pytest.raises(HeadlightError, match=r"not be found again at all.*no unit"):
        stability(prepared, SETTINGS, Plan(2, 0, templates=False), Watcher())


class StopAfter(Watcher):
    """Cancels once so many runs are reported; remembers all it was told."""

    def __init__(self, most=1e9):
        self.most, self.told = most, []

    def report(self, stage, done, total):
        self.told.append((stage, done, total))

    def cancelled(self):
        return bool(self.told) and self.told[-1][1] >= self.most


def test_progress_is_told_over_all_runs(prepared):
    watcher = StopAfter()
    stability(prepared, SETTINGS, Plan(3, 0, templates=False), watcher)
    assert {(stage, total) for stage, _, total in watcher.told} == {(STAGE, 3)}
    shares = [done for _, done, _ in watcher.told]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 3 and len(set(shares)) > 1.5


def test_stopped_the_runs_that_are_done_come_back(prepared):
    done = stability(prepared, SETTINGS, Plan(3, 2), StopAfter(2))
    assert not done.complete and [refind.draw.label for refind in done.refinds] == ["resample 1", "resample 2"]
    assert dumps(trust_record.stability_json(done, Circuit((), (), 2, 12)))
    with pytest.raises(Cancelled):
        stability(prepared, SETTINGS, Plan(3, 2), StopAfter(0.5))


def test_the_work_of_all_runs_is_booked(prepared):
    _, cost = find_again(prepared, SETTINGS, Watcher())
    one, two = (stability(prepared, SETTINGS, Plan(n, 0, templates=False), Watcher()).cost for n in (1, 2))
    assert [row.stage for row in two] == [STAGE]
    assert two[0].flops - one[0].flops == pytest.approx(sum(row.flops for row in cost), rel=0.5)


@pytest.mark.parametrize("wrong", [{"resamples": -1}, {"seeds": 201}, {"resamples": 0, "seeds": 0, "templates": False}])
def test_bad_plans_are_refused(wrong):
    with pytest.raises(HeadlightError, match="Expected"):
        Plan(**wrong)

