"""A run's self-tests as a small badge: whether all passed, and their numbers when it is opened."""

from __future__ import annotations

from html import escape

import streamlit as st

from engine.trust.self_tests import SelfTest, SelfTests
from pages.shared import look

LEAD = (
    "What must hold whatever the circuit is, checked on this run’s own numbers. A deviation is in units of clean − "
    "corrupted, or a share of the largest value."
)


def badge(tests: SelfTests | None) -> None:
    """Nothing where a run was stopped before its self-tests."""
    if tests is None:
        return
    with st.container(key="self_tests"), st.popover(title(tests), icon=_icon(tests), type="tertiary"):
        look.note(f"{LEAD} n = {look.count(tests.pairs, 'pair')}.")
        st.html(_table(tests))
        if tests.skipped:
            look.note(f"Not possible on this model: {', '.join(tests.skipped)}.")


def title(tests: SelfTests) -> str:
    if tests.passed:
        return f"{look.count(len(tests.tests), 'self-test')} passed"
    failed = tests.failed
    return f":red[{len(failed)} of {look.count(len(tests.tests), 'self-test')} failed: {_names(failed)}]"


def _names(tests: tuple[SelfTest, ...]) -> str:
    return ", ".join(test.name for test in tests)


def _icon(tests: SelfTests) -> str:
    return ":material/verified:" if tests.passed else ":material/error:"


def _table(tests: SelfTests) -> str:
    rows = "".join(_row(test) for test in tests.tests)
    head = '<tr><th scope="col">Test</th><th scope="col">off by</th><th scope="col">allowed</th></tr>'
    return f'<table class="hl-table hl-tests"><thead>{head}</thead><tbody>{rows}</tbody></table>'


def _row(test: SelfTest) -> str:
    mark = "✓" if test.passed else "✗"
    return (
        f'<tr><th scope="row">{mark} {escape(test.name)}<small>{escape(test.meaning)}</small></th>'
        f"<td>{_deviation(test.value)}</td><td>{test.tolerance:.0e}</td></tr>"
    )


def _deviation(value: float) -> str:
    return "0" if value == 0 else f"{value:.0e}"
