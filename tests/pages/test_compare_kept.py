"""Compare with runs that are kept on disk, and whether two of them are the same digit by digit."""

from __future__ import annotations

import json

from engine.capsule.difference import difference, difference_json
from engine.capsule.reading import capsule_of
from engine.record.json_values import dumps
from engine.store.store import RunStore
from pages.shared import runs
from pages.shared.background import background
from tests.pages.conftest import OpenApp, run_until, texts
from tests.pages.test_compare import APP, DENSE, compared, give
from tests.pages.test_kept import restart
from tests.pages.test_runs import ran


def test_runs_kept_before_a_restart_are_chosen_and_compared(open_app: OpenApp) -> None:
    first, second = ran(APP, DENSE)
    RunStore().rename(first, "The first")
    restart()
    app = open_app("compare")
    assert "Or compare runs that are kept on this machine" in texts(app) and not app.exception
    assert any("The first" in option for option in app.selectbox("view_left").options)
    app.selectbox("view_left").set_value(first).run()
    app.selectbox("view_right").set_value(second).run()
    assert (app.query_params["left"], app.query_params["right"]) == (first, second)
    app = run_until(app, compared)
    assert "<td>app</td><td>dense</td>" in texts(app) and not app.exception and not app.warning
    app.button("swap_runs").click().run()
    assert "<td>dense</td><td>app</td>" in texts(app)


def test_one_kept_run_alone_offers_no_choice(open_app: OpenApp) -> None:
    ran(APP)
    restart()
    app = open_app("compare")
    assert "Or compare runs" not in texts(app) and not app.exception


def test_two_runs_made_of_the_same_settings_are_the_same(open_app: OpenApp) -> None:
    [first] = ran(APP)
    second = RunStore().add(RunStore().read(first))
    restart()
    app = run_until(open_app("compare", left=first, right=second), lambda app: "The same." in texts(app))
    assert "to the last digit" in texts(app) and "Made with the same versions" in texts(app)


def test_a_single_digit_that_differs_is_told_and_stands_in_the_file(open_app: OpenApp) -> None:
    [first] = ran(APP)
    store = RunStore()
    record = json.loads(dumps(store.read(first)))
    record["circuit"]["edges"][0]["effect"] += 0.25
    record |= {"fingerprint": "0" * 16, "made_with": record["made_with"] | {"torch": "9.9"}}
    second = store.add(record)
    background().kept.changed()
    app = run_until(open_app("compare", left=first, right=second), lambda app: "Not the same." in texts(app))
    page = texts(app)
    assert "They differ in circuit;" in page and "apart by at most 0.25 of clean − corrupted" in page
    assert "Other weights: fingerprints" in page and "Versions differ: torch" in page and not app.exception
    told = difference_json(difference(capsule_of(store.read(first)), capsule_of(store.read(second))))
    assert not told["bitwise_equal"] and [name for name, same in told["same"].items() if not same] == ["circuit"]


def test_a_json_file_is_compared_digit_by_digit_with_the_run_it_is_of(open_app: OpenApp) -> None:
    [first] = ran(APP)
    content = dumps(RunStore().read(first)).encode()
    app = give(open_app("compare", left=runs.id_of(APP)), ("mine.json", content))
    app = run_until(app, lambda app: "Digit by digit" in texts(app) and "The same." in texts(app))
    assert "to the last digit" in texts(app) and not app.exception
