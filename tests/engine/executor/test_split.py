"""A search whose receivers are measured in units: the same bits as the search in one piece."""

import math
from dataclasses import replace

import pytest
import torch

from engine.cost.ledger import CostRow
from engine.errors import Cancelled, HeadlightError
from engine.executor.executor import LocalExecutor
from engine.executor.perform import Bench
from engine.executor.split import added, cost_list, screening_in, screening_list
from engine.executor.units import ReceiversUnit
from engine.models.model import Model
from engine.patching.effects import TOGETHER
from engine.patching.screening import Screening
from engine.pipeline import discover
from engine.prepare import prepare
from engine.progress import Watcher
from engine.record.writing import discovery_json
from engine.search.path_patching import STAGE
from engine.settings import Method, Mode, Settings
from tests.engine.executor.records import costless, timeless
from tests.engine.random_prompts import random_prompts
from tests.tiny import random_model, tiny_config

DENSE = Settings(
    model="tiny-deep", task="custom", pairs=6, method=Method.DENSE, threshold_scale=0.0, min_effect=1e-4
)


@pytest.fixture(autouse=True)
def many_receivers(monkeypatch):
    """Random heads are all much alike: with the usual scale of the first step hardly any would be searched further."""
    monkeypatch.setattr("engine.search.path_patching.LOGITS_THRESHOLD_SCALE", 0.0)


class Remembering(LocalExecutor):
    """Does units last first, as several workers might, and remembers them."""

    def __init__(self, perform):
        super().__init__(perform)
        self.units = []

    def run(self, units, watcher):
        self.units += units
        return super().run(list(reversed(units)), watcher)


def executor_of(model):
    return Remembering(Bench(lambda *key: model).perform)


def prepared_for(model, settings):
    """On prompts of its own, which go with the units."""
    return prepare(model, settings, Watcher(), random_prompts(n=settings.pairs))


def both(model, settings):
    """The run in one piece and in units, as records, and the executor."""
    executor = executor_of(model)
    prepared = prepared_for(model, settings)
    discover(model, settings, Watcher(), prepared)  # so that neither begins with the self-check
    whole = discover(model, settings, Watcher(), prepared)
    split = discover(model, settings, Watcher(), prepared, executor=executor)
    return discovery_json(model, whole), discovery_json(model, split), executor


@pytest.mark.parametrize(
    "change",
    [
        {}, {"mode": Mode.EXACT}, {"grid": True}, {"grid": True, "mode": Mode.EXACT}, {"mlps": True},
        {"mlps": True, "mode": Mode.EXACT}, {"method": Method.APP, "sparsity": 0.5},
    ],
)  # fmt: skip
def test_in_units_the_search_comes_to_the_same_bits(tiny_deep_model, change):
    whole, split, executor = both(tiny_deep_model, replace(DENSE, **change))
    assert timeless(costless(split)) == timeless(costless(whole)) and len(whole["steps"]) > 5
    assert all(isinstance(unit, ReceiversUnit) and 1 <= len(unit.asked) <= TOGETHER for unit in executor.units)
    assert any(len(unit.asked) == TOGETHER for unit in executor.units)
    if whole["settings"]["mode"] == "screened":
        assert whole["screening"]["recomputed"] > 0


def test_what_all_units_did_is_booked(tiny_deep_model):
    """One process makes the shared sweep once: then it is what the search in one piece takes."""
    whole, split, _ = both(tiny_deep_model, replace(DENSE, mode=Mode.EXACT))
    for stage in ("logits stage", "sender sweep", "pass 2"):
        assert split["cost"][stage]["flops"] == whole["cost"][stage]["flops"] > 0


def test_hooked_models_are_measured_in_units_too(tiny_model):
    tokenizer = tiny_model("llama").tokenizer
    hooked = Model("hooked", random_model(tiny_config("llama")), tokenizer, hooked=True)
    settings = replace(DENSE, model="hooked", pairs=2, mode=Mode.EXACT)
    whole, split, _ = both(hooked, settings)
    assert timeless(costless(split)) == timeless(costless(whole))


def test_prompts_of_a_task_are_made_again_and_others_go_with_the_units(toy_model, tiny_deep_model):
    task = Settings(model="toy-induction", task="induction-random", pairs=8, sparsity=0.5)
    executor = executor_of(toy_model)
    whole, split = discover(toy_model, task, Watcher()), discover(toy_model, task, Watcher(), executor=executor)
    assert split.circuit == whole.circuit and {unit.prompts for unit in executor.units} == {None}
    _, _, executor = both(tiny_deep_model, DENSE)
    assert {unit.prompts for unit in executor.units} == {random_prompts(n=6)}


def test_a_unit_that_fails_stops_the_search_with_its_reason(tiny_deep_model):
    def perform(unit, watcher):
        raise HeadlightError("no room")

    prepared = prepared_for(tiny_deep_model, DENSE)
    with pytest.raises(HeadlightError, match=r"receivers could not be measured\. no room"):
        discover(tiny_deep_model, DENSE, Watcher(), prepared, executor=LocalExecutor(perform))


def test_stopped_between_units_what_was_found_comes_back(tiny_deep_model):
    class Stop(Watcher):
        share = 0.0

        def report(self, stage, done, total):
            self.share = done / total if stage == STAGE else 0.0

        def cancelled(self):
            return self.share > 0.3

    prepared = prepared_for(tiny_deep_model, DENSE)
    found = discover(tiny_deep_model, DENSE, Stop(), prepared, executor=executor_of(tiny_deep_model))
    assert not found.complete and found.steps and found.verification is None


def test_counts_of_screening_add_up():
    nothing, one, other = Screening(3, 0, math.nan), Screening(5, 2, 0.25), Screening(7, 1, 0.5)
    assert added(one, other) == added(other, one) == Screening(12, 3, 0.5)
    assert added(nothing, one) == Screening(8, 2, 0.25) and math.isnan(added(nothing, nothing).largest)
    for each in (one, other, None):
        assert screening_in(screening_list(each)) == each
    assert math.isnan(screening_in(screening_list(nothing)).largest)


def test_a_units_cost_is_what_came_since_the_last():
    before, now = [CostRow("a", 1, 1, 10.0)], [CostRow("a", 2, 2, 25.0), CostRow("b", 1, 1, 4.0)]
    assert cost_list(now, before) == [{"stage": "a", "flops": 15.0}, {"stage": "b", "flops": 4.0}]


def test_a_receivers_effects_do_not_depend_on_other_groups(tiny_deep_model):
    """Some of a layer's receivers, whole groups of them, measured alone: the same bits as among all."""
    from engine.circuit import Input
    from engine.cost.ledger import Ledger
    from engine.heads import Head
    from engine.patching.receiver import Receiver
    from engine.search.measuring import patching_of

    prepared = prepared_for(tiny_deep_model, DENSE)
    keep = torch.ones(6, 4, dtype=torch.bool)
    receivers = [Receiver(letter, Head(5, h)) for letter in (Input.Q, Input.K, Input.V) for h in (0, 1, 2, 3)]
    for mode in Mode:
        settings = replace(DENSE, mode=mode)
        few = torch.zeros(6, 4, dtype=torch.bool)
        few[0, 0] = few[2, 1] = True

        def decides(receiver, f, few=few):
            return few

        measured = []
        for some in (receivers, receivers[TOGETHER:]):
            patching = patching_of(prepared, keep, settings, Ledger(1.0))
            measured.append(patching.measure(some, decides, lambda share: None))
        for one, other in zip(measured[0][TOGETHER:], measured[1], strict=True):
            assert one.f.nan_to_num().numpy().tobytes() == other.f.nan_to_num().numpy().tobytes()
            assert torch.equal(one.estimated, other.estimated)


def test_a_cancel_in_a_worker_is_a_cancel():
    def perform(unit, watcher):
        raise Cancelled

    with pytest.raises(Cancelled):
        list(LocalExecutor(perform).run([ReceiversUnit(DENSE)], Watcher()))
