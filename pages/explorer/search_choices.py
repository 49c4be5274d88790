"""What a person decides about the search: among which heads, how effects are measured, which thresholds."""

from __future__ import annotations

import streamlit as st

from engine.merge import union_words
from engine.prepare import Prepared
from engine.sparsity_sweep import Pruning
from pages.shared import look, rooms, state
from pages.shared.view import AMONG, MODES, View

AMONG_HELP = (
    "Automatic: the union of a FLAP and a Contrastive-FLAP mask, chosen among nine; on the page Pruning you may choose "
    "another. Ringed: what the slider keeps. "
    "All heads: dense path patching, the slow standard to compare with."
)
MODE_TITLES = {"screened": "Screened", "exact": "Exact"}
MODE_WORDS = {
    "screened": (
        "Every path is estimated, and whoever comes to half the threshold is measured exactly. Edges are exact; a head "
        "estimated at less than half of its true effect could be missed."
    ),
    "exact": "Every path is measured by running the patched model: edges are exact and none is missed. Takes longer.",
}
HOOKED_WORDS = "This model runs through hooks, which measure every path exactly."
GRID_HELP = (
    "s of 1, 1.5, 2 and 2.5 with a smallest effect of 0.02, 0.01, 0.002 and 0.001. Taken is the smallest circuit that "
    "keeps 75 % of the performance with at most a quarter of all heads. Screened, the 16 are compared by estimates and "
    "the one taken is then searched exactly."
)
MLPS_HELP = (
    "Otherwise MLPs are part of every path, recomputed under each patch. As nodes they send and receive like heads, "
    "and a path runs through one only where its edges say so."
)
MLPS_WORDS = (
    "Effects are other quantities than without MLPs as nodes: everything between sender and receiver stays frozen. "
    "The circuit is verified with all other MLPs ablated too, a harder test."
)
HOOKED_MLPS_WORDS = "Not for this model: it runs through hooks, and its MLPs are not known."
ADVANCED_WIDTH = 400  # pixels, less on a phone
GRID_WORDS = "The grid tries its own 16 pairs, so these two wait."
SCALE_HELP = (
    "A sender counts if |effect| exceeds the mean by this many standard deviations (plus 2/√n). The logits step always "
    "uses 2. Smaller finds more heads."
)
MIN_HELP = (
    "A receiver none of whose senders has a larger |effect| than this gets none. 0.01 is 1 % of clean − corrupted."
)


def show(prepared: Prepared, view: View, pruning: Pruning | None, live: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        state.show("among", view.among)
        st.segmented_control(
            "Search among", AMONG, format_func=lambda name: _among_title(prepared, view, pruning, name), required=True,
            help=AMONG_HELP, disabled=live, wrap=True, **state.bound("among"),
        )  # fmt: skip
        with (
            st.popover("Advanced", icon=":material/tune:", disabled=live, key="advanced"),
            st.container(width=ADVANCED_WIDTH),
        ):
            _mode(view, prepared.model.fast)
            _thresholds(view)
            _mlps(view, prepared.model.fast)
    with st.container(key="union_choice"):
        if view.union and view.among == "auto":
            _own_union(view, pruning, live)


def _own_union(view: View, pruning: Pruning | None, live: bool) -> None:
    """That the union is the person's own choice, and the way back."""
    size = f", {look.count(pruning.taken(view.union).size, 'head')}" if pruning is not None else ""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"Union chosen by you: **{union_words(view.union)}**{size}.", width="content")
        st.button(
            "Back to automatic", key="union_automatic", icon=":material/undo:", on_click=state.change,
            kwargs={"union": ""}, disabled=live,
        )  # fmt: skip
        rooms.link("pruning", "All nine unions")


def _mode(view: View, fast: bool) -> None:
    state.show("mode", view.mode if fast else "exact")
    st.segmented_control(
        "How effects are measured", MODES, format_func=MODE_TITLES.__getitem__, required=True, disabled=not fast,
        **state.bound("mode"),
    )  # fmt: skip
    st.caption(MODE_WORDS[view.mode] if fast else HOOKED_WORDS)


def _mlps(view: View, fast: bool) -> None:
    state.show("mlps", view.mlps and fast)
    st.toggle("MLPs as nodes", help=MLPS_HELP, disabled=not fast, **state.bound("mlps"))
    if not fast:
        st.caption(HOOKED_MLPS_WORDS)
    elif view.mlps:
        st.caption(MLPS_WORDS)


def _thresholds(view: View) -> None:
    state.show("grid", view.grid)
    st.toggle("Try a grid of thresholds", help=GRID_HELP, **state.bound("grid"))
    left, right = st.columns(2)
    state.show("threshold_scale", view.threshold_scale)
    left.number_input(
        "Scale s", 0.0, 10.0, step=0.5, help=SCALE_HELP, disabled=view.grid,
        **state.bound("threshold_scale", read=float),
    )  # fmt: skip
    state.show("min_effect", view.min_effect)
    right.number_input(
        "Smallest effect", 0.0, 1.0, step=0.005, format="%.3f", help=MIN_HELP, disabled=view.grid,
        **state.bound("min_effect", read=float),
    )  # fmt: skip
    if view.grid:
        st.caption(GRID_WORDS)


def _among_title(prepared: Prepared, view: View, pruning: Pruning | None, name: str) -> str:
    total = prepared.scores.flap.numel()
    if name == "all":
        return f"All {total} heads"
    if name == "ringed":
        kept = int(prepared.scores.keep(view.mask_score, view.sparsity).sum())
        return look.count(kept, "ringed head")
    title = "Your union" if view.union else "Automatic"
    return f"{title}: {look.count(pruning.taken(view.union or None).size, 'head')}" if pruning is not None else title
