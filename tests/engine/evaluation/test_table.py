"""The table of an evaluation says what each number was measured under."""

from engine.ablation import Ablation
from engine.circuit import Circuit
from engine.evaluation.evaluate import evaluate
from engine.evaluation.plan import Plan
from engine.evaluation.table import evaluation_rows
from engine.heads import Head
from engine.prepare import prepare
from engine.progress import Watcher
from engine.settings import Settings


def test_every_number_has_its_ablation_unit_and_pairs(toy_model):
    settings = Settings(model="toy-induction", task="induction-random", pairs=4, seed=0)
    prepared = prepare(toy_model, settings, Watcher())
    circuit = Circuit((Head(0, 1), Head(1, 2)), (), 2, 12)
    found = evaluate(prepared, circuit, 1, Watcher(), Plan(Ablation.ZERO, draws=20, random_circuits=0))
    rows = evaluation_rows(found)
    by_kind = {
        row["ablation"]: row["value"] for row in rows if (row["number"], row["of"]) == ("faithfulness", "circuit")
    }
    assert by_kind == {each.ablation.value: round(each.faithfulness.value, 6) for each in found.faithfulness}
    assert {row["pairs"] for row in rows} == {4} and len({(r["number"], r["of"], r["ablation"]) for r in rows}) == len(
        rows
    )
    (gap,) = (row for row in rows if row["of"] == "found on − fresh")
    assert (gap["ablation"], gap["value"]) == ("zero", round(found.held_out.gap.value, 6))
    (model,) = (row for row in rows if (row["number"], row["of"]) == ("accuracy", "whole model"))
    assert (model["value"], model["ablation"], model["unit"], model["note"]) == (1.0, None, "share of pairs", None)
    assert {"CPR", "CMD", "KL divergence", "performance", "probability difference"} <= {row["number"] for row in rows}
