"""Verification: how true a circuit is, for our own circuits and for anyone's."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from engine.prepare import Prepared
from engine.settings import Settings
from pages.shared import frame, look, self_tests, state
from pages.shared.view import View
from pages.verification import alone_section, chance_section, edges_section, needed_section, size_section, subject
from pages.verification.subject import Subject

LEAD = "A drawing of a circuit convinces whether it is true or not. Here it has to prove itself, on fresh prompts."

# Each has show(prepared, settings, circuit, found).
LATER = ("agreement_section", "stability_section", "receipt_section")


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
    if chosen.circuit.mlps:
        look.empty(
            "This circuit has MLPs as nodes",
            "What stands here asks about heads with every MLP live. Search again without MLPs as nodes to verify it.",
        )
    else:
        _evaluated(prepared, settings, chosen, view)
    for name in LATER:
        if find_spec(f"pages.verification.{name}") is not None:
            import_module(f"pages.verification.{name}").show(prepared, settings, chosen.circuit, chosen.found)


def _evaluated(prepared: Prepared, settings: Settings, chosen: Subject, view: View) -> None:
    found = alone_section.show(prepared, settings, chosen, view)
    if found is not None:
        needed_section.show(found)
        chance_section.show(found)
        size_section.show(found)
    edges_section.show(prepared, settings, chosen, view)


show()
