"""Verification: how true a circuit is, for our own circuits and for anyone's."""

from __future__ import annotations

from pages.shared import frame, self_tests, state
from pages.verification import (
    agreement_section,
    alone_section,
    chance_section,
    edges_section,
    needed_section,
    receipt_section,
    size_section,
    stability_section,
    subject,
)

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
    found = alone_section.show(prepared, settings, chosen, view)
    if found is not None:
        needed_section.show(found)
        chance_section.show(found)
        size_section.show(found)
    edges_section.show(prepared, settings, chosen, view)
    for section in (agreement_section, stability_section, receipt_section):
        section.show(prepared, settings, chosen.circuit, chosen.found)


show()
