"""The race's numbers as tables and lists. Everything shown is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from engine.figures.tables import WHOLE_RUN, Row
from engine.heads import Head
from pages.race.score import NAMES, SEARCH_ALONE
from pages.shared import look

UNITS = {"s": "seconds", "passes": "forward passes", "GFLOP": "GFLOP"}
RATIO = "dense ÷ APP, FLOPs"


def costs(rows: Sequence[Row]) -> None:
    """By stage, both contestants under each unit."""
    units = "".join(f'<th colspan="2">{name}</th>' for name in UNITS.values())
    names = "".join(f"<th>{name}</th>" for name in NAMES) * len(UNITS)
    head = f'<tr><th rowspan="2">stage</th>{units}<th rowspan="2">dense ÷ APP<br>in FLOPs</th></tr><tr>{names}</tr>'
    columns = [f"{name} {unit}" for unit in UNITS for name in NAMES]
    body = "".join(_cost_row(row, columns) for row in rows)
    _table(head, body)


def _cost_row(row: Row, columns: Sequence[str]) -> str:
    cells = "".join(f"<td>{few_digits(row[column])}</td>" for column in columns)
    ratio = row[RATIO]
    times = f"{ratio:.2f} ×" if isinstance(ratio, float) else "–"
    total = ' class="total"' if row["stage"] in (WHOLE_RUN, SEARCH_ALONE) else ""
    return f"<tr{total}><th>{escape(str(row['stage']))}</th>{cells}<td>{times}</td></tr>"


def overlap(rows: Sequence[Row]) -> None:
    """In both, in one alone, and the three shares in percent."""
    shares = ("precision", "recall", "Jaccard")
    head = "".join(f"<th>{escape(name)}</th>" for name in ("", "in both", "only APP", "only dense", *shares))
    body = ""
    for row in rows:
        counts = "".join(f"<td>{row[name]}</td>" for name in ("in both", "only APP", "only dense"))
        body += f"<tr><th>{row['of']}</th>{counts}{''.join(f'<td>{_percent(row[name])}</td>' for name in shares)}</tr>"
    _table(f"<tr>{head}</tr>", body)
    look.note(
        "Precision: of APP’s, the share that dense has too. Recall: of dense’s, the share that APP has too. Jaccard: "
        "of all that either has, the share in both. Edges are the same if sender, receiver and input are."
    )


def truth(rows: Sequence[Row]) -> None:
    """Size, performance and faithfulness of each circuit."""
    titles = ("", "heads", "edges", "sparsity", "performance", "faithfulness", "measured on")
    body = "".join(_truth_row(row) for row in rows)
    _table(f"<tr>{''.join(f'<th>{title}</th>' for title in titles)}</tr>", body)
    look.note(
        "Performance: LD circuit ÷ LD model. Faithfulness: (LD circuit − LD corrupted) ÷ (LD clean − LD corrupted). "
        "By mean ablation of all other heads."
    )


def _truth_row(row: Row) -> str:
    performance, faithfulness, sparsity = row["performance %"], row["faithfulness"], row["sparsity"]
    cells = [
        str(row["heads"]),
        str(row["edges"]),
        f"{100 * sparsity:.1f} %" if isinstance(sparsity, float) else "–",
        f"{performance:.1f} %" if isinstance(performance, float) else "–",
        look.number(faithfulness, 3) if isinstance(faithfulness, float) else "–",
        f"n = {row['n']}, seed {row['seed']}" if row["n"] is not None else "not verified: cancelled",
    ]
    title = str(row["contestant"])
    return f"<tr><th>{title[:1].upper() + title[1:]}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def heads(groups: Mapping[str, Sequence[Head]]) -> None:
    """Lists of heads, each under its name."""
    parts = ""
    for name, members in groups.items():
        chips = "".join(f"<span>{head}</span>" for head in members)
        size = look.count(len(members), "head") if members else "none"
        parts += f'<p class="hl-note">{escape(name)}: {size}</p><div class="hl-heads">{chips}</div>'
    st.html(parts)


def _table(head: str, body: str) -> None:
    table = f'<table class="hl-table hl-bill"><thead>{head}</thead><tbody>{body}</tbody></table>'
    st.html(f'<div class="hl-wide">{table}</div>')


def _percent(value: object) -> str:
    return f"{100 * value:.0f} %" if isinstance(value, float) else "–"


def few_digits(value: object) -> str:
    """``0.03``, ``3.1``, ``1,203``; a dash where there is nothing."""
    if not isinstance(value, float):
        return "–"
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"
