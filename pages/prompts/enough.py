"""How many pairs are enough: the interval of the metric and of the top heads' scores as pairs are added."""

from __future__ import annotations

import streamlit as st

from engine.figures.enough import enough_rows, metric_figure, scores_figure
from engine.figures.export import figure_html, rows_csv
from engine.heads import Head
from engine.jobs.snapshot import JobState
from engine.prepare import Prepared
from engine.settings import Settings
from engine.trust.enough import COVERAGE, ENOUGH_OVERLAP, ENOUGH_WIDTH, Enough
from pages.shared import background, job_panel, look, state
from pages.shared.chart import chart, drawn, is_dark
from pages.shared.glossary import term
from pages.shared.metric_words import METRIC_WORDS

LEAD = (
    "As many pairs are drawn from these ones, with replacement, again and again; how far the drawings scatter is how "
    "far other pairs of the same templates would take the numbers. No forward pass is needed: scores are recomputed "
    "from what each pair contributes. {score} of the heads that come first with all pairs."
)


def show(prepared: Prepared, settings: Settings) -> None:
    look.step(None, "How many pairs are enough?", LEAD.format(score=term("C-FLAP", "C-FLAP scores")))
    job = background.enough_job(settings) or background.start_enough(settings)
    shot = job.snapshot()
    if shot.state.live:
        job_panel.watch(job, "enough", "Drawing pairs again and again")
    elif shot.state is not JobState.DONE:
        job_panel.problem(shot, "enough", lambda: background.start_enough(settings))
    elif shot.result is None:
        look.empty("One pair tells nothing about others", "Ask for more pairs in the sidebar: 8 are a start.")
    else:
        _draw(prepared, shot.result)


def _draw(prepared: Prepared, enough: Enough) -> None:
    look.verdict(*_verdict(prepared, enough), "yes" if enough.enough else "wait")
    name, unit, _, _ = METRIC_WORDS[prepared.prompts.metric]
    title = f"{name}, clean{f' ({unit})' if unit else ''}"
    dark, data = is_dark(), background.data_of(prepared.settings)
    left, right = st.columns(2)
    with left:
        st.markdown(f"##### {name} of the clean prompts")
        chart(
            metric_figure(enough, title, dark), "enough_metric", f"{name}: interval by number of pairs", identity=data
        )
    with right:
        st.markdown(f"##### Scores of the top {len(enough.heads)} heads")
        chart(
            drawn(scores_figure, enough, dark), "enough_scores", "Scores of the top heads by number of pairs",
            identity=data, on_click=lambda place: state.change(head=str(Head(*place))),
        )  # fmt: skip
    look.note(
        f"Mean over the pairs; {_percent(COVERAGE)} of {enough.draws} drawings lie in each interval, marks are medians "
        f"(bootstrap over pairs, seed {prepared.settings.seed}). Few pairs blur the scores. Templates other than these "
        "may differ by more."
    )
    _twin(enough, title, dark)


def _verdict(prepared: Prepared, enough: Enough) -> tuple[str, str]:
    """The headline, and the numbers behind it."""
    name, unit, _, digits = METRIC_WORDS[prepared.prompts.metric]
    last, top = enough.stages[-1], len(enough.heads)
    spread = f"{look.number(last.metric.value, digits)} ± {look.number(last.metric.half_width, digits)} {unit}".strip()
    text = (
        f"{name} {spread} ({_percent(COVERAGE)}). The top {top} heads are the same {top} in "
        f"{_percent(last.unchanged)} of the drawings; on average {top * last.overlap:.1f} of them stay. "
    )
    if enough.enough:
        return f"{enough.n} pairs: enough.", text + "More would narrow this further, but hardly change who leads."
    return f"{enough.n} pairs: more would help.", text + _more(enough)


def _more(enough: Enough) -> str:
    if enough.needed > enough.n:
        width = _percent(ENOUGH_WIDTH)
        return f"About {enough.needed} pairs would bring the interval to ± {width} of the mean (estimate)."
    return (
        f"The metric is well known, but less than {_percent(ENOUGH_OVERLAP)} of the top heads stay: heads of nearly "
        "the same score change places."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _twin(enough: Enough, title: str, dark: bool) -> None:
    with st.expander("Intervals as a table, and downloads", key="twin_enough"):
        rows = enough_rows(enough)
        st.dataframe(rows, hide_index=True, height=320)
        with st.container(horizontal=True):
            look.download("Intervals as CSV", lambda: rows_csv(rows), "how-many-pairs.csv", "text/csv")
            look.download(
                "Metric as HTML", lambda: figure_html(metric_figure(enough, title, dark), "How many pairs", dark),
                "how-many-pairs-metric.html", "text/html",
            )  # fmt: skip
            look.download(
                "Scores as HTML", lambda: figure_html(scores_figure(enough, dark), "How many pairs: scores", dark),
                "how-many-pairs-scores.html", "text/html",
            )  # fmt: skip
