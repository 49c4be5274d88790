"""Edges alone: is it true that these heads talk to each other in this way?"""

from __future__ import annotations

from engine.edges.evaluation import EdgeEvaluation, Gap, edges_seconds
from engine.prepare import Prepared
from engine.settings import Settings
from pages.shared import background, look, verification_jobs
from pages.shared.view import View
from pages.verification import numbers, starting
from pages.verification.needed_section import contributions
from pages.verification.subject import Subject

LEAD = (
    "So far heads were kept whole, so that each could hear all others. Now only the circuit’s edges live: every query, "
    "key and value hears the senders that the circuit names, and a replacement in place of all others."
)


def show(prepared: Prepared, settings: Settings, subject: Subject, view: View) -> None:
    look.step(None, "Are its edges true, or only its heads?", LEAD)
    circuit, seed, ablation = subject.circuit, subject.seed, numbers.ablation_of(view)
    if not circuit.edges:
        look.empty("No edges to verify", "This circuit names heads alone. A search finds edges as well.")
        return
    found = starting.result(
        "edges", "Running the circuit’s edges alone, and without each", "Verify the edges",
        verification_jobs.edges_job(settings, circuit, seed, ablation),
        lambda: verification_jobs.start_edges(settings, circuit, seed, ablation),
        (background.data_of(settings), circuit), lambda: edges_seconds(prepared, circuit),
    )  # fmt: skip
    if isinstance(found, EdgeEvaluation):
        _draw(found)


def _draw(found: EdgeEvaluation) -> None:
    look.verdict(*_verdict(found))
    checked = found.verification
    look.facts(
        [
            numbers.fact("Edges alone", found.edges.faithfulness, 2, "", "faithfulness"),
            numbers.fact("Heads alone", found.heads.faithfulness, 2, "", "faithfulness, every edge among them live"),
            numbers.fact("Edges − heads", found.difference, 2, "", "drawn together", signed=True),
            numbers.fact("Performance of the edges", found.edges_performance.performance, 0, "%"),
            look.Fact(
                "Edges", f"{checked.edges}", "", f"from {look.count(checked.heads, 'head')}"
                + (f"; {checked.distinct} where a KV group counts once" if checked.distinct < checked.edges else ""),
            ),
        ]
    )  # fmt: skip
    contributions(found.minimality, "edges", "edge", (found.circuit, found.seed, found.edges.ablation))
    look.note(numbers.where(found.n, found.seed, found.fresh, found.edges.ablation))


def _verdict(found: EdgeEvaluation) -> tuple[str, str, str]:
    """Headline, text and kind."""
    if found.standing is Gap.UNKNOWN:
        return "This cannot be told.", found.words, "wait"
    headline = {
        Gap.NONE: "Edges and heads agree.", Gap.MISSING: "Edges are missing.", Gap.AGAINST: "The edges alone do more.",
    }[found.standing]  # fmt: skip
    return headline, found.words, "yes" if found.standing is Gap.NONE else "wait"
