"""A run gone on with from any point is the run that was never interrupted, to the last bit."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import pytest
import torch
from torch import Tensor

from engine.ablation import Ablator
from engine.cost.ledger import CostRow, Ledger
from engine.machine.memory import MemoryPlan
from engine.models.model import Model
from engine.notes.journal import Chunk
from engine.notes.noted_metrics import NotedMetrics
from engine.notes.notes import Notes
from engine.patching.screening import ScreenedPatching
from engine.pipeline import discover, find_again
from engine.prepare import prepare
from engine.progress import Watcher
from engine.scores.kinds import Score
from engine.settings import Algorithm, Method, Mode, Settings
from engine.trust.draws import Plan
from engine.trust.stability import stability
from tests.engine.journals import Kept
from tests.engine.random_prompts import random_prompts
from tests.tiny import random_model, tiny_config

TOY = Settings(model="toy-induction", task="induction-random", pairs=8)
RANDOM = Settings(model="tiny", task="random", method=Method.DENSE, threshold_scale=0.0, min_effect=1e-4)
RUNS = {
    "exact": replace(RANDOM, mode=Mode.EXACT),
    "screened": RANDOM,
    "auto": replace(RANDOM, method=Method.APP),
    "score": replace(RANDOM, method=Method.APP, sparsity=0.3, score=Score.WALK_UNION),
    "grid": replace(RANDOM, grid=True),
    "exact grid": replace(RANDOM, grid=True, mode=Mode.EXACT),
    "mlps": replace(RANDOM, mlps=True),
    "exact mlps": replace(RANDOM, mlps=True, mode=Mode.EXACT),
    "acdc": replace(RANDOM, algorithm=Algorithm.ACDC, tolerance=0.05),
    "exact acdc": replace(RANDOM, algorithm=Algorithm.ACDC, tolerance=0.05, mode=Mode.EXACT),
    "eap": replace(RANDOM, algorithm=Algorithm.EAP),
}


def same(one, other) -> bool:
    """Whether all fields are the same to the last bit; seconds aside, which nobody can have twice."""
    if isinstance(one, Tensor):
        return torch.equal(one.nan_to_num(7.5), other.nan_to_num(7.5)) and torch.equal(one.isnan(), other.isnan())
    if isinstance(one, CostRow):
        return (one.stage, one.flops, one.forward_passes) == (other.stage, other.flops, other.forward_passes)
    if is_dataclass(one):
        return type(one) is type(other) and all(
            same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)
        )
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other or (one != one and other != other)


def check_same(one, other):
    """Names the field of the run that differs."""
    for field in fields(one):
        assert same(getattr(one, field.name), getattr(other, field.name)), (
            field.name, getattr(one, field.name), getattr(other, field.name),
        )  # fmt: skip


@pytest.fixture
def deep(tiny_deep_models, monkeypatch):
    """A model of six layers, of which a search visits most."""
    monkeypatch.setattr("engine.search.path_patching.LOGITS_THRESHOLD_SCALE", -0.3)
    return tiny_deep_models("llama")


def as_if_new(monkeypatch):
    """As in a process of its own, which has checked no model yet."""
    for checked in ("_checked", "_checked_with_mlps"):
        monkeypatch.setattr(f"engine.trust.self_check.{checked}", {})


def check_prefixes(prepared, monkeypatch, step=1):
    """The whole run without a journal, with one, and from every point of its journal on, or every so many."""

    def run(journal):
        as_if_new(monkeypatch)
        return discover(prepared.model, prepared.settings, Watcher(), prepared, journal=journal)

    whole, journal = run(None), Kept()
    check_same(run(journal), whole)
    names = list(journal.chunks)
    assert names[0] == "run" and journal.written == names
    for count in range(0, len(names) + 1, step):
        resumed = journal.first(count)
        check_same(run(resumed), whole)
        assert resumed.written == names[count:]
    return whole, journal


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_from_any_point_on_a_run_is_the_same(deep, monkeypatch, name):
    whole, _ = check_prefixes(prepare(deep, RUNS[name], Watcher(), random_prompts()), monkeypatch)
    assert len(whole.steps) > 6 or name == "auto"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "streams"), [("exact", 200_000.0), ("screened", 140_000.0), ("mlps", 0.0), ("acdc", 400_000.0)]
)
def test_however_the_work_is_cut(deep, monkeypatch, name, streams):
    """Small chunks, and streams kept every second layer, every third, not at all; ACDC two pairs at a time."""
    prepared = prepare(deep, RUNS[name], Watcher(), random_prompts())
    check_prefixes(replace(prepared, memory=MemoryPlan(40, 30, streams)), monkeypatch, step=3)


@pytest.mark.slow
def test_a_model_that_has_only_hooks(tiny_model, monkeypatch):
    monkeypatch.setattr("engine.search.path_patching.LOGITS_THRESHOLD_SCALE", -1.0)
    model = Model("hooked", random_model(tiny_config("llama")), tiny_model("llama").tokenizer, hooked=True)
    whole, journal = check_prefixes(prepare(model, RANDOM, Watcher(), random_prompts(n=2)), monkeypatch)
    assert "search.1" in journal.chunks and whole.check is None


def test_metrics_of_masks_go_on_from_the_mask_before(deep):
    """Nested masks share layers, so a mask that is not run costs the next one more: not where it was noted."""
    prepared = prepare(deep, RANDOM, Watcher(), random_prompts())
    order = torch.rand(6, 4, generator=torch.Generator().manual_seed(3))
    masks = [order > share for share in torch.linspace(0, 1, 11).tolist()]

    def run(journal):
        ledger = Ledger(1.0)
        with ledger.stage("ablation"):
            metrics = NotedMetrics(Ablator(deep, prepared.activations, ledger), Notes(journal, ledger), "x", 3)
            values = [metrics.metric(mask) for mask in masks]
            metrics.close()
        return values, [row.flops for row in ledger.rows()]

    journal = Kept()
    whole = run(journal)
    assert list(journal.chunks) == ["x.0", "x.1", "x.2", "x.3"] and len(journal.chunks["x.3"].values["values"]) == 2
    for count in range(5):
        assert run(journal.first(count)) == whole


@pytest.fixture
def noted(deep):
    """What the screened run is prepared with, the run, and its journal."""
    prepared, journal = prepare(deep, RUNS["screened"], Watcher(), random_prompts()), Kept()
    return prepared, discover(deep, prepared.settings, Watcher(), prepared, journal=journal), journal


def measured(monkeypatch):
    """The receivers that are really measured from now on, by name."""
    seen: list[str] = []
    really = ScreenedPatching.measure

    def measure(self, receivers, *rest):
        seen.extend(map(str, receivers))
        return really(self, receivers, *rest)

    monkeypatch.setattr(ScreenedPatching, "measure", measure)
    return seen


def test_what_was_done_is_not_done_again(noted, monkeypatch):
    prepared, whole, journal = noted
    seen = measured(monkeypatch)
    discover(prepared.model, prepared.settings, Watcher(), prepared)
    everything, done = list(seen), journal.first(list(journal.chunks).index("search.3") + 1)
    seen.clear()
    check_same(discover(prepared.model, prepared.settings, Watcher(), prepared, journal=done), whole)
    assert seen == [name for name in everything if name.startswith(("2.", "1."))]
    assert 0 < len(seen) < len(everything)
    seen.clear()
    check_same(discover(prepared.model, prepared.settings, Watcher(), prepared, journal=journal), whole)
    assert seen == []


def test_a_gap_in_the_notes_is_filled_and_what_follows_still_holds(noted, monkeypatch):
    prepared, whole, journal = noted
    for gone in list(journal.chunks):
        seen = Kept({name: chunk for name, chunk in journal.chunks.items() if name != gone})
        check_same(discover(prepared.model, prepared.settings, Watcher(), prepared, journal=seen), whole)
        assert set(seen.written) == ({gone} if gone != "run" else {"run"})


@pytest.mark.parametrize(
    "damage",
    [
        lambda chunk: Chunk(chunk.values, {}),
        lambda chunk: Chunk(chunk.values, {name: value[..., :-1] for name, value in chunk.tensors.items()}),
        lambda chunk: Chunk(chunk.values, {name: value.double() for name, value in chunk.tensors.items()}),
        lambda chunk: Chunk(chunk.values | {"receivers": ["5.0.q"]}, chunk.tensors),
        lambda chunk: Chunk(chunk.values | {"screening": [1, 2]}, chunk.tensors),
        lambda chunk: Chunk(chunk.values | {"cost": {"pass 2": 3}}, chunk.tensors),
        lambda chunk: Chunk({name: value for name, value in chunk.values.items() if name != "seal"}, chunk.tensors),
    ],
)
def test_a_note_that_does_not_fit_is_not_trusted(noted, damage):
    prepared, whole, journal = noted
    for name in ("search.logits", "search.3"):
        damaged = Kept(journal.chunks | {name: damage(journal.chunks[name])})
        check_same(discover(prepared.model, prepared.settings, Watcher(), prepared, journal=damaged), whole)
        assert damaged.written == [name]


def test_notes_of_another_run_are_left_alone(noted, monkeypatch):
    prepared, _, journal = noted
    searched = [name for name in journal.chunks if name.startswith("search")]

    def written(prepared, settings):
        other = Kept(journal.chunks)
        found = discover(prepared.model, settings, Watcher(), prepared, journal=other)
        check_same(found, discover(prepared.model, settings, Watcher(), prepared))
        return other.written

    settings = prepared.settings
    assert written(prepared, settings) == []
    assert set(searched[:2]) < set(written(prepared, replace(settings, min_effect=1e-3)))
    assert set(searched) <= set(written(prepare(prepared.model, settings, Watcher(), random_prompts(seed=9)), settings))
    cut = replace(prepared, memory=replace(prepared.memory, rows=64))
    assert set(searched) <= set(written(cut, settings))
    with monkeypatch.context() as changed:
        changed.setattr("engine.notes.notes.made_with", lambda: {"torch": "0.0"})
        assert set(searched) <= set(written(prepared, settings))
    hf_model = random_model(tiny_config("llama", n_layers=6), seed=1)
    other = Model("other", hf_model, prepared.model.tokenizer)
    assert other.fingerprint != prepared.model.fingerprint
    other_prepared = prepare(other, settings, Watcher(), random_prompts())
    discover(other, settings, Watcher(), other_prepared)  # from now on it is known to pass its check
    assert "search.logits" in written(other_prepared, settings)


def test_work_is_cut_as_it_was_unless_that_takes_too_much(noted):
    prepared, whole, _ = noted
    first = replace(prepared, memory=replace(prepared.memory, streams=200_000.0))
    journal = Kept()
    cut = discover(prepared.model, prepared.settings, Watcher(), first, journal=journal)
    half = journal.first(len(journal.chunks) - 2)
    check_same(discover(prepared.model, prepared.settings, Watcher(), prepared, journal=half), cut)
    assert len(half.written) == 2 and same(cut.circuit, whole.circuit)
    small = replace(prepared, memory=replace(prepared.memory, streams=99_000.0))  # all that is free is less
    anew = journal.first(len(journal.chunks) - 2)
    discover(prepared.model, prepared.settings, Watcher(), small, journal=anew)
    assert anew.written == list(journal.chunks)


class StopAt(Watcher):
    """Cancels once the work has come to a chunk: as a person or a shutdown does."""

    def __init__(self, journal, count):
        self._journal, self._count = journal, count

    def cancelled(self):
        return len(self._journal.chunks) >= self._count


def test_a_stopped_run_goes_on_too(noted):
    prepared, whole, journal = noted
    stopped = Kept()
    for count in range(2, len(journal.chunks) + 1):
        part = discover(prepared.model, prepared.settings, StopAt(stopped, count), prepared, journal=stopped)
        assert not part.complete and count <= len(stopped.chunks) <= count + 1
    check_same(discover(prepared.model, prepared.settings, Watcher(), prepared, journal=stopped), whole)


PLAN = Plan(resamples=2, seeds=1)


@pytest.mark.slow
def test_draws_that_were_done_are_not_done_again(toy_model, monkeypatch):
    settings = replace(TOY, pairs=6, sparsity=0.5)
    prepared = prepare(toy_model, settings, Watcher())

    def run(journal):
        return stability(prepared, settings, PLAN, Watcher(), journal=journal)

    whole, journal = run(None), Kept()
    check_same(run(journal), whole)
    assert list(journal.chunks) == ["run", *(f"draw {refind.draw.label}" for refind in whole.refinds)]
    assert len(journal.chunks) >= 4
    searches: list[Settings] = []
    watched = "engine.trust.refind.find_again"
    monkeypatch.setattr(watched, lambda *given: searches.append(given[1]) or find_again(*given))
    for count in range(1, len(journal.chunks) + 1):
        searches.clear()
        check_same(run(journal.first(count)), whole)
        assert len(searches) == len(journal.chunks) - count
    damaged = Kept(journal.chunks | {"draw resample 1": Chunk({"took": 3})})
    assert same(run(damaged).refinds, whole.refinds) and damaged.written == ["draw resample 1"]
    noted = sum(chunk.values["took"]["seconds"] for name, chunk in journal.chunks.items() if name.startswith("draw"))
    assert noted > 0.0 and sum(row.seconds for row in run(journal).cost) >= noted
