"""How often a run's circuit was found again, as far as anybody has asked: the graph's opacity, and what is left out."""

from __future__ import annotations

from dataclasses import replace

from engine.circuit import Circuit
from engine.settings import Settings
from engine.trust.draws import Plan
from engine.trust.frequency import CircuitFrequency
from engine.trust.overlap import name_of
from engine.trust.stability import Stability, frequency_of
from pages.shared import verification_jobs
from pages.shared.view import View


def plan_of(view: View) -> Plan | None:
    """What the view asks for; None if that is nothing."""
    if not (view.resamples or view.seeds or view.templates):
        return None
    return Plan(view.resamples, view.seeds, view.templates)


def result(settings: Settings, view: View) -> Stability | None:
    """That of the view's plan, else the one last looked at of the same run; partial after a cancel."""
    plan = plan_of(view)
    own = None if plan is None else verification_jobs.stability_job(settings, plan)
    jobs = [*([own] if own is not None else []), *verification_jobs.stability_jobs(settings)]
    return next((found for job in jobs if (found := job.snapshot().result) is not None), None)


def frequency(circuit: Circuit, settings: Settings, view: View) -> CircuitFrequency | None:
    """Of each head and edge of the run's circuit; None if nobody asked, or one run alone can tell nothing."""
    found = result(settings, view)
    return None if found is None or not found.overall.judged else frequency_of(circuit, found)


def present_part(circuit: Circuit, found: CircuitFrequency | None, view: View) -> Circuit:
    """Heads and edges that enough of the runs found; heads pinned stay."""
    if found is None or view.present <= 0:
        return circuit
    least = view.present - 1e-9
    heads = {head for head in circuit.heads if found.heads[head] >= least or str(head) in view.pins}
    edges = (edge for edge in circuit.edges if found.edges[name_of(edge)] >= least)
    return replace(
        circuit,
        heads=tuple(head for head in circuit.heads if head in heads),
        edges=tuple(edge for edge in edges if edge.sender in heads and (edge.receiver in heads or not edge.receiver)),
    )
