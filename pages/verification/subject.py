"""What is verified: the circuit found here, an answer key of this model and task, or a circuit from a file."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from engine.circuit import Circuit
from engine.discovery import Discovery
from engine.errors import HeadlightError
from engine.interchange.reading import heads_alone
from engine.prepare import Prepared
from engine.settings import Settings
from engine.trust.answer_key_file import AnswerKey, check_key
from engine.trust.answer_keys import answer_keys
from pages.shared import brought, look, rooms, search_run, state
from pages.shared.brought import Imported
from pages.shared.view import ABLATIONS, View

RUN, FILE = "run", "file"
TITLES = {"mean": "Mean", "resample": "Resample", "zero": "Zero"}
FOUND_HERE = "The circuit found here"


@dataclass(frozen=True, eq=False)
class Subject:
    """``found`` is the run it is of, if one of this page's; ``seed`` that of prompts it was not found on."""

    circuit: Circuit
    found: Discovery | None
    seed: int


def choose(prepared: Prepared, settings: Settings, view: View) -> Subject | None:
    """What to verify, or None: then what there is to do about that has been drawn."""
    keys, file = answer_keys(settings.model, settings.task), brought.imported()
    titles = _titles(keys, file)
    chosen = view.subject if view.subject in titles else RUN
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="subject"):
        state.show("subject", chosen)
        st.selectbox("Verify", list(titles), format_func=titles.__getitem__, width=420, **state.bound("subject"))
        state.show("ablation", view.ablation)
        st.segmented_control(
            "Removed heads become", ABLATIONS, format_func=TITLES.__getitem__, required=True, **state.bound("ablation"),
            help="The mean over the corrupted prompts of the template, its value on the pair’s own one, or zero.",
        )  # fmt: skip
        with st.popover("A circuit from a file", icon=":material/upload_file:"):
            _bring(prepared, file)
    if chosen != view.subject:
        look.note(_not_there(view.subject))
    if chosen == FILE and file is not None:
        return _of_file(prepared, settings, file)
    if chosen != RUN:
        return _of_key(prepared, settings, keys[int(chosen.removeprefix("key")) - 1])
    return _of_run(settings, bool(keys))


def _titles(keys: tuple[AnswerKey, ...], file: Imported | None) -> dict[str, str]:
    titles = {RUN: FOUND_HERE}
    titles |= {f"key{number}": f"Answer key: {key.title}" for number, key in enumerate(keys[:9], start=1)}
    return titles | ({FILE: f"File: {file.name}"} if file is not None else {})


def _not_there(subject: str) -> str:
    if subject == FILE:
        return "No file has been brought in this tab, so this is the circuit found here."
    number = subject.removeprefix("key")
    return f"This model and task have no answer key number {number}, so this is the circuit found here."


def _bring(prepared: Prepared, file: Imported | None) -> None:
    look.note(
        "A run or a circuit of Headlight, a graph of EAP-IG or MIB (JSON), GraphML, or networkx node-link JSON, yours "
        "or not. Nothing in it is run."
    )
    brought.uploader("verification_upload", prepared, lambda: state.change(subject=FILE))
    if file is not None:
        st.button("Remove the file’s circuit", key="remove_subject", icon=":material/delete:", on_click=_remove)


def _remove() -> None:
    brought.remove()
    state.change(subject=RUN)


def _of_run(settings: Settings, keys: bool) -> Subject | None:
    found = search_run.show(settings)
    if found is None:
        with st.container(horizontal=True, horizontal_alignment="center"):
            rooms.link("explorer", "Choose how to search on the Explorer")
        if keys:
            look.note("Or choose a published circuit above: it can be verified without a search.")
        return None
    if not found.complete:
        size = search_run.size_words(found.circuit)
        look.verdict("Its search was cancelled.", f"{size} had been found by then; judged is that part.", "wait")
    seed = found.verification.seed if found.verification is not None else found.settings.seed + 1
    return Subject(found.circuit, found, seed)


def _of_key(prepared: Prepared, settings: Settings, key: AnswerKey) -> Subject | None:
    model = prepared.model
    try:
        check_key(key, model.n_layers, model.n_heads)
    except HeadlightError as error:
        st.error(look.plain(str(error)), icon=":material/error:")
        return None
    look.verdict(f"{key.title}:", f"{look.count(len(key.heads), 'head')}, no edges. Source: {key.source}")
    return Subject(Circuit(key.heads, (), model.n_layers, model.n_heads), None, settings.seed + 1)


def _of_file(prepared: Prepared, settings: Settings, brought_file: Imported) -> Subject | None:
    file = heads_alone(brought_file.file)  # every measure here has all MLPs live
    problem = brought.misfit(prepared, file)
    look.verdict(
        f"{brought_file.name}:",
        f"{search_run.size_words(file.circuit)}, {brought.source(file)} {problem or ''}",
        "yes" if problem is None else "wait",
    )
    if not brought.has_heads(prepared, file.circuit):
        look.empty("It cannot be verified here", "Choose the model it was found in, on the left.")
        return None
    return Subject(file.circuit, None, brought.fresh_seed(settings.seed, file))
