"""What every page shares: which model, which task, which prompts."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from engine.models.registry import MODELS, find_card
from engine.serving.limits import limits
from engine.tasks.own import OwnTask, is_own
from engine.tasks.task import TASKS
from pages.shared import background, glossary, introduction, look, own_tasks, rooms, state
from pages.shared.view import MAX_SEED, View
from pages.shared.work import result_of

PAIRS_HELP = "Clean and corrupted prompts; more pairs, steadier numbers."
DEMO_HELP = "This is a demonstration, which offers these. On your own machine any model may be used."


def show() -> None:
    """Read the view of this run and draw the sidebar for it."""
    own = own_tasks.kept()
    view = _no_more_pairs_than_rows(state.load({"task": (*(task.name for task in TASKS), *own)}), own)
    with st.sidebar:
        rooms.menu()
        _model(view)
        _task(view, own)
        left, right = st.columns(2)
        with left:
            _number("pairs", "Prompt pairs", 1, limits().pairs, PAIRS_HELP)
        with right:
            _number("seed", "Seed", 0, MAX_SEED, "Another seed draws other prompts.", disabled=is_own(view.task))
        st.caption("The address of this page holds every choice: copy it to share what you see.")
        with st.container(gap=None, key="help"):
            glossary.all_terms()
            introduction.again_button()


def _model(view: View) -> None:
    offered = limits().allowed
    names = [card.name for card in MODELS] if offered is None else list(offered)
    options = names if view.model in names else [*names, view.model]
    state.show("model", view.model)
    st.selectbox(
        "Model", options, format_func=_model_title, accept_new_options=offered is None,
        help="Choose one, or type a Hugging Face id, a folder or a .gguf file." if offered is None else DEMO_HELP,
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
    prepared = result_of(background.ready_job(view.settings()))
    if prepared is not None and prepared.model.note:
        st.caption(look.plain(prepared.model.note))


def _model_title(name: str) -> str:
    card = find_card(name)
    return card.title if card is not None else Path(name).name


def _task(view: View, own: dict[str, OwnTask]) -> None:
    titles = {task.name: task.title for task in TASKS} | {name: task.title for name, task in own.items()}
    # A task that was deleted while someone looked at it stays chosen, and says so.
    options = list(titles) if view.task in titles else [*titles, view.task]
    state.show("task", view.task)
    st.selectbox(
        "Task", options, format_func=lambda name: titles.get(name, "Deleted own task"),
        **state.bound("task", head=None, edge=None, prompt=0, pair_filter="all", pair_page=1),
    )  # fmt: skip
    st.caption(look.plain(_description(view, own)))


def _description(view: View, own: dict[str, OwnTask]) -> str:
    if not is_own(view.task):
        return next(task.description for task in TASKS if task.name == view.task)
    if view.task not in own:
        return "This task is not kept on this machine any more."
    total = len(own[view.task].rows)
    used = f"all {total}" if view.pairs >= total else f"the first {view.pairs} of {total}"
    return f"An own task, kept on this machine: {used} rows are used. Nothing is drawn, so the seed has no say."


def _no_more_pairs_than_rows(view: View, own: dict[str, OwnTask]) -> View:
    """An own task has the pairs it has; asking for more would be another request for the same."""
    if view.task in own and view.pairs > len(own[view.task].rows):
        state.change(pairs=len(own[view.task].rows))
    return state.current()


def _number(field: str, label: str, low: int, high: int, text: str, disabled: bool = False) -> None:
    state.show(field, getattr(state.current(), field))
    st.number_input(
        label, low, high, step=1, help=text, disabled=disabled,
        **state.bound(field, read=int, prompt=0, pair_filter="all", pair_page=1),
    )  # fmt: skip
