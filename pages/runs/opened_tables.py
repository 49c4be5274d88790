"""The rest of an opened run as tables: its steps, its prompts, and what was attached to it later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from engine.discovery import Discovery
from engine.figures.export import rows_csv
from engine.figures.tables import Row
from engine.record.json_values import Json, dumps
from engine.search.trail import trail_of
from pages.runs.reading import Opened
from pages.shared import look
from pages.shared.kept import ATTACHED
from pages.shared.step_rows import all_effects, step_rows

MOST_SHOWN = 60  # values of an attachment; the file has all


def show(opened: Opened) -> None:
    look.step(None, "Step by step", "What the search asked, on which prompts, and what has been learnt since.")
    _steps(opened.found)
    _prompts(opened.found)
    _attached(opened)


def _steps(found: Discovery) -> None:
    if not found.steps:
        look.note("The search was stopped before its first step was over.")
        return
    with st.expander(f"{look.count(len(found.steps), 'step')} of the search", key="opened_steps"):
        trail = trail_of(found.steps)
        rows = step_rows(trail)
        _table(rows, "Every step of the search in order", {
            "seconds until here": st.column_config.NumberColumn(format="%.2f"),
            "passes until here": st.column_config.NumberColumn(format="%.0f"),
            "GFLOP until here": st.column_config.NumberColumn(format="%.1f"),
        })  # fmt: skip
        with st.container(horizontal=True):
            look.download("Steps as CSV", lambda: rows_csv(rows), "steps.csv", "text/csv")
            look.download("All effects as CSV", lambda: rows_csv(all_effects(trail)), "effects.csv", "text/csv")


def prompt_rows(found: Discovery) -> list[Row]:
    """One row a pair; tokens by number, since no model is here to spell them."""
    return [
        {
            "pair": place, "template": pair.template_group, "clean": pair.clean, "corrupted": pair.corrupted,
            "tokens": len(pair.clean_tokens), "answer tokens": " ".join(map(str, pair.answer_tokens)),
            "distractor tokens": " ".join(map(str, pair.distractor_tokens[:20])),
        }
        for place, pair in enumerate(found.prompts.pairs, start=1)
    ]  # fmt: skip


def _prompts(found: Discovery) -> None:
    with st.expander(look.count(len(found.prompts), "prompt pair"), key="opened_prompts"):
        rows = prompt_rows(found)
        look.note(f"Metric: {found.prompts.metric.value.replace('_', ' ')}. Tokens are numbers of the model’s own.")
        _table(rows, "The prompt pairs of the run", {})
        look.download("Prompts as CSV", lambda: rows_csv(rows), "prompts.csv", "text/csv")


def _table(rows: Sequence[Row], alt: str, columns: dict[str, Any]) -> None:
    st.dataframe(
        list(rows), hide_index=True, height=min(420, 38 + 35 * max(1, len(rows))), column_config=columns, alt=alt
    )


def _attached(opened: Opened) -> None:
    """Nothing is no news: then it is not told."""
    for kind, entries in opened.attachments.items():
        if not entries:
            continue
        title = ATTACHED.get(kind, kind.replace("_", " ").capitalize())
        with st.expander(f"{title} ({len(entries)})" if len(entries) > 1 else title, key=f"attached_{kind}"):
            for name, value in entries.items():
                look.note(name)
                rows = plain_rows(value)
                _table(rows[:MOST_SHOWN], f"{title}: {name}", {})
                if len(rows) > MOST_SHOWN:
                    look.note(f"Shown: the first {MOST_SHOWN} of {len(rows):,} values. The file has all.")
                look.download(
                    "As JSON", lambda value=value: dumps(value), f"{kind}-{name}.json", "application/json"
                )


def plain_rows(value: Json, before: str = "") -> list[Row]:
    """Single values by their place, ``faithfulness.value``; lists stay for the file."""
    rows: list[Row] = []
    for name, each in value.items():
        place = f"{before}{name}".replace("_", " ")
        if isinstance(each, dict):
            rows += plain_rows(each, f"{place}.")
        elif not isinstance(each, list):
            rows.append({"value of": place, "is": _text(each)})
    return rows


def _text(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
