"""What our words mean, shown where they are used."""

from __future__ import annotations

from html import escape

import streamlit as st

TERMS = {
    "ACDC": (
        "Automatic circuit discovery (Conmy et al. 2023): from the logits back, each edge is taken out if the metric "
        "then changes by no more than the tolerance, in the circuit as it stands. What is left is the circuit."
    ),
    "EAP": (
        "Edge attribution patching (Syed et al. 2023): an edge’s score is the change the corrupted sender makes in "
        "what the receiver reads, times the gradient there. All edges at once, none patched; the strongest that hang "
        "together are taken."
    ),
    "EAP-IG": (
        "EAP with integrated gradients (Hanna et al. 2024): the gradient is the mean over five points on the way from "
        "the corrupted prompt’s embeddings to the clean one’s."
    ),
    "tolerance": (
        "Of ACDC: how much of clean − corrupted the metric may change, up or down, when one edge is taken out."
    ),
    "FLAP": (
        "Variance of what a head hands to the output projection, over the prompts and tokens of the clean prompts, "
        "weighted by the projection. A z-score within each layer."
    ),
    "C-FLAP": (
        "Contrastive-FLAP: how much the energy of what a head hands to the output projection differs between clean and "
        "corrupted prompts, weighted by the projection. A z-score within each layer."
    ),
    "output difference": (
        "How much what a head writes into the stream changes from a clean prompt to its corrupted one: squared norm, "
        "mean over prompts and tokens. Needs no backward pass."
    ),
    "attribution": (
        "First order: a head’s change from clean to corrupted times the gradient of the metric at the clean prompts, "
        "added up over tokens and prompts, its size. By position, sizes are taken token by token before they add up, "
        "so that nothing cancels. Integrated, the gradient is averaged over 5 points on the way from the corrupted to "
        "the clean embeddings."
    ),
    "rank sum": (
        "The order of the heads by the sum of their ranks in C-FLAP and in attribution by position, told as the share "
        "of the other heads that come after: 1 is the first."
    ),
    "equal union": (
        "The best of FLAP and of C-FLAP in turn, until there are as many heads as one of them alone would keep. Told "
        "as the share of the other heads that come after: 1 is the first."
    ),
    "mean ablation": (
        "A removed head’s output is replaced by its mean over the corrupted prompts of the same template, position by "
        "position. MLPs stay live, unless they are nodes: then other MLPs are replaced in the same way."
    ),
    "performance": (
        "100 × logit difference of the kept heads ÷ that of the whole model. It can exceed 100, and an empty circuit "
        "is not 0."
    ),
    "path patching": (
        "A sender’s output is replaced by its value on the corrupted prompt, but only along one path. MLPs and norms "
        "on it are recomputed, all other heads stay as on the clean prompt."
    ),
    "effect": (
        "Change of the metric a patch causes, in units of clean − corrupted: 0 is nothing, −1 as bad as the corrupted "
        "prompt. Mean over all pairs, signed."
    ),
    "exact": (
        "Every path is patched and the rest of the model run on it. Agrees with the plain hooked way to 1e-4 of an "
        "effect’s unit."
    ),
    "screened": (
        "Every path is estimated first; a sender at least half as strong as its threshold is then patched exactly. "
        "Every edge is exact. A sender estimated at less than half of it stays an estimate and is left out."
    ),
    "estimate": (
        "First order: the true change of the receiver’s output times the gradient of the metric. What later layers "
        "do with a large change is missing from it."
    ),
    "MLPs as nodes": (
        "MLPs send and receive like heads, written m9 for layer 9. All other MLPs stay as on the clean prompt, so a "
        "path runs through an MLP only along its own edges. Otherwise MLPs are recomputed on every path."
    ),
    "role": (
        "A name for what a head does, by two numbers: where its attention goes on the clean prompts, and what it adds "
        "to the answer’s logits directly. “-like”: a head can behave so for another reason."
    ),
    "Spearman": (
        "How far two rankings agree: 1 is the same order, 0 no relation, −1 the reverse. Computed on ranks, so how far "
        "apart the scores are does not matter; equal scores share their mean rank."
    ),
    "cliff": (
        "The last sparsity before performance falls: the first fall of a tenth of the curve’s range, the biggest one, "
        "and for comparison a fixed 0.75."
    ),
    "union": (
        "All heads that at least one of two lists keeps: FLAP’s at one of its three cliffs, C-FLAP’s at one of its "
        "three."
    ),
    "Pareto front": ("The unions no other one beats: every union that keeps fewer heads performs worse."),
    "faithfulness": (
        "(logit difference of the kept heads − corrupted) ÷ (clean − corrupted): 1 is the whole model, 0 as bad as the "
        "corrupted prompts."
    ),
    "CPR": (
        "Circuit performance ratio: the area under faithfulness over the share of heads kept, from none to all. Higher "
        "is better; a circuit that is whole at every size has 1."
    ),
    "CMD": (
        "Circuit-model distance: the area between faithfulness and 1 over the share of heads kept. Lower is better; 0 "
        "is the whole model at every size."
    ),
    "trial": (
        "One choice of mask and thresholds, searched by estimates and measured on prompts of its own. What trials "
        "share is measured once, so a later one costs little. One that has no prospect is not searched."
    ),
    "precision": (
        "Of the heads, or edges, that were found, the share that the circuit they are held against has too. Edges are "
        "the same if sender, receiver and input are."
    ),
    "recall": "Of the heads, or edges, of the circuit they are held against, the share that was found.",
    "Jaccard": "Of all heads, or edges, that either of two circuits has, the share that both have.",
    "dense path patching": (
        "Path patching among all heads of the model, with no mask: what the accelerated search should find, too."
    ),
    "answer key": (
        "Heads that somebody published, or that you name, for this model and task. One group’s result, by their own "
        "method and prompts."
    ),
    "area under ROC": (
        "Of the curve that shows, from the highest score down, the share of the reference’s heads against the share of "
        "all others. 1: all of the reference comes first; 0.5: no better than chance."
    ),
    "resample": (
        "As many prompt pairs as there are, drawn with replacement within each template: some pairs come twice, some "
        "not at all."
    ),
    "coin flip": "A head found in between a quarter and three quarters of the runs.",
    "causal receipt": (
        "A head: its output alone is ablated in the whole model. An edge: path patching of that one path, exactly. In "
        "units of clean − corrupted, with an interval over fresh prompts. The control, a head of the same layer that "
        "writes about as strongly and is not in the circuit, gets the same."
    ),
    "grid": (
        "16 pairs of thresholds: scale s of 1, 1.5, 2 or 2.5 with a smallest effect of 0.02, 0.01, 0.002 or 0.001. "
        "Taken is the smallest circuit that keeps 75 % of the performance with at most a quarter of all heads."
    ),
}


def term(name: str, shown: str = "") -> str:
    """``name`` (or ``shown`` in its place) as HTML that explains itself on hover, tap or focus."""
    meaning = escape(TERMS[name])
    return (
        f'<abbr tabindex="0" data-tip="{meaning}" aria-label="{escape(shown or name)}: {meaning}">'
        f"{escape(shown or name)}</abbr>"
    )


def all_terms() -> None:
    """Every term with its meaning, behind a button."""
    entries = "".join(f"<dt>{escape(name)}</dt><dd>{escape(TERMS[name])}</dd>" for name in sorted(TERMS, key=str.lower))
    with st.popover("Glossary", icon=":material/menu_book:", type="tertiary", key="glossary"):
        st.html(f'<dl class="hl-terms">{entries}</dl>')
