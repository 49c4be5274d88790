"""Everything known about one head; every page that shows heads ends with it."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

import streamlit as st
from torch import Tensor

from engine.discovery import Discovery
from engine.heads import Head
from engine.prepare import Prepared
from engine.pruning.cliffs import FIXED_SPARSITY, Cliff
from engine.pruning.masks import kept_count
from engine.pruning.sparsity_sweep import Pruning
from engine.scores.head_scores import HeadScores
from engine.scores.kinds import Score
from engine.trust.answer_keys import answer_keys
from pages.shared import background, edges, head_attention, head_effects, head_output, look, rooms, score_views, state
from pages.shared.link import write_view
from pages.shared.view import View

LEAD = (
    "Click a head anywhere above, or choose one here: why it was kept, what it does to the answer, where it looks, "
    "what it writes."
)


def show(
    prepared: Prepared,
    view: View,
    pruning: Pruning | None,
    found: Discovery | None,
    number: int | None = None,
    about: Callable[[Head], None] | None = None,
) -> None:
    """``number`` is the step's, where steps are numbered; ``pruning`` and ``found`` as far as there are any.

    ``about`` says what the page knows of the head, in place of what published circuits say.
    """
    st.html('<div id="head-card"></div>')
    look.step(number, "One head", LEAD)
    model = prepared.model
    head = state.selected_head(model.n_layers, model.n_heads)
    if view.head is not None and head is None:
        look.note(
            f"There is no head {view.head} in this model: layers go from 0 to {model.n_layers - 1}, heads from 0 to "
            f"{model.n_heads - 1}."
        )
    _choose(prepared, view, head)
    if head is None:
        look.empty("No head selected", "Its card opens here.")
        return
    _score_facts(prepared.scores, view.mask_score, head)
    known_as(prepared, head) if about is None else about(head)
    _why_kept(prepared.scores, view, pruning, head)
    head_effects.show(found, head)
    head_attention.show(prepared, view, head)
    head_output.show(prepared, head)


def _choose(prepared: Prepared, view: View, head: Head | None) -> None:
    """All heads, best Contrastive-FLAP score first, with the way to the next and a link to this one."""
    scores = prepared.scores.contrastive_flap
    order = scores.flatten().argsort(descending=True).tolist()
    names = [str(Head(*divmod(i, scores.shape[1]))) for i in order]
    st.session_state["card_head"] = str(head) if head is not None else None

    def pick() -> None:
        state.change(head=st.session_state["card_head"])

    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="card_choice"):
        st.selectbox(
            "Head", names, key="card_head", placeholder="choose a head, highest C-FLAP score first", on_change=pick,
            width=320,
        )  # fmt: skip
        at = names.index(str(head)) if head is not None else -1
        _neighbour("Previous head", ":material/arrow_back:", names, at - 1 if head is not None else None)
        _neighbour("Next head", ":material/arrow_forward:", names, at + 1)
        if head is not None:
            _link(view)
            rooms.link(
                "verification", "Get a receipt", help=edges.RECEIPT_HELP, head=str(head), receipt_of="head"
            )


def _neighbour(label: str, icon: str, names: list[str], at: int | None) -> None:
    """A button to the head at that place of the order; grey where the order ends."""
    there = at is not None and 0 <= at < len(names)
    st.button(
        label, key=f"card_{label.split()[0].lower()}", icon=icon, disabled=not there,
        help="By C-FLAP score, the highest first.", on_click=state.change,
        kwargs={"head": names[at] if at is not None and there else None},
    )  # fmt: skip


def _link(view: View) -> None:
    """The address of just this, to copy."""
    with st.popover("Link", icon=":material/link:", key="card_link"):
        st.caption("Opens this page with this head, these prompts and all other choices.")
        st.code(f"{st.context.url or ''}?{urlencode(write_view(view))}#head-card", language=None, wrap_lines=True)


def _score_facts(scores: HeadScores, shown: Score, head: Head) -> None:
    """Both FLAPs, and the score of the map where that is another."""
    total = scores.flap.numel()
    items = []
    told = (Score.CONTRASTIVE_FLAP, Score.FLAP)
    others = (shown,) if shown not in (*told, Score.MERGED) and scores.has(shown) else ()
    for score in (*told, *others):
        name, values = score_views.TITLES[score], scores.of(score)
        value = float(values[head.layer, head.index])
        rank = int((values > value).sum()) + 1
        drop = float(scores.drops(score)[head.layer, head.index])
        gone = f"dropped at sparsity {drop:.2f}" if drop < 1 else "kept at every sparsity"
        text = look.signed(value, 2) if score in told else f"{value:.3g}"
        items.append(look.Fact(f"{name} score", text, score_views.UNITS[score], gone))
        items.append(look.Fact(f"{name} rank", f"{rank}", f"of {total}", "1 is the highest score"))
    look.facts(items)


def known_as(prepared: Prepared, head: Head) -> None:
    """What published circuits of this model and task say about the head."""
    for key in answer_keys(prepared.settings.model, prepared.settings.task):
        if head in key.roles:
            look.note(
                f"In the published circuit “{key.title}”" + (f" as {key.roles[head]}." if key.roles[head] else ".")
            )


def _why_kept(scores: HeadScores, view: View, pruning: Pruning | None, head: Head) -> None:
    """Which list admits the head, and by how much."""
    if pruning is not None:
        merge = pruning.taken(view.union or None)
        lists = (_at_cliff("FLAP", scores.flap, merge.flap_cliff),
                 _at_cliff("C-FLAP", scores.contrastive_flap, merge.contrastive_cliff))  # fmt: skip
        kept = bool(merge.mask[head.layer, head.index])
        which = "the union chosen by you" if view.union else "the automatic union"
        title = f"In {which}." if kept else f"Not in {which}."
    else:
        lists = tuple(
            (name, values, FIXED_SPARSITY, "fixed")
            for name, values in (("FLAP", scores.flap), ("C-FLAP", scores.contrastive_flap))
        )
        kept = any(_margin(values, sparsity, head) > 0 for _, values, sparsity, _ in lists)
        title = "Among the kept heads of either score." if kept else "Kept by neither score."
    parts = [_admission(name, values, sparsity, why, head) for name, values, sparsity, why in lists]
    if scores.has(view.mask_score):
        ringed = bool(scores.keep(view.mask_score, view.sparsity, view.flap_sparsity)[head.layer, head.index])
        parts.append(f"At the slider’s sparsity {view.sparsity:.2f} it is {'ringed' if ringed else 'not ringed'}.")
    look.verdict(title, " ".join(parts), "yes" if kept else "wait")


def _at_cliff(name: str, values: Tensor, cliff: Cliff) -> tuple[str, Tensor, float, str]:
    return name, values, cliff.sparsity, f"{cliff.kind.value} cliff"


def _admission(name: str, values: Tensor, sparsity: float, why: str, head: Head) -> str:
    margin = _margin(values, sparsity, head)
    verb = "admits it" if margin > 0 else "does not"
    return f"{name} at sparsity {sparsity:.2f} ({why}) {verb}: {look.signed(margin, 2)} from the threshold."


def _margin(values: Tensor, sparsity: float, head: Head) -> float:
    """Score minus the threshold at that sparsity; kept if above 0."""
    ranked = values.flatten().sort(descending=True).values
    return float(values[head.layer, head.index] - ranked[kept_count(values.numel(), sparsity)])


def data_key(prepared: Prepared) -> str:
    """What a cached result depends on, besides its own arguments."""
    return repr(background.data_of(prepared.settings))
