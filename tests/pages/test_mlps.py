"""MLPs as nodes on the pages: the choice, the link, what a search with it shows."""

from pages.shared.link import read_view, write_view
from pages.shared.view import View, run_fields
from tests.pages.conftest import OpenApp, run_until, texts
from tests.pages.test_explorer import found, ready


def test_the_choice_stands_in_the_url_and_in_the_settings(open_app: OpenApp) -> None:
    app = run_until(open_app(), ready)
    assert not app.toggle("view_mlps").value and "mlps" not in app.query_params
    app.toggle("view_mlps").set_value(True).run()
    assert app.query_params["mlps"] == "1" and "a harder test" in texts(app)
    assert "take all of them for candidates" in texts(app) and not app.exception
    again = run_until(open_app(mlps="1"), ready)
    assert again.toggle("view_mlps").value
    view = View(mlps=True)
    assert view.settings().mlps and not View().settings().mlps
    assert View(**run_fields(view.settings())).settings() == view.settings()


def test_links_name_edges_of_mlps() -> None:
    for edge in ("m3-logits", "1.0-m1.mlp", "m0-1.2.q"):
        view, problems = read_view({"edge": edge}, {})
        assert view.edge == edge and not problems and write_view(view)["edge"] == edge
    for wrong in ("1.0-m1.q", "m1", "1.0-1.2.mlp", "mx-logits"):
        view, problems = read_view({"edge": wrong}, {})
        assert view.edge is None and len(problems) == 1


def test_a_search_shows_mlps_and_how_it_was_verified(open_app: OpenApp) -> None:
    app = found(open_app, mlps="1", among="all", threshold_scale="0", min_effect="0")
    assert not app.exception and not app.error
    page = texts(app)
    assert "MLP" in page and "ablation of all other heads and MLPs" in page and "of 2 MLPs" in page
    names = list(app.selectbox("circuit_edge").options)
    assert any(" → m0.mlp" in name for name in names)
    assert {"0.1", "1.2"} <= set(app.selectbox("circuit_head").options)


def test_the_other_pages_take_such_a_run(open_app: OpenApp) -> None:
    found(open_app, mlps="1", among="all", threshold_scale="0", min_effect="0")
    params = {"mlps": "1", "among": "all", "threshold_scale": "0", "min_effect": "0"}
    for room, words in (("circuit", "Circuit"), ("path_patching", "who reaches the logits")):
        app = run_until(open_app(room, **params), lambda app, words=words: words in texts(app))
        assert not app.exception and not app.error
    step = run_until(open_app("path_patching", **params, step="5"), lambda app: "who feeds the MLP m0" in texts(app))
    assert not step.exception
