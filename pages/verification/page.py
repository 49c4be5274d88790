"""Verification: how true a circuit is, for our own circuits and for anyone's."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from pages.shared import frame, state
from pages.verification import subject

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
    for name in LATER:
        if find_spec(f"pages.verification.{name}") is not None:
            import_module(f"pages.verification.{name}").show(prepared, settings, chosen.circuit, chosen.found)


show()
