"""Stability: the circuit found again on other prompts, and how often each of its heads and edges came back."""

from __future__ import annotations

import statistics

import streamlit as st

from engine.circuit import Circuit
from engine.cost.duration import duration
from engine.cost.stability_estimate import stability_seconds
from engine.discovery import Discovery
from engine.errors import HeadlightError
from engine.jobs.job import Job
from engine.prepare import Prepared
from engine.settings import Settings
from engine.trust.draws import Plan
from engine.trust.frequency import frequency_in
from engine.trust.stability import Stability
from pages.shared import found_again, job_panel, look, rooms, search_run, state, verification_jobs
from pages.shared.glossary import term
from pages.shared.view import MOST_DRAWS, View
from pages.verification import stability_charts

LEAD = (
    "Is this circuit the model’s, or the draw’s of a few prompts? The same search runs again: on "
    f"{term('resample', 'resamples')} of its prompts, on prompts of other seeds, and without each template."
)
STEADY, COMMON = 0.9, 0.75


def show(prepared: Prepared, settings: Settings, circuit: Circuit, found: Discovery | None) -> None:
    view, asked = state.current(), settings if found is None else found.settings
    look.step(None, "Would it be found again?", LEAD)
    if asked.mlps:
        look.empty("Only for circuits of heads", "Search without MLPs as nodes to see how often it is found again.")
        return
    if found is None:
        look.note(
            f"This circuit has no search of its own, so the search is {search_run.describe(asked)}: how often does it "
            "find these heads?"
        )
    _choices(prepared, view)
    plan = found_again.plan_of(view)
    if plan is None:
        look.empty("Nothing to change", "Ask for resamples, other seeds or left-out templates.")
        return
    job = verification_jobs.stability_job(asked, plan)
    if job is not None and job.live:
        job_panel.watch(job, "stability", "Finding the circuit again")
        return
    done = _ended(prepared, asked, plan, found, job)
    if done is None:
        done = found_again.result(asked, view)
        if done is not None:
            look.note(f"Below: what was asked before, {_plan_words(done.plan)}.")
    if done is not None:
        _draw(prepared, circuit, found, done, view)


def _choices(prepared: Prepared, view: View) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="stability_choices"):
        state.show("resamples", view.resamples)
        st.number_input(
            "Resamples", 0, MOST_DRAWS, step=1, width=130, **state.bound("resamples", read=int),
            help="As many pairs as there are, drawn with replacement within each template.",
        )  # fmt: skip
        state.show("seeds", 0 if prepared.custom else view.seeds)
        st.number_input(
            "Other seeds", 0, MOST_DRAWS, step=1, width=130, disabled=prepared.custom,
            help="An own task has no other prompts." if prepared.custom else "Fresh prompts, templates too.",
            **state.bound("seeds", read=int),
        )  # fmt: skip
        state.show("templates", view.templates)
        st.toggle("Leave out each template once", **state.bound("templates"))


def _ended(
    prepared: Prepared, asked: Settings, plan: Plan, found: Discovery | None, job: Job | None
) -> Stability | None:
    """What the job of this plan left, if anything; the offer to start it, or what went wrong, is drawn."""
    if job is None:
        _offer(prepared, asked, plan, found)
        return None
    shot = job.snapshot()
    if shot.result is None or not shot.result.complete:
        job_panel.problem(shot, "stability", lambda: verification_jobs.start_stability(asked, plan))
    return shot.result


def _offer(prepared: Prepared, asked: Settings, plan: Plan, found: Discovery | None) -> None:
    try:
        runs, seconds = stability_seconds(prepared, asked, plan, found)
    except HeadlightError as error:
        look.empty("Nothing to change", str(error))
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.button(
            "Find it again", key="start_stability", type="primary", icon=":material/autorenew:",
            on_click=lambda: verification_jobs.start_stability(asked, plan) and None,
        )  # fmt: skip
        by = "by what the search itself took" if found is not None and found.complete else "estimate"
        look.note(f"{look.count(runs, 'run')} of the whole search, about {duration(max(1.0, seconds))} ({by}).")


def _plan_words(plan: Plan) -> str:
    parts = [look.count(plan.resamples, "resample")] * bool(plan.resamples)
    parts += [look.count(plan.seeds, "other seed")] * bool(plan.seeds)
    return ", ".join([*parts, *["each template left out"] * plan.templates])


def _draw(prepared: Prepared, circuit: Circuit, found: Discovery | None, done: Stability, view: View) -> None:
    if not done.complete:
        look.verdict("Cancelled.", f"{look.count(len(done.refinds), 'run')} had ended by then and count.", "wait")
    look.verdict(*_verdict(circuit, done))
    look.facts(_facts(circuit, done))
    for note in done.notes:
        look.note(note)
    if done.failed:
        first, missing = done.failed[0], f"{len(done.failed)} of {len(done.refinds)} runs could not be done."
        look.verdict(missing, f"{first.draw.label}: {first.problem}", "wait")
    if found is not None and done.overall.judged:
        with st.container(horizontal=True, key="stability_on_graph"):
            rooms.link("circuit", "Show it on the graph: the fainter, the rarer", present=0.0)
            rooms.link("circuit", "Only what half of the runs found", present=0.5)
    stability_charts.show(prepared, circuit, done, view)


def _verdict(circuit: Circuit, done: Stability) -> tuple[str, str, str]:
    """Headline, text and kind."""
    overall = done.overall
    if not overall.judged:
        return "This cannot be told.", "One run alone says nothing about how often. Ask for more.", "wait"
    if not circuit.heads:
        return "Nothing to find again.", "The circuit has no heads.", "wait"
    mine = frequency_in(circuit, overall).heads
    steady = sum(value >= STEADY for value in mine.values())
    often = f"at least {100 * STEADY:.0f} % of {overall.n} runs"
    words = f"{steady} of its {look.count(len(mine), 'head')} came back in {often}."
    if steady == len(mine):
        return "Stable.", words, "yes"
    kind = "yes" if steady >= COMMON * len(mine) else "wait"
    return ("Mostly stable." if kind == "yes" else "Not stable."), f"{words} The others depend on the prompts.", kind


def _facts(circuit: Circuit, done: Stability) -> list[look.Fact]:
    overall = done.overall
    flips = overall.coin_flips
    values = [each.faithfulness for each in done.refinds if each.faithfulness == each.faithfulness]
    extra = [head for head in overall.present(COMMON) if head not in circuit.heads] if overall.judged else []
    sizes = overall.sizes
    facts = [
        look.Fact("Runs", f"{overall.n}", "", _plan_words(done.plan)),
        look.Fact(
            "Size found", f"{statistics.median(sizes):g}", "heads",
            f"median; {min(sizes)} to {max(sizes)}. This circuit has {len(circuit.heads)}",
        ),
        look.Fact("Coin flips", f"{len(flips)}", "heads", "found in a quarter to three quarters of the runs"),
        look.Fact("Missed here", f"{len(extra)}", "heads", f"in {100 * COMMON:.0f} % of the runs, not in this circuit"),
    ]  # fmt: skip
    if values:
        pairs = f"{look.count(done.n, 'fresh pair' if done.fresh else 'pair')}, seed {done.report_seed}"
        facts.append(
            look.Fact(
                "Faithfulness", look.number(statistics.median(values), 2), "",
                f"median; {look.number(min(values), 2)} to {look.number(max(values), 2)}. n = {pairs}, "
                f"{done.ablation.value} ablation",
            )
        )  # fmt: skip
    return facts
