"""Scores by backward passes against patching a real change of z, on models of each shape."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from engine.activations import BatchActivations, read_metric
from engine.cost.estimate import estimate_run
from engine.errors import Cancelled, HeadlightError
from engine.models.loading import load_model
from engine.models.model import Model
from engine.pipeline import discover
from engine.prepare import Prepared, prepare
from engine.progress import Watcher
from engine.pruning.sparsity_sweep import prune, sweep_of
from engine.record import writing as record
from engine.scores.kinds import Score, Source
from engine.scoring.attribution import added, cost_of, measure, source_flops, with_score
from engine.settings import Method, Settings
from tests.engine.random_prompts import random_prompts
from tests.tiny_hooked import HOOKED_KINDS, save_hooked_model

KINDS = ("gpt2", "llama", "qwen2", "gptj", "gemma2")  # joint q, k, v; grouped KV; biases; parallel; norms after
SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=4)
STEP = 1e-3


def prepared_on(model: Model) -> Prepared:
    return prepare(model, Settings(model="tiny"), Watcher(), random_prompts())


def metric_with(model: Model, item: BatchActivations, layer: int, head: int, change: Tensor, resid: Tensor) -> Tensor:
    """Metric ``[batch]`` of a live run from ``resid`` with one head's z moved by ``change [batch pos d_head]``."""
    for index, block in enumerate(model.parts.layers):
        normed = block.norm_attn(resid)
        z = block.attend(block.queries(normed, 0), block.keys(normed, 0), block.values(normed))
        if index == layer:
            z = z.clone()
            z[:, :, head] += change
        resid = block.output(resid, block.attention_output(z))
    return read_metric(model.parts, item.readout, resid[:, -1])


def slope(model: Model, item: BatchActivations, layer: int, head: int, change: Tensor, resid: Tensor) -> Tensor:
    """The metric's derivative ``[batch]`` along ``change``, by finite differences."""
    up, down = (metric_with(model, item, layer, head, sign * STEP * change, resid) for sign in (1, -1))
    return (up.double() - down.double()) / (2 * STEP)


def token_slopes(model: Model, prepared: Prepared, layer: int, head: int, shares: list[float]) -> list[Tensor]:
    """Token by token the slow way, ``[batch pos]`` of each batch: the mean slope over points of the way."""
    found = []
    for item in prepared.activations.batches:
        clean, corrupted = (model.parts.embed(tokens) for tokens in (item.batch.clean, item.batch.corrupted))
        change = (item.clean_z - item.corrupted_z)[layer, :, :, head]
        columns = []
        for pos in range(change.shape[1]):
            only = torch.zeros_like(change)
            only[:, pos] = change[:, pos]
            points = [corrupted + share * (clean - corrupted) for share in shares]
            columns.append(torch.stack([slope(model, item, layer, head, only, point) for point in points]).mean(0))
        found.append(torch.stack(columns, dim=1))
    return found


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_attributions_are_slopes_of_the_metric_along_the_change_of_z(tiny_model, kind):
    model = tiny_model(kind)
    prepared = prepared_on(model)
    scored = with_score(prepared, Score.POSITION_ATTRIBUTION, Watcher()).scores
    for layer, head in ((0, 1), (1, 3)):
        slopes = token_slopes(model, prepared, layer, head, [1.0])
        by_position = sum(float(batch.abs().sum()) for batch in slopes) / len(prepared.prompts)
        summed = abs(sum(float(batch.sum()) for batch in slopes)) / len(prepared.prompts)
        at = layer, head
        assert by_position > 1e-3 and summed < by_position
        assert scored.of(Score.POSITION_ATTRIBUTION)[at] == pytest.approx(by_position, rel=2e-2, abs=1e-4)
        assert scored.of(Score.ATTRIBUTION)[at] == pytest.approx(summed, rel=2e-2, abs=1e-3)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@torch.no_grad()
def test_integrated_attribution_averages_slopes_on_the_way_from_corrupted_to_clean(tiny_model, kind):
    model = tiny_model(kind)
    prepared = prepared_on(model)
    scored = with_score(prepared, Score.INTEGRATED_ATTRIBUTION, Watcher()).scores
    slopes = token_slopes(model, prepared, 1, 2, [0.2, 0.4, 0.6, 0.8, 1.0])
    expected = sum(float(batch.abs().sum()) for batch in slopes) / len(prepared.prompts)
    assert scored.of(Score.INTEGRATED_ATTRIBUTION)[1, 2] == pytest.approx(expected, rel=2e-2)
    plain = with_score(prepared, Score.POSITION_ATTRIBUTION, Watcher()).scores.of(Score.POSITION_ATTRIBUTION)
    assert float(plain[1, 2]) != pytest.approx(expected, rel=2e-2)


def test_one_step_of_integration_is_the_plain_gradient(tiny_model, monkeypatch):
    monkeypatch.setattr("engine.scoring.attribution.PATH_STEPS", 1)
    prepared = prepared_on(tiny_model("qwen2"))
    one = with_score(prepared, Score.INTEGRATED_ATTRIBUTION, Watcher()).scores.of(Score.INTEGRATED_ATTRIBUTION)
    plain = with_score(prepared, Score.POSITION_ATTRIBUTION, Watcher()).scores.of(Score.POSITION_ATTRIBUTION)
    assert_close(one, plain, atol=0, rtol=0)


@pytest.mark.parametrize("source", [Source.GRADIENT, Source.PATH])
def test_the_work_is_booked_as_estimated_and_cut_without_changing_a_score(tiny_model, source):
    prepared = prepared_on(tiny_model("llama"))
    whole = measure(prepared, source, Watcher())
    assert whole.cost.stage == source.value and whole.cost.flops == source_flops(prepared, source) > 0
    cut = measure(replace(prepared, memory=replace(prepared.memory, gradient_rows=9)), source, Watcher())
    for score in whole.scores.available():
        assert_close(cut.scores.of(score), whole.scores.of(score), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", HOOKED_KINDS)
def test_hooks_give_the_same_meaning(kind, tmp_path):
    """No parts to take apart: slopes by replacing z in hooked forwards."""
    from engine.hooked import end_logits
    from engine.models.bridge import hook_name
    from engine.models.hooks import replacing

    save_hooked_model(kind, tmp_path)
    model = load_model(str(tmp_path))
    prepared = prepared_on(model)
    scored = with_score(prepared, Score.ATTRIBUTION, Watcher())
    total = 0.0
    for item in prepared.activations.batches:
        z, change = item.clean_z[1], torch.zeros_like(item.clean_z[1])
        change[:, :, 2] = (item.clean_z - item.corrupted_z)[1, :, :, 2]
        with torch.no_grad():
            ends = [
                item.readout.of_vocabulary(
                    end_logits(model, item.batch.clean, [replacing(hook_name(1, "z"), z + sign * STEP * change)])
                )
                for sign in (1, -1)
            ]
        total += float((ends[0].double() - ends[1].double()).sum()) / (2 * STEP)
    expected = abs(total) / len(prepared.prompts)
    assert scored.scores.of(Score.ATTRIBUTION)[1, 2] == pytest.approx(expected, rel=2e-2, abs=1e-3)
    assert scored.cost[-1].flops == pytest.approx(source_flops(prepared, Source.GRADIENT), rel=0.2)
    path = with_score(prepared, Score.INTEGRATED_ATTRIBUTION, Watcher())
    assert path.scores.of(Score.INTEGRATED_ATTRIBUTION).min() > 0
    assert path.cost[-1].stage == "integrated attribution"


def test_parts_and_hooks_agree_on_the_same_model(tiny_model, tiny_model_folder):
    from transformers import AutoModelForCausalLM

    fast = tiny_model("llama")
    hf_model = AutoModelForCausalLM.from_pretrained(tiny_model_folder("llama"))
    hooked = Model("hooked", hf_model, fast.tokenizer, hooked=True)
    scores = []
    for model in (fast, hooked):
        plain = with_score(prepared_on(model), Score.ATTRIBUTION, Watcher())
        scores.append(with_score(plain, Score.INTEGRATED_ATTRIBUTION, Watcher()))
    for score in (Score.ATTRIBUTION, Score.POSITION_ATTRIBUTION, Score.INTEGRATED_ATTRIBUTION):
        assert_close(scores[0].scores.of(score), scores[1].scores.of(score), atol=1e-5, rtol=1e-4)


def test_embeddings_that_are_not_all_a_model_reads_are_refused(tmp_path, monkeypatch):
    save_hooked_model("gpt_neo", tmp_path)
    prepared = prepared_on(load_model(str(tmp_path)))
    recorded = "engine.scoring.attribution.recorded_embeddings"
    monkeypatch.setattr(recorded, lambda model, tokens: torch.ones(*tokens.shape, 32))
    with pytest.raises(HeadlightError, match="misses the corrupted metric"):
        measure(prepared, Source.PATH, Watcher())
    monkeypatch.undo()
    monkeypatch.setattr("engine.hooked.EMBEDDING", "no.such.hook")
    with pytest.raises(HeadlightError, match="no hook behind them"):
        measure(prepared, Source.PATH, Watcher())


@pytest.fixture(scope="module")
def prepared(toy_model) -> Prepared:
    return prepare(toy_model, SETTINGS, Watcher())


def test_a_score_is_measured_once_and_only_when_asked_for(prepared):
    assert prepared.scores.available() == (Score.CONTRASTIVE_FLAP, Score.FLAP, Score.OUTPUT_DIFFERENCE)
    assert with_score(prepared, Score.EQUAL_UNION, Watcher()) is prepared
    with pytest.raises(HeadlightError, match="Attribution by position has not been measured"):
        prepared.scores.of(Score.POSITION_ATTRIBUTION)
    scored = with_score(prepared, Score.RANK_SUM, Watcher())
    assert scored.scores.has(Score.ATTRIBUTION) and with_score(scored, Score.ATTRIBUTION, Watcher()) is scored
    assert [row.stage for row in scored.cost] == ["calibration", "attribution"]
    again = added(scored, measure(scored, Source.GRADIENT, Watcher()))
    assert [row.stage for row in again.cost] == ["calibration", "attribution"]


def test_a_run_owes_only_the_scores_its_mask_needs(prepared):
    scored = with_score(with_score(prepared, Score.ATTRIBUTION, Watcher()), Score.INTEGRATED_ATTRIBUTION, Watcher())
    owed = {
        None: SETTINGS, "attribution": replace(SETTINGS, sparsity=0.5, score=Score.RANK_SUM),
        "integrated attribution": replace(SETTINGS, sparsity=0.5, score=Score.INTEGRATED_ATTRIBUTION),
    }  # fmt: skip
    for stage, settings in owed.items():
        assert [row.stage for row in cost_of(scored, settings)] == ["calibration", *([stage] if stage else [])]
    automatic = replace(SETTINGS, score=Score.ATTRIBUTION)
    assert automatic.score_source is Source.RUNS
    assert replace(automatic, sparsity=0.5, method=Method.DENSE).score_source is Source.RUNS


@pytest.mark.parametrize("score", Score)
def test_every_score_confines_a_search(toy_model, prepared, score):
    settings = replace(SETTINGS, sparsity=0.6, score=score)
    found = discover(toy_model, settings, Watcher(), prepared)
    assert torch.equal(found.keep, found.scores.keep(score, 0.6)) and 0 < int(found.keep.sum()) < 24
    stages = [row.stage for row in found.cost]
    expected = ["calibration"] + [score.source.value] * (score.source is not Source.RUNS)
    assert stages[: len(expected)] == expected and [row.stage for row in found.predicted][: len(expected)] == expected
    saved = record.discovery_json(toy_model, found)
    assert set(saved["scores"]) == {each.value for each in found.scores.available()} >= {"flap", "output_difference"}
    assert saved["settings"]["score"] == score.value


def test_what_attribution_takes_is_estimated_before_it_is_measured(prepared):
    settings = replace(SETTINGS, sparsity=0.6, score=Score.INTEGRATED_ATTRIBUTION)
    scored = with_score(prepared, settings.score, Watcher())
    keep = scored.scores.keep(settings.score, 0.6)
    estimated = estimate_run(prepared, keep, settings).stage("integrated attribution")
    assert estimated.flops == scored.cost[-1].flops > 5 * estimate_run(
        prepared, keep, replace(settings, score=Score.ATTRIBUTION)
    ).stage("attribution").flops * 0.99


def test_the_curve_of_a_further_score(prepared):
    scored = with_score(prepared, Score.POSITION_ATTRIBUTION, Watcher())
    curve = sweep_of(scored, Score.POSITION_ATTRIBUTION, Watcher())
    assert curve.score == "position_attribution" and len(curve.performance) == len(curve.sizes) == 100
    assert curve.sizes[60] == int(scored.scores.keep(Score.POSITION_ATTRIBUTION, 0.6).sum())
    assert sweep_of(prepared, Score.FLAP, Watcher()).performance == pytest.approx(
        prune(prepared, Watcher()).sweeps["flap"].performance, rel=1e-4
    )
    with pytest.raises(HeadlightError, match="has not been measured"):
        sweep_of(prepared, Score.POSITION_ATTRIBUTION, Watcher())


class Stop(Watcher):
    def cancelled(self) -> bool:
        return True


def test_measuring_stops_when_asked(prepared):
    with pytest.raises(Cancelled):
        with_score(prepared, Score.ATTRIBUTION, Stop())
