"""Answer keys of one's own: brought as a file, pasted or typed, kept on this machine, deleted again."""

from __future__ import annotations

import re
from dataclasses import dataclass

import streamlit as st

from engine.errors import HeadlightError
from engine.prepare import Prepared
from engine.settings import Settings
from engine.trust import own_keys
from engine.trust.answer_key_file import EXAMPLE, MAX_BYTES, AnswerKey, check_key, key_of, read_key
from engine.trust.answer_keys import answer_keys
from pages.shared import look, state
from pages.shared.job_names import model_title, task_title
from pages.shared.view import KEYS

SAID = "headlight_own_key_said"
UPLOAD, TEXT, TITLE, SOURCE = "own_key_upload", "own_key_text", "own_key_title", "own_key_source"
SEPARATORS = re.compile(r"[\s,;]+")


@dataclass(frozen=True)
class Said:
    """How the last attempt ended."""

    text: str
    kept: bool


def show(prepared: Prepared, settings: Settings) -> None:
    """A place for a key, what was wrong with the last one, and the keys there are of this model and task."""
    said: Said | None = st.session_state.get(SAID)
    with st.expander("Add an answer key of your own", icon=":material/key:", key="own_keys", expanded=said is not None):
        look.note(
            f"Heads that you or a paper name for {model_title(settings.model)} and {task_title(settings.task)}. Kept "
            "on this machine, beside the published ones. Nothing in it is run."
        )
        left, right = st.columns(2, gap="large")
        with left:
            _typed(prepared, settings)
        with right:
            _file(prepared, settings)
        if said is not None:
            show_it = st.success if said.kept else st.error
            show_it(look.plain(said.text), icon=":material/check_circle:" if said.kept else ":material/error:")
        _kept(settings)


def _typed(prepared: Prepared, settings: Settings) -> None:
    st.text_area("Heads, or a whole key as JSON", key=TEXT, placeholder="9.9 10.0 9.6, 5.5", height=98)
    with st.container(horizontal=True):
        st.text_input("Title", key=TITLE, max_chars=80, placeholder="what to call it")
        st.text_input("Source", key=SOURCE, max_chars=200, placeholder="where it is from")
    st.button(
        "Keep this key", key="own_key_keep", icon=":material/save:", on_click=lambda: _keep_typed(prepared, settings)
    )


def _file(prepared: Prepared, settings: Settings) -> None:
    st.file_uploader(
        f"A JSON file of at most {MAX_BYTES // 1_000_000} MB", key=UPLOAD, max_upload_size=MAX_BYTES // 1_000_000,
        on_change=lambda: _keep_upload(prepared, settings),
    )  # fmt: skip
    st.caption("It looks like this:")
    st.code(EXAMPLE, language="json", wrap_lines=True)


def _keep_typed(prepared: Prepared, settings: Settings) -> None:
    text = st.session_state[TEXT].strip()

    def read() -> AnswerKey:
        if text.startswith("{"):
            return read_key(text.encode())
        if not text:
            raise HeadlightError("Expected heads such as 9.9 10.0, got nothing. Type them into the field.")
        entry = {
            "model": settings.model, "task": settings.task, "title": st.session_state[TITLE].strip() or "my own key",
            "source": st.session_state[SOURCE].strip() or "typed in here",
            "heads": [name for name in SEPARATORS.split(text) if name],
        }  # fmt: skip
        return key_of(entry)

    _keep(prepared, settings, read)


def _keep_upload(prepared: Prepared, settings: Settings) -> None:
    upload = st.session_state[UPLOAD]
    if upload is None:
        st.session_state.pop(SAID, None)
        return
    _keep(prepared, settings, lambda: read_key(upload.getvalue()))


def _keep(prepared: Prepared, settings: Settings, read) -> None:
    """Read it, check it, keep it; what was wrong stands on the page."""
    try:
        key = read()
        here = (key.model, key.task) == (settings.model, settings.task)
        if key.model == settings.model:
            check_key(key, prepared.model.n_layers, prepared.model.n_heads)
        key = own_keys.keep(key)
    except HeadlightError as error:
        st.session_state[SAID] = Said(str(error), False)
        return
    words = f"Kept: {key.title}, {look.count(len(key.heads), 'head')}."
    if not here:
        st.session_state[SAID] = Said(f"{words} It is for {key.model} and {key.task}, and is shown there.", True)
        return
    st.session_state[SAID] = Said(words, True)
    names = [each.name for each in answer_keys(settings.model, settings.task)]
    at = names.index(key.name)
    if at < len(KEYS):
        state.change(reference=KEYS[at])


def _kept(settings: Settings) -> None:
    """Those of this model and task, to be deleted."""
    for key in answer_keys(settings.model, settings.task):
        if key.name:
            with st.container(horizontal=True, vertical_alignment="center", key=f"row_{key.name}"):
                st.button(
                    "Delete", key=f"forget_{key.name}", icon=":material/delete:", on_click=_forget, args=(key,),
                    help="From this machine. The file you brought stays where it is.",
                )  # fmt: skip
                look.note(f"{key.title} · {look.count(len(key.heads), 'head')} · {key.source}")


def _forget(key: AnswerKey) -> None:
    try:
        own_keys.forget(key.name)
    except HeadlightError as error:
        st.session_state[SAID] = Said(str(error), False)
        return
    st.session_state[SAID] = Said(f"Deleted: {key.title}.", True)
    state.change(reference="auto")
