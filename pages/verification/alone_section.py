"""Does the circuit do the task alone? Everything else is replaced, on prompts it was not found on."""

from __future__ import annotations

import streamlit as st

from engine.cost.evaluation_estimate import evaluation_seconds
from engine.evaluation.bootstrap import Interval
from engine.evaluation.evaluate import Evaluation
from engine.evaluation.plan import Plan
from engine.evaluation.table import evaluation_rows
from engine.figures.export import rows_csv
from engine.prepare import Prepared
from engine.record.evaluation_file import evaluation_json
from engine.record.json_values import dumps
from engine.settings import Settings
from pages.shared import background, look, verification_jobs
from pages.shared.glossary import term
from pages.shared.view import View
from pages.verification import numbers, starting
from pages.verification.subject import Subject

LEAD = (
    f"Only its heads run; what all others hand on is replaced. {term('faithfulness', 'Faithfulness')} says how much of "
    f"what corruption takes away is kept, {term('performance')} compares with the whole model, KL with all it predicts."
)
YES, NO = 0.75, 0.25  # of faithfulness, with the whole interval


def show(prepared: Prepared, settings: Settings, subject: Subject, view: View) -> Evaluation | None:
    """The evaluation, once there is one."""
    look.step(None, "Does the circuit do the task alone?", LEAD)
    circuit, seed, plan = subject.circuit, subject.seed, Plan(numbers.ablation_of(view))
    found = starting.result(
        "evaluate", "Running the circuit alone, without each head, and beside random ones", "Evaluate the circuit",
        verification_jobs.evaluation_job(settings, circuit, seed, plan),
        lambda: verification_jobs.start_evaluation(settings, circuit, seed, plan),
        (background.data_of(settings), circuit, seed, plan), lambda: evaluation_seconds(prepared, circuit, seed, plan),
    )  # fmt: skip
    if not isinstance(found, Evaluation):
        return None
    _draw(found)
    return found


def _draw(found: Evaluation) -> None:
    for note in found.notes:
        look.verdict("", note, "wait")
    faithfulness, performance = found.main
    if not found.empty:
        headline, kind = judged(faithfulness.faithfulness)
        look.verdict(headline, _sentence(faithfulness.faithfulness), kind)
    look.facts(
        [
            numbers.fact("Faithfulness", faithfulness.faithfulness, 2),
            numbers.fact("Performance", performance.performance, 0, "%"),
            numbers.fact("Accuracy", found.accuracy.circuit, 0, "%", f"model {_percent(found.accuracy.model)}", 100),
            numbers.fact(
                "KL from the model", found.kl, 2 if found.kl.value > 0.1 else 4, "nats", "0 is the same prediction"
            ),
            numbers.fact(
                "Probability difference", found.probability_difference.circuit, 2, "",
                f"model {numbers.value(found.probability_difference.model, 2)}",
            ),
            *_gap(found),
        ]
    )  # fmt: skip
    look.note(
        f"{numbers.measured_on(found)} Intervals are the middle 95 % of {found.plan.draws:,} drawings of the pairs: "
        "they speak for other pairs of these templates."
    )
    st.html(_kinds(found))
    _twin(found)


def judged(found: Interval) -> tuple[str, str]:
    """A word, and the kind of verdict it is; by the whole interval, not the value alone."""
    if not found.defined:
        return "This cannot be told.", "wait"
    if not found.known:
        return "How sure this is cannot be told.", "wait"
    low, high = found.low, found.high
    if low >= YES:
        return "Yes.", "yes"
    return ("No.", "no") if high < NO else ("In part.", "wait")


def _sentence(found: Interval) -> str:
    if not found.defined:
        return "There is nothing that corruption takes away, so no share of it can be kept."
    within = f" (95 %: {numbers.span(found, 0, 100)} %)" if found.known else ""
    return f"Its heads alone keep {numbers.value(found, 0, 100)} % of the metric that corruption takes away{within}."


def _percent(found: Interval) -> str:
    return f"{numbers.value(found, 0, 100)} %"


def _gap(found: Evaluation) -> list[look.Fact]:
    """What it owes to the prompts it was found on."""
    held = found.held_out
    if held is None:
        return []
    note = f"faithfulness on seed {held.selection_seed} minus that on seed {held.fresh_seed}"
    return [numbers.fact("Owed to its own prompts", held.gap, 2, "", note, signed=True)]


def _kinds(found: Evaluation) -> str:
    """Faithfulness and performance under each way to replace a head."""
    rows = "".join(
        f'<tr class="{"total" if one.ablation is found.plan.ablation else ""}">'
        f'<th scope="row">{numbers.REPLACED_BY[one.ablation]}</th>'
        f"<td>{numbers.value(one.faithfulness, 2)}</td><td>{_within(one.faithfulness, 2)}</td>"
        f"<td>{numbers.value(two.performance, 0)} %</td><td>{_within(two.performance, 0)}</td></tr>"
        for one, two in zip(found.faithfulness, found.performance, strict=True)
    )
    names = ("Removed heads become", "faithfulness", "95 %", "performance", "95 %")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return (
        f'<div class="hl-wide"><table class="hl-table hl-kinds"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _within(found: Interval, digits: int) -> str:
    return numbers.span(found, digits) if found.known else "–"


def _twin(found: Evaluation) -> None:
    with st.expander("All numbers as a table, and downloads", key="twin_evaluation"):
        rows = evaluation_rows(found)
        st.dataframe(rows, hide_index=True, height=320)
        with st.container(horizontal=True):
            look.download("Numbers as CSV", lambda: rows_csv(rows), "evaluation.csv", "text/csv")
            look.download(
                "Evaluation as JSON", lambda: dumps(evaluation_json(found)), "evaluation.json", "application/json"
            )
