"""Verification: how true a circuit is, for our own circuits and for anyone's."""

from __future__ import annotations

from engine.prepare import Prepared
from engine.settings import Settings
from pages.shared import frame, look, self_tests, state
from pages.shared.view import View
from pages.verification import (
    agreement_section,
    alone_section,
    chance_section,
    edges_section,
    kept_before,
    needed_section,
    receipt_section,
    size_section,
    stability_section,
    subject,
)
from pages.verification.subject import Subject

LEAD = "A drawing of a circuit convinces whether it is true or not. Here it has to prove itself, on fresh prompts."


def show() -> None:
    view = state.current()
    settings = view.settings()
    frame.opening("Verification", LEAD)
    prepared = frame.ready(settings)
    if prepared is None:
        return
    chosen = subject.choose(prepared, settings, view)
    if chosen is None:
        return
    if chosen.found is not None:
        self_tests.badge(chosen.found.self_tests)
        kept_before.show(chosen.found.settings)
    if chosen.circuit.mlps:
        look.empty(
            "This circuit has MLPs as nodes",
            "What stands here asks about heads with every MLP live. Search again without MLPs as nodes to verify it.",
        )
    else:
        _evaluated(prepared, settings, chosen, view)
    for section in (agreement_section, stability_section, receipt_section):
        section.show(prepared, settings, chosen.circuit, chosen.found)


def _evaluated(prepared: Prepared, settings: Settings, chosen: Subject, view: View) -> None:
    found = alone_section.show(prepared, settings, chosen, view)
    if found is not None:
        needed_section.show(found)
        chance_section.show(found)
        size_section.show(found)
    edges_section.show(prepared, settings, chosen, view)


show()
