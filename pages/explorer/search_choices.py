"""What a person decides about the search: among which heads, by which algorithm, how effects are measured."""

from __future__ import annotations

import streamlit as st

from engine.prepare import Prepared
from engine.pruning.merge import union_words
from engine.pruning.sparsity_sweep import Pruning
from engine.search.algorithms import serves
from engine.settings import ATTRIBUTING, Algorithm
from pages.shared import look, rooms, state
from pages.shared.algorithm_words import CHOICE_WORDS, TITLES, UNSERVED_WORDS
from pages.shared.view import ALGORITHMS, AMONG, MAX_EDGES, MODES, View

AMONG_HELP = (
    "Automatic: the union of a FLAP and a Contrastive-FLAP mask, chosen among nine; on the page Pruning you may choose "
    "another. Ringed: what the slider keeps. "
    "All heads: dense path patching, the slow standard to compare with."
)
ALGORITHM_HELP = (
    "All of them search the same heads and end in a circuit of heads and edges, verified alike. Path patching is the "
    "paper’s."
)
EDGES_HELP = "The strongest edges that hang together, counted once where heads share a key or value."
TOLERANCE_HELP = (
    "An edge is taken out if the metric then changes by no more than this, in units of clean − corrupted. Smaller "
    "keeps more edges."
)
MODE_TITLES = {"screened": "Screened", "exact": "Exact"}
MODE_WORDS = {
    "screened": (
        "Every path is estimated, and whoever comes to half the threshold is measured exactly. Edges are exact; a head "
        "estimated at less than half of its true effect could be missed."
    ),
    "exact": "Every path is measured by running the patched model: edges are exact and none is missed. Takes longer.",
}
ACDC_MODE_WORDS = {
    "screened": (
        "Every removal is estimated; those below half the tolerance go together, all others are decided by running the "
        "model."
    ),
    "exact": "Every removal is decided by running the model. Takes longer.",
}
SCORED_WORDS = "EAP measures no path, so there is nothing to set here."
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
PARAMETER_WIDTH = 160
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
            _advanced(view, prepared.model.fast)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="algorithm_choice"):
        _algorithm(view, live)
    st.caption(_about(view, prepared))
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


def _algorithm(view: View, live: bool) -> None:
    """Which, and its one parameter; path patching has more, under Advanced."""
    state.show("algorithm", view.algorithm)
    st.segmented_control(
        "Algorithm", ALGORITHMS, format_func=TITLES.__getitem__, required=True, help=ALGORITHM_HELP, disabled=live,
        wrap=True, **state.bound("algorithm"),
    )  # fmt: skip
    if view.algorithm in ATTRIBUTING:
        state.show("top_edges", view.top_edges)
        st.number_input(
            "Edges to take", 1, MAX_EDGES, step=10, help=EDGES_HELP, disabled=live, width=PARAMETER_WIDTH,
            **state.bound("top_edges", read=int),
        )  # fmt: skip
    elif view.algorithm == Algorithm.ACDC:
        state.show("tolerance", view.tolerance)
        st.number_input(
            "Tolerance", 0.0, 10.0, step=0.005, format="%.4f", help=TOLERANCE_HELP, disabled=live,
            width=PARAMETER_WIDTH, **state.bound("tolerance", read=float),
        )  # fmt: skip


def _about(view: View, prepared: Prepared) -> str:
    """What the algorithm does, or that it cannot."""
    return CHOICE_WORDS[view.algorithm] if serves(prepared.model, Algorithm(view.algorithm)) else UNSERVED_WORDS


def _advanced(view: View, fast: bool) -> None:
    if view.algorithm in ATTRIBUTING:
        st.caption(SCORED_WORDS)
        return
    _mode(view, fast)
    if view.algorithm == Algorithm.PATH_PATCHING:
        _thresholds(view)
        _mlps(view, fast)


def _mode(view: View, fast: bool) -> None:
    state.show("mode", view.mode if fast else "exact")
    st.segmented_control(
        "How effects are measured", MODES, format_func=MODE_TITLES.__getitem__, required=True, disabled=not fast,
        **state.bound("mode"),
    )  # fmt: skip
    words = ACDC_MODE_WORDS if view.algorithm == Algorithm.ACDC else MODE_WORDS
    st.caption(words[view.mode] if fast else HOOKED_WORDS)


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
        "Smallest effect", 0.0, 1.0, step=0.005, format="%g", help=MIN_HELP, disabled=view.grid,
        **state.bound("min_effect", read=float),
    )  # fmt: skip
    if view.grid:
        st.caption(GRID_WORDS)


def _among_title(prepared: Prepared, view: View, pruning: Pruning | None, name: str) -> str:
    total = prepared.scores.flap.numel()
    if name == "all":
        return f"All {total} heads"
    if name == "ringed":
        if not prepared.scores.has(view.mask_score):
            return "Ringed heads"
        kept = int(prepared.scores.keep(view.mask_score, view.sparsity, view.flap_sparsity).sum())
        return look.count(kept, "ringed head")
    title = "Your union" if view.union else "Automatic"
    return f"{title}: {look.count(pruning.taken(view.union or None).size, 'head')}" if pruning is not None else title
