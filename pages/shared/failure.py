"""What a person reads when the app itself is at fault: no traceback, no dead end. The log gets the details."""

from __future__ import annotations

import logging

import streamlit as st


def told(error: Exception) -> bool:
    """For ``st.App``: the page so far stays; True keeps Streamlit's own box away."""
    logging.getLogger("headlight.pages").error("A page failed", exc_info=error)
    st.error(
        f"This part of the page could not be drawn: something in the program went wrong ({type(error).__name__}), and "
        "the log has the details. Nothing is lost: finished work is kept, and the address holds your choices. "
        "Reload the page, or choose something else on the left.",
        icon=":material/error:",
    )
    return True
