"""The circuit alone: its interval, against one drawn pair by pair and against the evaluation's."""

import math

import pytest
import torch

from engine.ablation import Ablator
from engine.cost.ledger import Ledger, pass_flops
from engine.evaluation.bootstrap import DRAWS
from engine.evaluation.evaluate import evaluate
from engine.evaluation.plan import Plan
from engine.fresh import fresh_activations
from engine.heads import mask_of
from engine.pipeline import discover
from engine.prepare import prepare
from engine.progress import Watcher
from engine.settings import Settings
from engine.verification import Verification, verify

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=6, sparsity=0.5)


@pytest.fixture(scope="module")
def prepared(toy_model):
    return prepare(toy_model, SETTINGS, Watcher())


@pytest.fixture(scope="module")
def found(toy_model, prepared):
    return discover(toy_model, SETTINGS, Watcher(), prepared)


def verified(model, activations, keep, seed) -> Verification:
    ledger = Ledger(pass_flops(model, activations.prompts))
    with ledger.stage("test"):
        return verify(activations, Ablator(model, activations, ledger), keep, seed)


def test_the_interval_is_that_of_drawings_done_one_by_one(toy_model, prepared, found):
    seen = found.verification
    ledger = Ledger(pass_flops(toy_model, prepared.prompts))
    with ledger.stage("test"):
        fresh, _ = fresh_activations(prepared, SETTINGS.report_seed, ledger)
        keep = mask_of(found.circuit.heads, 2, 12)
        circuit = Ablator(toy_model, fresh, ledger).by_pair(keep).double().tolist()
    clean, corrupted = (fresh.by_pair(f"{end}_metric").double().tolist() for end in ("clean", "corrupted"))
    drawn = torch.randint(6, (DRAWS, 6), generator=torch.Generator().manual_seed(SETTINGS.report_seed)).tolist()
    ratios = sorted(
        (sum(circuit[i] for i in draw) - sum(corrupted[i] for i in draw))
        / (sum(clean[i] for i in draw) - sum(corrupted[i] for i in draw))
        for draw in drawn
    )
    assert (seen.interval.n, seen.interval.draws) == (6, DRAWS)
    assert ratios[24] <= seen.interval.low <= ratios[25]  # 2.5 % of 999 steps lies between these two
    assert ratios[974] - 1e-9 <= seen.interval.high <= ratios[975] + 1e-9
    assert seen.interval.low < seen.faithfulness < seen.interval.high
    assert seen.interval.value == pytest.approx(seen.faithfulness, abs=1e-6)


def test_a_run_and_an_evaluation_of_its_circuit_tell_the_same_interval(prepared, found):
    whole = evaluate(prepared, found.circuit, SETTINGS.report_seed, Watcher(), Plan(random_circuits=0))
    ours, theirs = found.verification.interval, whole.main[0].faithfulness
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-6)


def test_one_pair_has_no_interval(toy_model):
    one = prepare(toy_model, Settings(model="toy-induction", task="induction-random", pairs=1), Watcher())
    seen = verified(toy_model, one.activations, torch.ones(2, 12, dtype=torch.bool), seed=0)
    assert math.isnan(seen.interval.low) and seen.interval.note == "one pair has no interval"
