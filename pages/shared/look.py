"""The visual language in a few pieces: masthead, numbered steps, facts, verdicts, empty states.

Everything here ends in ``st.html``: text that is not ours is escaped by these functions.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path

import streamlit as st

from pages.shared.files_made import held

STYLES = Path(__file__).with_name("look.css")
MARK = Path(__file__).with_name("mark.svg")  # a file: Streamlit would fetch an icon by name from the internet
MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>$:])")
PURPOSE = (
    "Find the attention heads that make a language model do a task, and see who passes what to whom. "
    "Everything runs on this machine."
)


@dataclass(frozen=True)
class Fact:
    """A number with its unit, what it is, and what it was measured on."""

    label: str
    value: str
    unit: str = ""
    note: str = ""


def masthead() -> None:
    """The styles, the name, and in one sentence what this is for."""
    st.html(STYLES)
    st.html(f'<header class="hl-mast"><div><h1>Headlight</h1><p>{PURPOSE}</p></div></header>')


@contextmanager
def opening() -> Iterator[None]:
    """The shape of the page while the first visit after a start waits for the engine's imports."""
    if "torch" in sys.modules:
        yield
        return
    beside, below = st.sidebar.empty(), st.empty()
    beside.skeleton(height=320)
    below.skeleton(height=420)
    yield
    beside.empty()
    below.empty()


def title(text: str, lead: str) -> None:
    """The heading of a page; ``lead`` is our own HTML."""
    st.html(f'<div class="hl-title"><h2>{escape(text)}</h2><p>{lead}</p></div>')


def step(number: int | None, title: str, lead: str) -> None:
    """The heading of one section, numbered where sections are steps; ``lead`` is our own HTML."""
    before = f"<i>{number}</i>" if number is not None else ""
    st.html(f'<div class="hl-step{"" if before else " plain"}">{before}<h2>{escape(title)}</h2><p>{lead}</p></div>')


def facts(items: Sequence[Fact]) -> None:
    cells = "".join(
        f'<div class="hl-fact"><span>{escape(item.label)}</span><b>{escape(item.value)}'
        f"<small>{escape(item.unit)}</small></b><em>{escape(item.note)}</em></div>"
        for item in items
    )
    st.html(f'<div class="hl-facts">{cells}</div>')


def verdict(headline: str, text: str, kind: str = "yes") -> None:
    """A sentence that decides something; ``kind`` is yes, no or wait."""
    st.html(f'<div class="hl-verdict {kind}"><div><b>{escape(headline)}</b> {escape(text)}</div></div>')


def note(text: str) -> None:
    st.html(f'<p class="hl-note">{escape(text)}</p>')


def lead(html: str) -> None:
    """A note with terms in it; ``html`` is our own, with what is quoted escaped."""
    st.html(f'<p class="hl-note">{html}</p>')


def empty(headline: str, text: str) -> None:
    st.html(f'<div class="hl-empty"><b>{escape(headline)}</b>{escape(text)}</div>')


def plain(text: str) -> str:
    """Text for places that read Markdown, to be shown as it is: messages quote what stands in links and fields."""
    return MARKDOWN.sub(r"\\\1", text)


def number(value: float, digits: int) -> str:
    """``1.50`` or ``−0.25``, with a real minus sign."""
    return f"{value:.{digits}f}".replace("-", "−")


def signed(value: float, digits: int) -> str:
    """``+1.50`` or ``−0.25``, with a real minus sign."""
    return f"{value:+.{digits}f}".replace("-", "−")


def count(number: int, noun: str) -> str:
    """``1 head``, ``3 heads``."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def download(label: str, make: Callable[[], str | bytes], file_name: str, mime: str) -> None:
    """A button for a file that is made only when it is asked for."""
    st.download_button(
        label, held(make, file_name, mime), file_name, mime, icon=":material/download:", on_click="ignore"
    )  # fmt: skip
