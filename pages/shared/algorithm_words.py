"""What each search is called, and how its edges and numbers are to be read. Plain text."""

from __future__ import annotations

from engine.settings import ATTRIBUTING, Algorithm, Settings
from pages.shared import look

TITLES: dict[str, str] = {
    Algorithm.PATH_PATCHING: "Path patching",
    Algorithm.ACDC: "ACDC",
    Algorithm.EAP: "EAP",
    Algorithm.EAP_IG: "EAP-IG",
}
CHOICE_WORDS: dict[str, str] = {
    Algorithm.PATH_PATCHING: "From the logits back: senders whose patch stands out are kept, then who feeds them.",
    Algorithm.ACDC: (
        "Starts with every edge and takes out, from the logits back, each one the metric can do without. Asks what the "
        "circuit needs together, so it takes longest."
    ),
    Algorithm.EAP: (
        "Scores every edge at once to first order and takes the strongest that hang together. Fast, but nothing is "
        "patched: edges into attention that is nearly certain are missed."
    ),
    Algorithm.EAP_IG: (
        "EAP with gradients averaged over five points from the corrupted prompt to the clean one: five times the "
        "gradients, and scores less fooled by a single point."
    ),
}
UNSERVED_WORDS = (
    "EAP needs gradients, and this model runs through hooks alone. Choose path patching or ACDC, or another model."
)


def how_words(settings: Settings) -> str:
    """The algorithm with its one parameter, and how it measures: ``EAP-IG, 100 edges at most``."""
    title = TITLES[settings.algorithm]
    if settings.algorithm in ATTRIBUTING:
        return f"{title}, {look.count(settings.top_edges, 'edge')} at most"
    if settings.algorithm is Algorithm.ACDC:
        return f"{title}, {settings.mode.value}, tolerance {settings.tolerance:g}"
    thresholds = f"threshold scale {settings.threshold_scale:g}, smallest effect {settings.min_effect:g}"
    words = f"{settings.mode.value}, {'a grid of thresholds' if settings.grid else thresholds}"
    return f"{words}, MLPs as nodes" if settings.mlps else words


def edge_words(settings: Settings) -> str:
    """What the number on an edge is."""
    if settings.algorithm in ATTRIBUTING:
        return "Every edge’s effect is an estimate, to first order: none was patched"
    if settings.algorithm is Algorithm.ACDC:
        return "Every edge’s effect is exact: what taking it out changed, in the circuit as it stood then"
    return "Every edge’s effect is exact"


def nothing_found(settings: Settings) -> tuple[str, str]:
    """A search that ended without a head: the word for it, and the way on."""
    if settings.algorithm in ATTRIBUTING:
        return "No edge has a score.", "To first order no head changes the metric. Search among more heads."
    if settings.algorithm is Algorithm.ACDC:
        return (
            "No edge is needed.",
            "Every edge could be taken out within the tolerance. Lower it, or search among more heads.",
        )
    return (
        "No head stands out.",
        "No sender’s effect on the logits is above the threshold. Lower the threshold scale or the smallest effect "
        "under Advanced, or search among more heads.",
    )


def line_words(settings: Settings) -> str:
    """The line in the bars of one step."""
    if settings.algorithm in ATTRIBUTING:
        return "The line is the weakest score taken here; coloured bars reach it"
    if settings.algorithm is Algorithm.ACDC:
        return "The line is the tolerance; coloured bars exceed it"
    return "The line is the threshold of the sender’s layer; coloured bars exceed it"


def parameter(settings: Settings) -> look.Fact | None:
    """The one parameter of an algorithm other than path patching."""
    if settings.algorithm in ATTRIBUTING:
        title = TITLES[settings.algorithm]
        return look.Fact(f"{title} takes", f"{settings.top_edges:,}", "edges at most", "scored to first order")
    if settings.algorithm is Algorithm.ACDC:
        return look.Fact("ACDC’s tolerance", f"{settings.tolerance:g}", "", "of clean − corrupted")
    return None
