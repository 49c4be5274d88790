"""Every score can be looked at; those that take backward passes come when somebody does."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from engine.errors import HeadlightError
from engine.progress import Watcher
from engine.pruning.sparsity_sweep import sweep_of
from engine.scores.kinds import TITLES, Score
from engine.scoring.attribution import with_score
from engine.scoring.score_recall import ScoreRecall
from pages.shared import further_scores, score_recall, work
from pages.shared.background import background
from pages.shared.score_views import TITLES as SHOWN
from pages.shared.view import SCORES
from tests.pages.conftest import OpenApp, has_button, run_until, texts
from tests.pages.test_head_scores import hold


def map_shown(app: AppTest) -> bool:
    return "scores_link" in app.session_state and "The map appears here" not in texts(app)


def choose(app: AppTest, name: str) -> AppTest:
    return next(group for group in app.button_group if group.key == "view_score").set_value(name).run()


def test_the_switch_offers_every_score_by_its_title() -> None:
    assert (*(score.value for score in Score), "difference") == SCORES and set(SHOWN) == set(SCORES)
    assert {SHOWN[score.value] for score in Score} == set(TITLES.values())


def test_each_score_has_its_map_on_the_explorer(open_app: OpenApp) -> None:
    app = run_until(open_app(), lambda app: has_button("start_search")(app) and map_shown(app))
    for name in SCORES:
        app = run_until(choose(app, name), map_shown)
        assert app.query_params["score"] == name and not app.exception and not app.error
    assert len([key for key in background().glances.known() if isinstance(key, tuple) and key[0] == "score"]) == 3


@pytest.mark.parametrize("name", ["merged", "position_attribution"])
def test_the_score_shown_has_its_own_curve_and_cliffs(open_app: OpenApp, name: str) -> None:
    def own_curve(app: AppTest) -> bool:
        return any("Fixed cliff" in button.label and SHOWN[name] in button.help for button in app.button)

    run_until(open_app(score=name), own_curve)
    [job] = [job for job in background().jobs.all() if job.key[0] == "sweep"]
    sweep = job.snapshot().result
    prepared = background().jobs.find(("ready", job.key[1])).snapshot().result
    assert sweep == sweep_of(with_score(prepared, Score(name), Watcher()), Score(name), Watcher())


def test_the_curve_of_the_score_shown_can_fail_and_be_measured_again(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments):
        raise HeadlightError("no curve today")

    sweep = work.sweep
    monkeypatch.setattr(work, "sweep", broken)
    app = run_until(open_app(score="output_difference"), lambda app: bool(app.error))
    assert "no curve today" in app.error[0].value and map_shown(app) and not app.exception
    monkeypatch.setattr(work, "sweep", sweep)
    app.button("again_sweep").click().run()
    run_until(app, lambda app: any("Fixed cliff" in button.label for button in app.button) and not app.error)


@pytest.mark.parametrize("name", ["output_difference", "position_attribution", "rank_sum"])
def test_each_score_has_a_large_map_and_a_place_on_the_card(open_app: OpenApp, name: str) -> None:
    app = run_until(
        open_app("head_scores", maps="one", score=name, head="1.2"),
        lambda app: f"{SHOWN[name]} rank" in texts(app) and "The map appears here" not in texts(app),
    )
    assert "C-FLAP rank" in texts(app) and not app.exception and not app.error


def test_while_a_score_is_measured_the_page_goes_on_and_says_so(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(further_scores, "PATIENCE", 0.01)
    gate = hold(monkeypatch, "score")
    app = open_app(score="attribution", among="ringed", head="1.2")
    app = run_until(app, lambda app: "Measuring attribution" in texts(app) and has_button("start_search")(app))
    page = texts(app)
    assert "The map appears here" in page and "the search measures it first" in page and "C-FLAP rank" in page
    app.button("cancel_score").click().run()
    app = run_until(app, has_button("again_score"))
    assert "Cancelled." in texts(app) and not app.exception
    gate.set()
    app.button("again_score").click().run()
    app = run_until(app, lambda app: bool(app.error))
    assert "gate opened" in app.error[0].value and not app.exception


def test_a_search_inside_a_measured_score_does_not_measure_it_again(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[object] = []
    score = work.score

    def counted(*arguments):
        measured.append(arguments)
        return score(*arguments)

    monkeypatch.setattr(work, "score", counted)
    app = open_app(score="position_attribution", among="ringed", sparsity="0.6")
    app = run_until(app, lambda app: has_button("start_search")(app) and map_shown(app))
    app.button("start_search").click().run()
    app = run_until(app, lambda app: any(box.key == "circuit_head" for box in app.selectbox))
    assert len(measured) == 1 and not app.exception and not app.error
    (job,) = [job for job in background().jobs.all() if isinstance(job.key, tuple) and job.key[0] == "search"]
    found = job.snapshot().result
    (booked,) = [row for row in found.cost if row.stage == "attribution"]
    (known,) = [job for job in background().glances.all() if isinstance(job.key, tuple) and job.key[0] == "score"]
    assert booked == known.snapshot().result.cost


RECALL = ScoreRecall(
    "smollm2-135m", 8, 0.3,
    {
        "ioi": {Score.CONTRASTIVE_FLAP: 0.7, Score.FLAP: 0.4, Score.POSITION_ATTRIBUTION: 0.9},
        "docstring": {Score.CONTRASTIVE_FLAP: 0.8, Score.FLAP: 0.9, Score.POSITION_ATTRIBUTION: 1.0},
    },
)  # fmt: skip


def test_the_best_score_is_told_with_its_numbers_and_the_papers_beside_it() -> None:
    said = score_recall.words(RECALL)
    assert "2 tasks, 8 pairs each" in said and "top 30 % of all heads by Attribution by position hold most" in said
    assert "95 % on average (90 to 100 %)" in said and "by C-FLAP, the paper’s score and the default, 75 %" in said
    walked = ScoreRecall(
        "toy", 1, 0.3, {"ioi": {Score.CONTRASTIVE_FLAP: 0.5, Score.INTEGRATED_ATTRIBUTION: 0.7, Score.WALK: 0.9}}
    )
    assert score_recall.words(walked).endswith(
        "Walk by estimates hold most, 90 %. It takes a sweep of all heads, as a dense search does; without one "
        "Integrated attribution holds most, 70 %, and by C-FLAP, the paper’s score and the default, 50 %."
    )
    only = ScoreRecall("toy", 1, 0.3, {"ioi": {Score.CONTRASTIVE_FLAP: 0.7}})
    assert score_recall.words(only).endswith("hold most, 70 %. It is the paper’s score and the default.")


def test_pages_say_it_where_it_was_measured_and_nothing_where_it_was_not(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_recall, "known_recall", lambda: RECALL)
    app = run_until(open_app("head_scores"), lambda app: "heads shown" in texts(app))
    assert "hold most" in texts(app)
    monkeypatch.setattr(score_recall, "known_recall", lambda: None)
    assert "hold most" not in texts(app.run()) and not app.exception
