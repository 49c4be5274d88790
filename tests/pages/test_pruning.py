"""The pruning page in each of its states, and a union chosen there."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from engine.pruning.merge import UNION_NAMES, union_words
from engine.pruning.sparsity_sweep import Pruning
from pages.pruning.unions import AUTOMATIC
from pages.shared import background
from pages.shared.search_run import describe
from pages.shared.view import View
from pages.shared.work import result_of
from tests.pages.conftest import OpenApp, has_button, run_until, texts
from tests.pages.test_explorer import ready as explorer_ready
from tests.pages.test_explorer import searched
from tests.pages.test_head_scores import hold


def measured(app: AppTest) -> bool:
    return "The nine unions" in texts(app) and not has_button("cancel_curve")(app)


def open_measured(open_app: OpenApp, **params: str) -> AppTest:
    return run_until(open_app("pruning", **params), measured)


def pruning_of(app: AppTest) -> Pruning:
    view = View(model=app.query_params["model"], task=app.query_params["task"], pairs=int(app.query_params["pairs"]))
    return result_of(background.curve_job(view.settings()))


def test_while_the_curves_are_measured_the_rest_waits(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = hold(monkeypatch, "curve")
    app = run_until(open_app("pruning"), lambda app: "Made to wait" in texts(app))
    page = texts(app)
    assert "Measuring the performance curves" in page and "No curves yet" in page and "1 of 4" in page
    assert "The nine unions" not in page and "One head" in page
    app.button("cancel_curve").click().run()
    app = run_until(app, has_button("again_curve"))
    assert "Cancelled." in texts(app) and "No curves yet" not in texts(app)
    gate.set()
    app.button("again_curve").click().run()
    app = run_until(app, lambda app: bool(app.error))
    assert "gate opened" in app.error[0].value and has_button("again_curve")(app) and not app.exception


def test_a_model_that_is_not_there_is_said_so(open_app: OpenApp) -> None:
    app = run_until(open_app("pruning", model="/no/such/folder"), has_button("again_ready"))
    assert "/no/such/folder" in app.error[0].value and not app.exception


def test_the_cliffs_and_unions_are_listed_with_their_reasons(open_app: OpenApp) -> None:
    app = open_measured(open_app)
    page, pruning = texts(app), pruning_of(app)
    for sweep in pruning.sweeps.values():
        for cliff in sweep.cliffs.all():
            size = sweep.sizes[cliff.index]
            assert f"<td>{cliff.kind.value}</td><td>{cliff.sparsity:.2f}</td><td>{size}</td>" in page
    assert "the last point before the first change" in page and "a fixed sparsity of 75 %" in page
    assert page.count("<td><b>") + page.count('<td class="taken"><b>') == 9
    assert f"Chosen automatically: {union_words(pruning.choice.merge.name)}" in page and pruning.choice.reason in page
    (frame,) = [frame.value for frame in app.dataframe if "meets the rule" in frame.value.columns]
    assert list(frame["union"]) == list(UNION_NAMES) and list(frame["used"]).count(True) == 1
    at = list(UNION_NAMES).index(pruning.choice.merge.name)
    assert frame["performance %"][at] == pytest.approx(pruning.choice.merge.performance)
    assert 0.9 < frame["faithfulness"][at] < 1.1 and not app.exception and not app.error


def test_a_union_of_ones_own_is_explained_reaches_the_explorer_and_can_be_undone(open_app: OpenApp) -> None:
    app = open_measured(open_app, head="1.2")
    pruning = pruning_of(app)
    own = next(merge for merge in pruning.merges if merge.size != pruning.choice.merge.size)
    app.selectbox("union_choice").set_value(own.name).run()
    assert app.query_params["union"] == own.name
    page = texts(app)
    assert f"Chosen by you: {union_words(own.name)}, {own.size} heads." in page and "The automatic choice is" in page
    assert "In the union chosen by you." in page and f"{own.size} of 24 heads" in page

    explorer = run_until(open_app(union=own.name), explorer_ready)
    explorer = run_until(explorer, lambda app: f"Your union: {own.size} heads" in among(app))
    assert f"Union chosen by you: **{union_words(own.name)}**, {own.size} heads." in texts(explorer)
    explorer.button("start_search").click().run()
    explorer = run_until(explorer, searched)
    assert list(explorer.selectbox("circuit_head").options) == ["0.1", "1.2"]
    explorer.button("union_automatic").click().run()
    assert "union" not in explorer.query_params and "Automatic:" in among(explorer)

    app.button("union_automatic").click().run()
    assert "union" not in app.query_params and "Chosen automatically" in texts(app) and not app.exception


def among(app: AppTest) -> str:
    """The titles of what the Explorer may search among."""
    return " ".join(next(group for group in app.button_group if group.key == "view_among").options)


def test_the_automatic_union_by_name_is_no_choice_of_ones_own(open_app: OpenApp) -> None:
    app = open_measured(open_app, among="all", union="fixed+fixed")
    assert app.selectbox("union_choice").value == "fixed+fixed"
    app.selectbox("union_choice").set_value(pruning_of(app).choice.merge.name).run()
    assert "union" not in app.query_params and "among" not in app.query_params
    assert app.selectbox("union_choice").value == AUTOMATIC


def test_the_slider_says_what_each_list_keeps(open_app: OpenApp) -> None:
    app = open_measured(open_app, sparsity="0.5")
    assert "at sparsity 0.50" in texts(app) and app.slider("view_sparsity").value == 0.5
    sweep = pruning_of(app).sweeps["flap"]
    assert f"<b>{sweep.sizes[50]}<small>heads" in texts(app)


def test_a_union_is_said_in_words() -> None:
    assert describe(View(union="first+biggest").settings()).startswith("inside your union first + biggest, screened")
