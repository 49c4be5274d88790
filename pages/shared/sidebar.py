"""What every page shares: which model, which task, which prompts."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from engine.models.registry import MODELS, find_card
from engine.tasks.task import TASKS
from pages.shared import background, glossary, introduction, look, rooms, state
from pages.shared.view import MAX_PAIRS, MAX_SEED, View


def show() -> None:
    """Read the view of this run and draw the sidebar for it."""
    view = state.load({"task": tuple(task.name for task in TASKS)})
    with st.sidebar:
        rooms.menu()
        _model(view)
        _task(view)
        left, right = st.columns(2)
        with left:
            _number("pairs", "Prompt pairs", 1, MAX_PAIRS, "Clean and corrupted prompts; more pairs, steadier numbers.")
        with right:
            _number("seed", "Seed", 0, MAX_SEED, "Another seed draws other prompts.")
        st.caption("The address of this page holds every choice: copy it to share what you see.")
        with st.container(gap=None, key="help"):
            glossary.all_terms()
            introduction.again_button()


def _model(view: View) -> None:
    names = [card.name for card in MODELS]
    options = names if view.model in names else [*names, view.model]
    state.show("model", view.model)
    st.selectbox(
        "Model", options, format_func=_model_title, accept_new_options=True,
        help="Choose one, or type a Hugging Face id, a folder or a .gguf file.",
        **state.bound("model", read=lambda text: text.strip() or view.model, head=None, edge=None),
    )  # fmt: skip
    card = find_card(view.model)
    if card is None:
        st.caption(
            "A model of your own. GPT-2, Llama, Qwen, Gemma and other common architectures run fast, the rest of what "
            "TransformerLens can hook slowly."
        )
    else:
        heads = card.n_layers * card.n_heads
        st.caption(f"{card.n_layers} layers × {card.n_heads} heads = {heads} heads. {card.note}")
    prepared = background.result_of(background.ready_job(view.settings()))
    if prepared is not None and prepared.model.note:
        st.caption(look.plain(prepared.model.note))


def _model_title(name: str) -> str:
    card = find_card(name)
    return card.title if card is not None else Path(name).name


def _task(view: View) -> None:
    tasks = {task.name: task for task in TASKS}
    state.show("task", view.task)
    st.selectbox(
        "Task", list(tasks), format_func=lambda name: tasks[name].title,
        **state.bound("task", head=None, edge=None, prompt=0),
    )  # fmt: skip
    st.caption(look.plain(tasks[view.task].description))


def _number(field: str, label: str, low: int, high: int, text: str) -> None:
    state.show(field, getattr(state.current(), field))
    st.number_input(label, low, high, step=1, help=text, **state.bound(field, read=int, prompt=0))
