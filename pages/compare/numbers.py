"""Numbers side by side, and the settings with what differs marked."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import streamlit as st

from engine.cost.duration import duration
from engine.figures.export import rows_csv
from engine.figures.tables import Row
from engine.record.run_summary import RunSummary
from engine.views.compare import settings_side_by_side
from pages.compare.choice import Pair
from pages.shared import look
from pages.shared.glossary import term

Read = Callable[[RunSummary], float | None]
SETTING_NAMES = {
    "model": "model", "task": "task", "pairs": "prompt pairs", "seed": "seed", "method": "method",
    "sparsity": "sparsity of the mask", "flap_sparsity": "FLAP’s own sparsity", "union": "union of masks",
    "score": "score of the mask", "mode": "effects", "algorithm": "algorithm", "top_edges": "edges taken (EAP)",
    "tolerance": "tolerance (ACDC)",
    "threshold_scale": "scale s",
    "min_effect": "smallest effect", "grid": "grid of thresholds", "metric": "metric", "prepend_bos": "BOS token",
    "device": "device", "dtype": "number type", "memory_budget": "memory budget",
}  # fmt: skip
ALWAYS_TOLD = (
    "model", "task", "pairs", "seed", "method", "sparsity", "algorithm", "mode", "threshold_scale", "min_effect",
)  # fmt: skip


@dataclass(frozen=True)
class Number:
    """One line of the table; ``ratio``: whether right ÷ left says more than the difference."""

    name: str
    unit: str
    read: Read
    digits: int = 0
    ratio: bool = False


def _checked(name: str) -> Read:
    return lambda run: None if run.checked is None else float(getattr(run.checked, name))


def _threshold(name: str) -> Read:
    return lambda run: None if run.thresholds is None else float(getattr(run.thresholds, name))


NUMBERS = (
    Number("Heads in the circuit", "heads", lambda run: len(run.circuit.heads), ratio=True),
    Number("Edges", "edges", lambda run: len(run.circuit.edges), ratio=True),
    Number("Sparsity", "% of heads left out", lambda run: 100 * run.circuit.sparsity, 1),
    Number("Performance", "%", _checked("performance"), 1),
    Number("Faithfulness", "ratio", _checked("faithfulness"), 3),
    Number("Pairs verified on", "pairs", _checked("n")),
    Number("Model’s metric, clean", "mean over pairs", lambda run: run.clean, 3),
    Number("Model’s metric, corrupted", "mean over pairs", lambda run: run.corrupted, 3),
    Number("Model’s accuracy", "% of clean prompts", lambda run: 100 * run.accuracy, 1),
    Number("Prompt pairs searched", "pairs", lambda run: run.n),
    Number("Candidates", "heads searched among", lambda run: run.candidates, ratio=True),
    Number("Threshold scale s", "std", _threshold("scale"), 2),
    Number("Smallest effect", "of clean − corrupted", _threshold("min_effect"), 4),
    Number("Search alone", "forward passes", lambda run: run.search.forward_passes, 1, ratio=True),
    Number("Whole run", "forward passes", lambda run: run.work.forward_passes, 1, ratio=True),
    Number("Whole run", "GFLOP", lambda run: run.work.flops / 1e9, 1, ratio=True),
    Number("Whole run", "seconds", lambda run: run.work.seconds, 1, ratio=True),
)


def show(pair: Pair) -> None:
    left, right = pair.left.summary, pair.right.summary
    look.step(
        None, "Numbers",
        f"Measured, not estimated. {term('performance', 'Performance')} and faithfulness are of each circuit alone "
        "(mean ablation of all other heads), on pairs it was not found on; an "
        "own task has only its own. A forward pass is one over all pairs of its own run; the whole run includes "
        "calibration, pruning and verification.",
    )  # fmt: skip
    for side, run in (("left", left), ("right", right)):
        if not run.complete:
            look.verdict(
                f"The {side} run was cancelled.", "Its circuit is what had been found by then, not verified.", "wait"
            )
    rows = number_rows(left, right)
    numbers, settings = st.columns([3, 2], gap="medium")
    with numbers:
        st.html(_table(rows))
    with settings:
        _settings(left, right)
    with st.expander("The numbers as downloads", key="twin_numbers"):
        look.download("Numbers as CSV", lambda: rows_csv(rows), "compare-numbers.csv", "text/csv")
        look.download(
            "Settings as CSV", lambda: rows_csv(setting_rows(left, right)), "compare-settings.csv", "text/csv"
        )


def number_rows(left: RunSummary, right: RunSummary) -> list[Row]:
    """One row a number; None where a run has none."""
    rows: list[Row] = []
    for number in NUMBERS:
        a, b = _known(number.read(left)), _known(number.read(right))
        row: Row = {"number": number.name, "unit": number.unit, "left": a, "right": b}
        row["right - left"] = None if a is None or b is None else b - a
        row["right / left"] = b / a if number.ratio and a and b is not None else None
        rows.append(row)
    return rows


def setting_rows(left: RunSummary, right: RunSummary) -> list[Row]:
    return [
        {"setting": SETTING_NAMES.get(name, name), "left": a, "right": b, "differs": a != b}
        for name, a, b in settings_side_by_side(left, right)
    ]


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _shown(row: Row) -> tuple[str, str, str]:
    """Left, right and what lies between, as text."""
    digits = {(number.name, number.unit): number.digits for number in NUMBERS}[str(row["number"]), str(row["unit"])]
    texts = [_text(row[side], digits, str(row["unit"])) for side in ("left", "right")]
    ratio, difference = row["right / left"], row["right - left"]
    if isinstance(ratio, float) and row["left"] != row["right"]:
        between = "=" if texts[0] == texts[1] else f"× {ratio:.2f}" if ratio < 10 else f"× {ratio:.0f}"
    elif isinstance(difference, (int, float)):
        between = "=" if round(difference, digits) == 0 else look.signed(difference, digits)
    else:
        between = "–"
    return texts[0], texts[1], between


def _text(value: object, digits: int, unit: str) -> str:
    if not isinstance(value, (int, float)):
        return "–"
    if unit == "seconds" and value >= 60:
        return duration(value)
    return f"{value:,.{digits}f}".replace("-", "−")


def _table(rows: list[Row]) -> str:
    head = '<tr><th>number</th><th class="l">left</th><th class="r">right</th><th>right against left</th></tr>'
    return f'<table class="hl-table hl-sides"><thead>{head}</thead><tbody>{"".join(map(_line, rows))}</tbody></table>'


def _line(row: Row) -> str:
    left, right, between = _shown(row)
    quiet = ' class="same"' if between in ("=", "–") else ""
    return (
        f'<tr><th scope="row">{escape(str(row["number"]))} <small>{escape(str(row["unit"]))}</small></th>'
        f"<td>{left}</td><td>{right}</td><td{quiet}>{between}</td></tr>"
    )


def _settings(left: RunSummary, right: RunSummary) -> None:
    """What differs is marked; what is the same and rarely asked for is left to the file."""
    shown = [row for row in settings_side_by_side(left, right) if row[1] != row[2] or row[0] in ALWAYS_TOLD]
    differing = sum(a != b for _, a, b in shown)
    body = "".join(
        f"<tr{' class=differs' if a != b else ''}><th scope=row>{escape(SETTING_NAMES.get(name, name))}</th>"
        f"<td>{escape(_word(name, a, left))}</td><td>{escape(_word(name, b, right))}</td></tr>"
        for name, a, b in shown
    )
    head = '<tr><th>setting</th><th class="l">left</th><th class="r">right</th></tr>'
    st.html(f'<table class="hl-table hl-sides"><thead>{head}</thead><tbody>{body}</tbody></table>')
    look.note(f"{look.count(differing, 'setting')} {'differs' if differing == 1 else 'differ'}, marked.")


def _word(name: str, value: object, run: RunSummary) -> str:
    if value is None:
        return "none" if name in ("sparsity", "union") and run.settings.get("method") == "dense" else "automatic"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value).replace("_", " ")
