"""On the head card: what the head does to others, and who reaches it."""

from __future__ import annotations

import streamlit as st

from engine.discovery import Discovery
from engine.figures.effects import effects_figure
from engine.figures.export import rows_csv
from engine.figures.tables import Row, effect_rows, head_rows
from engine.heads import Head
from engine.search.path_patching import SearchStep
from pages.shared import algorithm_words, look, state
from pages.shared.chart import chart, is_dark
from pages.shared.glossary import term

INPUT_NAMES = {"q": "query", "k": "key", "v": "value"}


def show(found: Discovery | None, head: Head) -> None:
    st.markdown("##### Its effects")
    if found is None:
        look.note("Known once a circuit has been searched for.")
        return
    if not found.steps:
        look.note("The search was cancelled before anything was measured.")
        return
    direct = float(found.steps[0].effects[head.layer, head.index])
    if direct != direct:
        look.note("It was no candidate of this search, so its effect on the logits was not measured.")
    else:
        limit = float(found.steps[0].thresholds[head.layer])
        bar = f"the threshold is ±{limit:.3f}" if limit != float("inf") else "no head passed the smallest effect"
        kind = "estimate" if found.steps[0].estimated[head.layer, head.index] else "exact"
        look.note(
            f"On the logits directly: {look.signed(direct, 3)} of clean − corrupted ({kind}; mean of "
            f"{len(found.prompts)} pairs, all positions patched); {bar}."
        )
    _table(head_rows(found.steps, found.circuit, head), head)
    _reached_by(found, head)


def _table(rows: list[Row], head: Head) -> None:
    """All it was measured to do, and the edges it receives."""
    if not any(row["in the circuit"] for row in rows):
        look.note("It has no edge in this circuit.")
    if not rows:
        return
    guesses = sum(row["kind"] == "estimate" for row in rows)
    if guesses:
        which = f"is an {term('estimate')}" if guesses == 1 else f"are {term('estimate', 'estimates')}"
        weak = not any(row["in the circuit"] for row in rows if row["kind"] == "estimate")
        why = ": too weak for an edge, so not run exactly" if weak else ", edges too: this search has nothing else"
        look.lead(f"{guesses} of {look.count(len(rows), 'effect')} {which}{why}.")
    effect = st.column_config.NumberColumn("effect (clean − corrupted = 1)", format="%.4f")
    st.dataframe(rows, hide_index=True, height=min(320, 38 + 35 * len(rows)), column_config={"effect": effect})
    look.download("Its effects as CSV", lambda: rows_csv(rows), f"effects-{head}.csv", "text/csv")


def _reached_by(found: Discovery, head: Head) -> None:
    """Every sender’s effect on the head’s query, key or value, if it was searched as a receiver."""
    steps = {step.input.value: step for step in found.steps if head in step.receivers}
    if not steps:
        return
    st.markdown("##### Who reaches it")
    letter = st.segmented_control(
        "Through its", list(steps), default=next(iter(steps)), format_func=INPUT_NAMES.__getitem__, required=True,
        key=f"reached_{head}",
    )  # fmt: skip
    step = steps[letter]
    hatched = f" Hatched bars are {term('estimate', 'estimates')}." if step.estimated.any() else ""
    look.lead(
        f"{algorithm_words.line_words(found.settings)} and are edges; grey ones are not.{hatched} Click one for its "
        "card."
    )
    chart(
        effects_figure(
            step.effects, step.estimated, step.thresholds, step.important, dark=is_dark(), mlps=step.mlps
        ),
        "reached_figure", f"Effects of the strongest senders on the {INPUT_NAMES[letter]} of head {head}",
        identity=found.settings, on_click=lambda sender: state.change(head=str(Head(*map(int, sender)))),
    )  # fmt: skip
    _reached_twin(step, f"{head}.{letter}")


def _reached_twin(step: SearchStep, name: str) -> None:
    with st.expander("All senders as a table, and downloads", key="twin_reached"):
        rows = effect_rows(step.effects, step.estimated, step.thresholds, step.important, step.mlps)
        st.dataframe(rows, hide_index=True, height=320)
        look.download("Senders as CSV", lambda: rows_csv(rows), f"effects-on-{name}.csv", "text/csv")
