"""Whether two runs found the very same: part by part, to the last digit, and by which versions they were made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from engine.jobs.job import Job
from engine.record.json_values import dumps
from pages.compare.choice import Pair
from pages.shared import glances, look
from pages.shared.background import look_at

if TYPE_CHECKING:
    from engine.capsule.difference import Difference

LEAD = "Times apart, is what they found the same to the last digit? That is what a run made again should give."
HEIGHT = 90  # pixels
UNKNOWN = "not known"


def show(pair: Pair) -> None:
    look.step(None, "Digit by digit", LEAD)
    if pair.left is pair.right:
        look.note("Both sides show the same run.")
        return
    if pair.left.record is None or pair.right.record is None:
        look.note("One of the runs is in memory alone, so there is no record of it to compare.")
        return
    found: Difference | None = glances.of_job(_compared(pair), "Comparing every number", HEIGHT)
    if found is None:
        return
    _verdict(found)
    _weights_and_versions(found)
    _downloads(found, pair)


def _compared(pair: Pair) -> Job:
    key = ("difference", *((run.id, run.started) for run in (pair.left, pair.right)))
    return look_at(key, lambda watcher: _difference(pair))


def _difference(pair: Pair) -> Difference:
    from engine.capsule.difference import difference
    from engine.capsule.reading import capsule_of

    assert pair.left.record is not None and pair.right.record is not None
    return difference(capsule_of(pair.left.record()), capsule_of(pair.right.record()))


def _verdict(found: Difference) -> None:
    if found.bitwise:
        look.verdict("The same.", "Both runs found the same, to the last digit.")
        return
    other = [name.replace("_", " ") for name, same in found.same.items() if not same]
    same = [name.replace("_", " ") for name, same in found.same.items() if same]
    words = f"They differ in {', '.join(other)}" + (f"; {', '.join(same)} are the same." if same else ".")
    apart = found.largest_effect_of_edges
    if apart == apart:
        words += f" Effects of edges both have are apart by at most {apart:.2g} of clean − corrupted."
    look.verdict("Not the same.", words, "wait")


def _weights_and_versions(found: Difference) -> None:
    left, right = (each or UNKNOWN for each in found.fingerprints)
    words = f"Same weights, fingerprint {left}."
    if left != right:
        words = f"Other weights: fingerprints {left} and {right}."
    told = [f"{name} {one or UNKNOWN} and {other or UNKNOWN}" for name, one, other in found.versions]
    look.note(f"{words} {'Versions differ: ' + '; '.join(told) + '.' if told else 'Made with the same versions.'}")


def _downloads(found: Difference, pair: Pair) -> None:
    from engine.capsule.difference import difference_json
    from engine.capsule.text import difference_text

    with st.container(horizontal=True):
        look.download(
            "Difference as text", lambda: difference_text(found, pair.left.name, pair.right.name), "difference.txt",
            "text/plain",
        )  # fmt: skip
        as_json = "difference.json", "application/json"
        look.download("Difference as JSON", lambda: dumps(difference_json(found)), *as_json)
