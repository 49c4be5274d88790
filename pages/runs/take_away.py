"""A run as files: a capsule, a script or a notebook that makes it again, JSON."""

from __future__ import annotations

import streamlit as st

from engine.record.json_values import dumps
from pages.runs import reading
from pages.runs.reading import Opened
from pages.shared import look

WORDS = (
    "A capsule is the whole run in one small file: it opens here and on the command line without the model. The script "
    "and the notebook make the run again and compare."
)


def show(read: Opened, name: str, tags: tuple[str, ...]) -> None:
    stem = file_stem(name or f"{read.settings.model} {read.settings.task}")
    with st.container(horizontal=True, key="take_away"):
        look.download(
            "Capsule (.headlight)", lambda: reading.as_capsule(read, name, tags), f"{stem}.headlight",
            "application/octet-stream",
        )  # fmt: skip
        look.download("Get the script", lambda: _script(read), f"{stem}.py", "text/x-python")
        look.download("Get the notebook", lambda: _notebook(read), f"{stem}.ipynb", "application/x-ipynb+json")
        look.download("JSON", lambda: dumps(read.record), f"{stem}.json", "application/json")
    look.note(WORDS)


def file_stem(text: str) -> str:
    """Letters, digits and dashes alone: a name for a file on any system."""
    kept = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in text.lower())
    return "-".join(kept.split())[:80].strip("-") or "run"


def _script(read: Opened) -> str:
    from engine.capsule.script import script_of

    return script_of(read.record)


def _notebook(read: Opened) -> str:
    from engine.capsule.notebook import notebook_of

    return dumps(notebook_of(read.record))
