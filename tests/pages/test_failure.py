"""A bug in a page is told without a traceback, and logged with one."""

from __future__ import annotations

import logging

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import PATIENCE


def test_a_bug_is_told_in_words_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def page() -> None:
        import streamlit as st

        from pages.shared.failure import told

        try:
            raise KeyError("secret detail")
        except KeyError as error:
            st.session_state["told"] = told(error)

    with caplog.at_level(logging.ERROR):
        app = AppTest.from_function(page, default_timeout=PATIENCE).run()
    assert app.session_state["told"] is True
    [message] = [error.value for error in app.error]
    assert "KeyError" in message and "Nothing is lost" in message
    assert "secret detail" not in message and "Traceback" not in message
    assert "secret detail" in caplog.text
