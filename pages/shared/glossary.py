"""What our words mean, shown where they are used."""

from __future__ import annotations

from html import escape

TERMS = {
    "FLAP": (
        "Variance of what a head hands to the output projection, over the prompts and tokens of the clean prompts, "
        "weighted by the projection. A z-score within each layer."
    ),
    "C-FLAP": (
        "Contrastive-FLAP: how much the energy of what a head hands to the output projection differs between clean and "
        "corrupted prompts, weighted by the projection. A z-score within each layer."
    ),
    "mean ablation": (
        "A removed head’s output is replaced by its mean over the corrupted prompts of the same template, position by "
        "position. MLPs stay live."
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
}


def term(name: str, shown: str = "") -> str:
    """``name`` (or ``shown`` in its place) as HTML that explains itself on hover, tap or focus."""
    meaning = escape(TERMS[name])
    return (
        f'<abbr tabindex="0" data-tip="{meaning}" aria-label="{escape(shown or name)}: {meaning}">'
        f"{escape(shown or name)}</abbr>"
    )
