"""The whole method on the toy model, whose circuit is known."""

import json
from dataclasses import replace

import pytest
import torch

from engine.activations import read_metric
from engine.behaviour.head_card import attention_pattern, head_writes
from engine.circuit import Input
from engine.cost.estimate import dense_flops, estimate_run
from engine.cost.pilot import look_ahead
from engine.errors import Cancelled, HeadlightError
from engine.heads import Head, heads_of
from engine.models.sources import TOY_FOLDER
from engine.pipeline import SELF_CHECK, VERIFICATION, discover
from engine.prepare import prepare
from engine.progress import Watcher
from engine.pruning.candidates import keep_of, likely_keep
from engine.pruning.sparsity_sweep import prune, random_band
from engine.record import writing as record
from engine.record.json_values import dumps
from engine.search.path_patching import STAGE, Thresholds, search_cost
from engine.settings import Method, Mode, Score, Settings
from engine.trust.self_tests import STAGE as SELF_TESTS

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=8, seed=0)


@pytest.fixture(scope="module")
def known():
    return json.loads((TOY_FOLDER / "circuit.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def prepared(toy_model):
    return prepare(toy_model, SETTINGS, Watcher())


@pytest.fixture(scope="module")
def pruning(prepared):
    return prune(prepared, Watcher())


@pytest.mark.parametrize(
    "settings",
    [
        replace(SETTINGS, method=Method.DENSE),
        SETTINGS,
        replace(SETTINGS, sparsity=0.5),
        replace(SETTINGS, sparsity=0.8, score=Score.MERGED, seed=5, pairs=12),
    ],
    ids=["dense", "app-auto", "app-half", "app-merged"],
)
def test_the_known_circuit_is_found_exactly(toy_model, known, settings):
    found = discover(toy_model, settings, Watcher())
    assert found.complete
    assert [str(head) for head in found.circuit.heads] == known["heads"]
    named = {(str(e.sender), str(e.receiver) if e.receiver else "logits", e.input.value) for e in found.circuit.edges}
    assert named == {(edge["sender"], edge["receiver"], edge["input"]) for edge in known["edges"]}
    assert found.verification is not None and found.verification.faithfulness > 0.9
    assert found.verification.seed == settings.seed + 1
    assert found.verification.clean_logit_diff != pytest.approx(found.baseline.clean_logit_diff)  # fresh prompts
    assert found.check.largest < 1e-4


def test_the_cost_of_pruning_is_counted(toy_model, prepared, pruning, monkeypatch):
    monkeypatch.setattr("engine.trust.self_check._checked", {})  # a model not seen before
    found = discover(toy_model, SETTINGS, Watcher(), prepared, pruning)
    stages = [row.stage for row in found.cost]
    assert stages == [
        "calibration", "sparsity sweep", "look ahead", "self-check", "self-tests", "logits stage", "sender sweep",
        "pass 2", "verification",
    ]  # fmt: skip
    assert all(row.seconds > 0 and row.flops > 0 and row.forward_passes > 0 for row in found.cost)
    assert [row.stage for row in found.predicted] == stages  # as it stood before the check was known


def test_what_a_run_was_predicted_to_take_stands_beside_what_it_took(toy_model, prepared, pruning):
    pilot = look_ahead(prepared, keep_of(prepared, SETTINGS, pruning), SETTINGS, Watcher())
    found = discover(toy_model, SETTINGS, Watcher(), prepared, pruning, pilot)
    assert found.predicted == estimate_run(prepared, found.keep, SETTINGS, pilot).likely
    saved = record.discovery_json(toy_model, found)
    assert list(saved["predicted"]) == list(saved["cost"]) and saved["predicted"] != saved["cost"]
    for stage in ("logits stage", "sender sweep"):
        assert saved["predicted"][stage]["flops"] == pytest.approx(saved["cost"][stage]["flops"], rel=0.1)


def test_before_the_automatic_choice_a_likely_mask_stands_in_for_it(prepared, pruning):
    rough = likely_keep(prepared, SETTINGS, None)
    assert torch.equal(rough, prepared.scores.keep(Score.MERGED, 0.75))
    for settings, known in ((SETTINGS, pruning), (replace(SETTINGS, sparsity=0.5), None)):
        assert torch.equal(likely_keep(prepared, settings, known), keep_of(prepared, settings, known))


def test_a_named_union_confines_the_search_in_place_of_the_automatic_one(toy_model, prepared, pruning, known):
    for merge in pruning.merges:
        assert torch.equal(keep_of(prepared, replace(SETTINGS, union=merge.name), pruning), merge.mask)
    other = next(merge for merge in pruning.merges if not torch.equal(merge.mask, pruning.choice.merge.mask))
    settings = replace(SETTINGS, union=other.name)
    found = discover(toy_model, settings, Watcher(), prepared, pruning)
    assert torch.equal(found.keep, other.mask) and [str(head) for head in found.circuit.heads] == known["heads"]
    assert found.predicted[1].stage == "sparsity sweep"
    saved = record.discovery_json(toy_model, found)
    assert saved["settings"]["union"] == other.name and saved["keep"] == other.mask.tolist()
    assert torch.equal(likely_keep(prepared, settings, None), prepared.scores.keep(Score.MERGED, 0.75))
    with pytest.raises(HeadlightError, match="fixed\\+fixed"):
        pruning.taken("first+last")


def test_a_circuit_names_the_thresholds_it_was_found_with(toy_model, prepared):
    own = replace(SETTINGS, sparsity=0.5, threshold_scale=1.25, min_effect=0.03)
    assert discover(toy_model, own, Watcher(), prepared).thresholds == Thresholds(1.25, 0.03)
    tried = discover(toy_model, replace(own, grid=True), Watcher(), prepared)
    assert tried.thresholds == tried.grid.points[tried.grid.chosen].thresholds
    other = replace(tried, grid=replace(tried.grid, chosen=7))
    assert other.thresholds == Thresholds(1.5, 0.001)
    stopped = discover(toy_model, replace(own, grid=True), CancelIn(STAGE), prepared)
    assert stopped.grid is None and stopped.thresholds is None


def test_dense_searches_everywhere_and_app_inside_its_mask(toy_model, prepared, pruning):
    dense = discover(toy_model, replace(SETTINGS, method=Method.DENSE), Watcher(), prepared)
    assert dense.keep.all() and dense.pruning is None
    app = discover(toy_model, SETTINGS, Watcher(), prepared, pruning)
    assert app.keep.sum() == pruning.choice.merge.size < app.keep.numel()
    for step in app.steps:
        assert step.effects[~app.keep].isnan().all()
    shared = app.keep & ~app.steps[0].effects.isnan()
    torch.testing.assert_close(app.steps[0].effects[shared], dense.steps[0].effects[shared], atol=1e-5, rtol=0)


def test_the_sweep_has_every_sparsity_and_starts_near_the_whole_model(prepared, pruning):
    for sweep in pruning.sweeps.values():
        assert len(sweep.sparsities) == 100 and sweep.sizes[0] == prepared.scores.flap.numel() - 1
        assert list(sweep.sizes) == sorted(sweep.sizes, reverse=True) and sweep.sizes[-1] == 0
        assert sweep.performance[0] == pytest.approx(100, abs=5)
        assert sweep.performance[-1] < 50  # nothing kept
    assert pruning.sweeps["flap"].performance[-1] == pytest.approx(pruning.sweeps["contrastive_flap"].performance[-1])
    assert len(pruning.merges) == 9 and pruning.choice.merge in pruning.merges


def test_masks_of_a_fixed_sparsity(prepared):
    flap, contrastive = (keep_of(prepared, replace(SETTINGS, sparsity=0.5, score=s), None) for s in list(Score)[1::-1])
    merged = keep_of(prepared, replace(SETTINGS, sparsity=0.5, score=Score.MERGED), None)
    assert torch.equal(merged, flap | contrastive)
    assert int(flap.sum()) == int(contrastive.sum()) == 11


def test_the_random_band_is_seeded_and_ordered(prepared):
    band = random_band(prepared, Watcher())
    assert band == random_band(prepared, Watcher())
    assert all(low <= mid <= high for low, mid, high in zip(band.low, band.median, band.high, strict=True))
    assert len(band.sparsities) == len(band.median) and band.draws > 1


def measured(found, stage):
    return next(row for row in found.cost if row.stage == stage)


@pytest.mark.parametrize("mode", Mode)
def test_the_cost_of_a_search_is_known_once_its_receivers_are(toy_model, prepared, mode):
    found = discover(toy_model, replace(SETTINGS, method=Method.DENSE, mode=mode), Watcher(), prepared)
    receivers = [head for head in found.circuit.heads if head.layer > 0]
    recomputed = found.screening.recomputed / found.screening.estimated if found.screening else 1.0
    assert dense_flops(prepared, receivers, mode, recomputed) == pytest.approx(search_cost(found.cost).flops, rel=0.02)
    assert estimate_run(prepared, found.keep, found.settings).most.flops >= search_cost(found.cost).flops


def test_stages_without_a_choice_are_predicted(toy_model, prepared):
    """The nine unions are left out of the sweep's prediction, and the circuit's ablation is counted as a whole pass."""
    settings = replace(SETTINGS, sparsity=None)
    found = discover(toy_model, settings, Watcher(), prepared)
    estimate = estimate_run(prepared, found.keep, settings)
    assert estimate.stage("sparsity sweep").flops == pytest.approx(measured(found, "sparsity sweep").flops, rel=0.15)
    assert estimate.stage("verification").flops == pytest.approx(measured(found, "verification").flops, rel=0.3)
    assert all(row.seconds > 0 for row in estimate.likely if row.flops)


def test_a_grid_is_predicted_to_take_more_than_one_search(toy_model, prepared):
    settings = replace(SETTINGS, sparsity=0.5)
    single = estimate_run(prepared, keep_of(prepared, settings, None), settings).search
    for mode in Mode:
        tried = replace(settings, mode=mode, grid=True)
        found = discover(toy_model, tried, Watcher(), prepared)
        estimate = estimate_run(prepared, found.keep, tried)
        assert single.flops < search_cost(found.cost).flops < estimate.most.flops
        assert single.flops < estimate.search.flops <= estimate.most.flops
        if mode is Mode.EXACT:  # every candidate is visited, and nothing estimated
            assert estimate.search.flops == pytest.approx(estimate.most.flops)


class CancelIn(Watcher):
    def __init__(self, stage):
        self.stage, self.reached = stage, False

    def report(self, stage, done, total):
        self.reached |= stage == self.stage and done > 0

    def cancelled(self):
        return self.reached


def test_cancelled_in_the_search_the_part_found_comes_back_marked(toy_model, prepared):
    found = discover(toy_model, replace(SETTINGS, sparsity=0.5), CancelIn(STAGE), prepared)
    assert not found.complete and found.verification is None
    text = dumps(record.discovery_json(toy_model, found))
    assert json.loads(text)["complete"] is False


@pytest.mark.parametrize("stage", ["sparsity sweep", SELF_CHECK, SELF_TESTS, STAGE, VERIFICATION])
def test_cancelled_in_any_stage_what_came_before_is_kept(toy_model, prepared, pruning, stage, monkeypatch):
    monkeypatch.setattr("engine.trust.self_check._checked", {})
    given = None if stage == "sparsity sweep" else pruning
    found = discover(toy_model, SETTINGS, CancelAtOnce(stage), prepared, given)
    assert not found.complete and found.verification is None
    assert torch.equal(found.scores.flap, prepared.scores.flap)
    assert bool(found.keep.any()) == (stage != "sparsity sweep")
    assert bool(found.circuit.heads) == (stage in (STAGE, VERIFICATION))  # the logits step was over
    saved = json.loads(dumps(record.discovery_json(toy_model, found)))
    assert saved["complete"] is False and saved["scores"]["flap"]


def test_cancelled_before_the_prompts_have_run_there_is_nothing_to_keep(toy_model):
    with pytest.raises(Cancelled):
        discover(toy_model, SETTINGS, CancelAtOnce("calibration"))


@pytest.mark.parametrize("stage", ["sparsity sweep", STAGE, VERIFICATION])
def test_a_cancelled_stage_stops_at_the_next_piece_of_work(toy_model, prepared, pruning, stage):
    """However long a chunk is: the ledger asks with every layer it books."""
    watcher = CancelAtOnce(stage)
    discover(toy_model, SETTINGS, watcher, prepared, None if stage == "sparsity sweep" else pruning)
    assert watcher.asked_after <= 1


class CancelAtOnce(Watcher):
    """Cancels from the first report of ``stage`` on, without raising there: only the next check can stop the work."""

    def __init__(self, stage):
        self.stage, self.reached, self.asked_after = stage, False, 0

    def report(self, stage, done, total):
        self.reached |= stage == self.stage

    def step(self, stage, done, total):
        reached = self.reached
        self.report(stage, done, total)
        if reached:
            self.check()

    def cancelled(self):
        self.asked_after += self.reached
        return self.reached


def test_every_run_tests_itself_and_a_failure_is_part_of_its_result(toy_model, prepared, pruning, monkeypatch):
    found = discover(toy_model, SETTINGS, Watcher(), prepared, pruning)
    assert found.self_tests is not None and found.self_tests.passed and found.self_tests.pairs == 2
    saved = record.discovery_json(toy_model, found)["self_tests"]
    assert saved["passed"] and [test["passed"] for test in saved["tests"]] == [True] * 7 and saved["skipped"] == []
    monkeypatch.setattr("engine.trust.self_tests.read_metric", lambda *given: 1.1 * read_metric(*given))
    wrong = discover(toy_model, SETTINGS, Watcher(), prepared, pruning)
    assert wrong.complete and wrong.self_tests is not None and not wrong.self_tests.passed
    assert [test.name for test in wrong.self_tests.failed] == ["full patch"]
    assert record.discovery_json(toy_model, wrong)["self_tests"]["passed"] is False


def test_the_induction_head_attends_behind_the_earlier_copy_and_writes_the_answer(prepared, known):
    head = Head.parse(next(edge["sender"] for edge in known["edges"] if edge["input"] == Input.LOGITS))
    pair = prepared.prompts.pairs[0]
    pattern = attention_pattern(prepared.model, pair.clean_tokens, head)
    torch.testing.assert_close(pattern.sum(dim=1), torch.ones(len(pair.clean_tokens)), atol=1e-5, rtol=0)
    assert pattern.triu(1).abs().max() == 0  # causal
    assert pair.clean_tokens[int(pattern[-1].argmax())] in pair.answer_tokens
    raised, lowered = head_writes(prepared, head, 10)
    answers = {token for item in prepared.prompts.pairs for token in item.answer_tokens}
    assert answers & {token.token for token in raised}
    assert raised[0].logits > 0 > lowered[0].logits


def test_scores_are_finite_and_tell_heads_apart(prepared):
    for scores in (prepared.scores.flap, prepared.scores.contrastive_flap):
        assert scores.isfinite().all() and scores.std() > 0
    assert Head(1, 2) in heads_of(prepared.scores.keep(Score.CONTRASTIVE_FLAP, 0.8))
