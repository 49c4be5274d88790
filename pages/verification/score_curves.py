"""Which head score finds the heads of a reference: areas, recall by sparsity, ROC curves, rank correlations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import streamlit as st
from torch import Tensor

from engine.figures.correlations import correlation_rows, correlations_figure
from engine.figures.export import figure_html, rows_csv
from engine.figures.recall import recall_figure, recall_rows, roc_figure, roc_rows, score_rows
from engine.heads import Head
from engine.jobs.snapshot import JobState
from engine.prepare import Prepared
from engine.scores.head_scores import HeadScores
from engine.scores.kinds import LAZY, TITLES, Score, Source
from engine.scoring.attribution import Measured
from engine.settings import Settings
from engine.trust.agreement import ENOUGH_RECALL, ScoreAgreement, rank_correlations, score_agreements
from pages.shared import background, job_panel, look
from pages.shared.chart import chart, drawn, is_dark
from pages.shared.glossary import term
from pages.shared.work import result_of
from pages.verification.references import CIRCUIT, Reference

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def show(prepared: Prepared, settings: Settings, reference: Reference) -> None:
    total = prepared.model.n_layers * prepared.model.n_heads
    st.markdown(f"##### Which head score finds the heads of {look.plain(reference.title)}?")
    look.lead(
        f"Heads enter from the highest score down. {term('area under ROC', 'Area under the curve')}: the chance that a "
        f"head of the reference outscores another; 0.5 is chance. n = {look.count(len(prepared.prompts), 'pair')}, "
        f"{total} heads, {len(reference.heads)} of them the reference’s."
    )
    if reference.name == CIRCUIT:
        look.note("A circuit found inside a mask favours the score that made the mask.")
    _measure(prepared, settings)
    if not 0 < len(reference.heads) < total:
        look.empty("No curve to draw", "A reference with no head, or with all of them, ranks no score above another.")
        return
    parts = tuple(filter(None, (_measured(settings, source) for source in LAZY)))
    scores = drawn(_agreements, prepared.scores, parts, reference.heads, reference.effects)
    correlations = drawn(_correlations, prepared.scores, parts)
    _draw(prepared, scores, correlations, reference)


def at_hand(scores: HeadScores, parts: tuple[Measured, ...]) -> dict[str, Tensor]:
    """Every score there is, ``[layer head]`` by name: those of the preparation and those measured since."""
    measured = dict(scores.measured)
    for part in parts:
        measured |= part.scores.measured
    together = HeadScores(measured)
    return {score.value: together.of(score) for score in Score if together.has(score)}


def _agreements(
    scores: HeadScores, parts: tuple[Measured, ...], heads: tuple[Head, ...], effects: Tensor | None
) -> tuple[ScoreAgreement, ...]:
    return score_agreements(at_hand(scores, parts), heads, effects)


def _correlations(scores: HeadScores, parts: tuple[Measured, ...]) -> dict[tuple[str, str], float]:
    return rank_correlations(at_hand(scores, parts))


def _measured(settings: Settings, source: Source) -> Measured | None:
    return result_of(background.score_job(settings, source))


def _measure(prepared: Prepared, settings: Settings) -> None:
    """The way to the scores that take backward passes, and how that goes."""
    missing = [source for source in LAZY if _measured(settings, source) is None]
    with st.container(key="more_scores"):
        for source in missing:
            job = background.score_job(settings, source)
            if job is not None and job.live:
                job_panel.watch(job, f"score_{source.name.lower()}", f"Measuring {source.value}")
                return
            if job is not None and job.snapshot().state is not JobState.DONE:
                job_panel.problem(
                    job.snapshot(), f"score_{source.name.lower()}",
                    lambda source=source: background.start_score(settings, source),
                )  # fmt: skip
        open_to = [source for source in missing if background.score_job(settings, source) is None]
        if not open_to:
            return

        def start() -> None:
            for source in open_to:
                background.start_score(settings, source)

        names = dict.fromkeys(TITLES[score] for source in open_to for score in LAZY[source])
        with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
            st.button("Measure the other scores", key="measure_scores", icon=":material/add_chart:", on_click=start)
            look.note(f"They take backward passes: {', '.join(names)}.")


def _draw(
    prepared: Prepared,
    scores: tuple[ScoreAgreement, ...],
    correlations: Mapping[tuple[str, str], float],
    reference: Reference,
) -> None:
    dark, of = is_dark(), (background.data_of(prepared.settings), reference.heads)
    rows = score_rows(scores)
    st.dataframe(
        rows, hide_index=True, height=38 + 35 * len(rows), key="scores_table",
        column_config={
            "heads of the reference": None,
            **dict.fromkeys(list(rows[0])[1:3], st.column_config.NumberColumn(format="%.2f")),
            "rank correlation with |effect|": st.column_config.NumberColumn(
                format="%+.2f", help="Spearman’s, with the size of each head’s effect on the logits in the reference."
            ) if any(row["rank correlation with |effect|"] is not None for row in rows) else None,
        },
    )  # fmt: skip
    recall, roc = drawn(recall_figure, scores, ENOUGH_RECALL, dark), drawn(roc_figure, scores, dark)
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Recall by sparsity** of the keep mask; dashed at 90 %")
        known = look.count(len(reference.heads), "head")
        chart(recall, "recall", f"Recall of {known} by sparsity, {len(scores)} scores", identity=of)
    with right:
        st.markdown("**ROC**: the reference’s heads against all others")
        chart(roc, "roc", f"ROC curves of {len(scores)} scores for {len(reference.heads)} heads", identity=of)
    names = tuple(each.score for each in scores)
    st.markdown("**Rank correlations** of the scores with each other")
    look.lead(f"{term('Spearman', 'Spearman’s')}, over all heads: 1 is the same order, 0 no relation.")
    square = drawn(_square, names, tuple(correlations.items()), dark)
    chart(square, "correlations", f"Rank correlations of {len(names)} head scores", identity=of)
    _twin(scores, correlations, rows, {"recall": recall, "roc": roc, "rank-correlations": square}, dark)


def _square(names: tuple[str, ...], correlations: tuple, dark: bool) -> Figure:
    return correlations_figure(names, dict(correlations), dark)


def _twin(
    scores: tuple[ScoreAgreement, ...],
    correlations: Mapping[tuple[str, str], float],
    rows: list,
    figures: Mapping[str, Figure],
    dark: bool,
) -> None:
    with st.expander("Curves and correlations as tables, and downloads", key="twin_scores"):
        tables = {
            "recall": recall_rows(scores), "roc": roc_rows(scores), "rank-correlations": correlation_rows(correlations),
        }  # fmt: skip
        left, right = st.columns(2)
        left.dataframe(tables["recall"], hide_index=True, height=260)
        right.dataframe(tables["rank-correlations"], hide_index=True, height=260)
        with st.container(horizontal=True):
            look.download("Scores as CSV", lambda: rows_csv(rows), "scores-against-reference.csv", "text/csv")
            for name, table in tables.items():
                title = {"recall": "Recall", "roc": "ROC", "rank-correlations": "Correlations"}[name]
                look.download(f"{title} as CSV", lambda table=table: rows_csv(table), f"{name}.csv", "text/csv")
                look.download(
                    f"{title} as HTML", lambda name=name, title=title: figure_html(figures[name], title, dark),
                    f"{name}.html", "text/html",
                )  # fmt: skip
