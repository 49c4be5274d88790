"""Several visitors and a public demonstration, through the pages: limits, shared jobs, the log and the health line."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.errors import HeadlightError
from engine.jobs.snapshot import JobState
from engine.serving import log
from engine.settings import Method, Settings
from pages.shared import background, health, runs, search_jobs, server_log, verification_jobs, visitors
from pages.shared.background import submit_all
from tests.loops import in_a_loop
from tests.pages.conftest import PATIENCE, OpenApp, has_button, run_until, texts
from tests.pages.test_jobs_panel import Gate, listed

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=4)


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A demonstration; the folder where everything would be kept."""
    monkeypatch.setenv("HEADLIGHT_DEMO", "1")
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HEADLIGHT_HOME", str(tmp_path / "home"))
    return tmp_path


def warnings(app: AppTest) -> str:
    return "\n".join(warning.value for warning in app.warning).replace("\\", "")


def ready(app: AppTest) -> AppTest:
    return run_until(app, has_button("start_search"))


def test_a_link_asks_for_no_more_pairs_than_allowed(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADLIGHT_MAX_PAIRS", "5")
    app = ready(open_app(pairs="6"))
    assert "The link's pairs was not used: Expected a whole number from 1 to 5" in warnings(app)
    assert "Shown instead: 5." in warnings(app) and app.query_params["pairs"] in (["5"], "5")
    [pairs] = [field for field in app.number_input if field.label == "Prompt pairs"]
    assert (pairs.value, pairs.max) == (5, 5) and not app.exception


@pytest.mark.parametrize("model", ["/etc", "gpt2", "someone/else", "~", "model.gguf"])
def test_a_demonstration_takes_no_other_model_from_a_link(open_app: OpenApp, demo: Path, monkeypatch, model) -> None:
    monkeypatch.setenv("HEADLIGHT_DEMO_MODELS", "toy-induction")
    app = ready(open_app(model=model))
    assert f"This demonstration offers toy-induction, and no other model; got “{model}”" in warnings(app)
    [box] = [box for box in app.selectbox if box.label == "Model"]
    assert box.value == "toy-induction" and box.options == ["Toy induction model"] and not app.exception


def test_a_demonstration_takes_at_most_sixteen_pairs(open_app: OpenApp, demo: Path) -> None:
    app = open_app(pairs="17")
    assert "Expected a whole number from 1 to 16" in warnings(app)
    [trials] = [field for field in ready(app).number_input if field.label == "Trials"]
    assert trials.max == 20 and trials.value == 20


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (replace(SETTINGS, pairs=17), "at most 16 prompt pairs in this demonstration, got 17"),
        (replace(SETTINGS, model="/etc"), "no other model; got “/etc”"),
        (replace(SETTINGS, model="gpt2"), "no other model; got “gpt2”"),
    ],
)
def test_what_does_not_come_by_a_widget_is_refused_too(open_app: OpenApp, demo: Path, settings, words) -> None:
    ready(open_app())
    jobs = [
        background.start_ready(settings),
        search_jobs.start_search(settings),
        search_jobs.start_tune(settings, 3),
        background.start_roles(settings),
        background.glance(settings, "what", lambda prepared: prepared),
        verification_jobs.start_verify(settings, (), 0),
    ]
    search_jobs.start_race([settings, replace(settings, method=Method.DENSE)])
    jobs.append(search_jobs.search_job(replace(settings, method=Method.DENSE)))
    for job in jobs:
        shot = job.snapshot()
        assert shot.state is JobState.FAILED and shot.started is None and words in (shot.error or "")


def test_too_many_tokens_are_refused_before_they_run(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADLIGHT_MAX_TOKENS", "30")
    app = run_until(open_app(), has_button("again_ready"))
    [error] = app.error
    assert "Expected at most 30 tokens on this server, pairs times the longest prompt, and 4 pairs" in error.value


def test_more_heads_than_allowed_are_refused(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADLIGHT_MAX_HEADS", "23")
    app = run_until(open_app(), has_button("again_ready"))
    [error] = app.error
    assert "a model of at most 23 heads on this server" in error.value and "has 24" in error.value


def test_more_trials_than_allowed_are_refused(open_app: OpenApp, demo: Path) -> None:
    ready(open_app())
    job = search_jobs.start_tune(SETTINGS, 21)
    assert job.wait(PATIENCE) and "at most 20 trials in this demonstration, got 21" in (job.snapshot().error or "")


def test_a_demonstration_tunes_and_searches_and_writes_nothing(open_app: OpenApp, demo: Path) -> None:
    ready(open_app())
    tuned, searched = search_jobs.start_tune(SETTINGS, 2), search_jobs.start_search(SETTINGS)
    assert tuned.wait(PATIENCE) and searched.wait(PATIENCE)
    assert len(tuned.snapshot().result.trials) == 2 and searched.snapshot().result.complete
    assert search_jobs.kept_trials(background.ready_job(SETTINGS).snapshot().result, SETTINGS) == 0  # type: ignore
    assert not [path for path in demo.rglob("*") if path.is_file()]


def test_too_many_waiting_are_told_on_the_page(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADLIGHT_MAX_WAITING_ALL", "2")
    app = ready(open_app())
    gate = Gate()
    jobs = background.background().jobs
    jobs.submit("blocker", gate)
    assert gate.entered.wait(PATIENCE)
    while jobs.waiting():
        jobs.waiting()[0].cancel()
    for name in ("one", "two"):
        jobs.submit(name, Gate())
    app.button("start_search").click().run()
    assert "2 jobs of all visitors wait already, and no more than 2 may" in app.error[0].value
    gate.opened.set()


def test_cancelled_by_one_of_two_it_goes_on_and_he_is_told(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = ready(open_app())
    gate = Gate()
    behind = background.background()
    job = behind.jobs.submit(("search", SETTINGS), gate, "another")
    assert gate.entered.wait(PATIENCE)
    monkeypatch.setattr(behind.visitors, "_connected", lambda session: True)
    behind.visitors.note("another session", "another")
    app.run()
    assert not [entry for entry in listed(app) if "path patching" in entry]  # another visitor's
    assert "of them of other visitors" in texts(app)
    assert app.button("cancel_search").click().run().toast[0].value.startswith("Somebody else is waiting")
    assert job.live and not job.snapshot().cancelling
    ended = behind.jobs.submit(("verify", SETTINGS, "theirs"), lambda watcher: None, "another")
    assert ended.wait(PATIENCE) and not [entry for entry in listed(app.run()) if "Verification" in entry]
    monkeypatch.setattr(behind.visitors, "_connected", lambda session: session != "another session")
    app.run()
    assert [entry for entry in listed(app) if "path patching" in entry]  # nobody's any more
    assert [entry for entry in listed(app) if "Verification" in entry]
    app.button("cancel_search").click().run()
    assert job.wait(PATIENCE) and job.snapshot().state is JobState.CANCELLED


def test_one_who_moves_on_withdraws_and_what_nobody_looks_at_is_cancelled(open_app: OpenApp) -> None:
    app = ready(open_app())
    behind = background.background()
    gate = Gate()
    blocker = behind.jobs.submit(("search", "blocker"), gate)
    assert gate.entered.wait(PATIENCE)
    mine, theirs = replace(SETTINGS, seed=1), replace(SETTINGS, seed=2)
    behind.visitors.note("another session", "another")
    behind.visitors.move("another session", theirs)
    jobs = [behind.jobs.submit(("band", each), Gate(), "another") for each in (mine, theirs)]
    for seed in (1, 2, 3):
        app.query_params["seed"] = str(seed)
        app.run()
    assert [job.live for job in jobs] == [False, True]
    gate.opened.set()
    assert blocker.wait(PATIENCE)
    jobs[1].cancel()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    logger = logging.getLogger(log.LOGGER)
    before = logger.handlers[:], logger.level, logger.propagate
    monkeypatch.setenv("HEADLIGHT_LOG", "json")
    stream = io.StringIO()
    log.configure(stream)
    yield stream
    logger.handlers[:], logger.level, logger.propagate = before


def test_the_log_tells_of_sessions_models_and_jobs_and_holds_no_prompt(open_app: OpenApp, told: io.StringIO) -> None:
    app = ready(open_app())
    app.button("start_search").click().run()
    job = search_jobs.search_job(SETTINGS)
    assert job is not None and job.wait(PATIENCE)
    background.background().jobs.submit("bug", lambda watcher: 1 / 0).wait(PATIENCE)
    background.background().jobs.close(PATIENCE)
    lines = [json.loads(line) for line in told.getvalue().splitlines()]
    events = [line["event"] for line in lines]
    assert {"session began", "model loaded", "job queued", "job started", "job done", "job failed", "job broke"} <= set(
        events
    )
    [done] = [line for line in lines if line["event"] == "job done" and line["kind"] == "search"]
    assert done["lane"] == "cpu" and done["seconds"] > 0 and done["stage"] == "verification"
    assert len(done["owner"]) == 10
    [broke] = [line for line in lines if line["event"] == "job broke"]
    assert "ZeroDivisionError" in broke["traceback"] and "Traceback" not in told.getvalue().replace(
        json.dumps(broke["traceback"])[1:-1], ""
    )
    prompts = background.background().jobs.find(("ready", background.data_of(SETTINGS))).snapshot().result.prompts
    assert all(text not in told.getvalue() for pair in prompts.pairs for text in (pair.clean, pair.corrupted))
    assert visitors.session() == "" and "test session id" not in told.getvalue()


def test_a_path_is_not_told(told: io.StringIO) -> None:
    server_log.model("loaded", "/home/somebody/secret", 1.0)
    server_log.model("loaded", "gpt2", 1.0)
    assert "somebody" not in told.getvalue() and '"model": "gpt2"' in told.getvalue()


def test_health_says_what_there_is(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert health.health(None, tmp_path)["status"] == "ok"
    ready(open_app())
    behind, gate = background.background(), Gate()
    while behind.jobs.waiting() or behind.jobs.running():
        for job in (*behind.jobs.waiting(), *behind.jobs.running()):
            job.cancel()
            job.wait(PATIENCE)
    behind.jobs.submit("one", gate)
    behind.jobs.submit("two", gate)
    assert gate.entered.wait(PATIENCE)
    told = health.health(behind, tmp_path / "not" / "there" / "yet")
    assert (told["status"], told["jobs_running"], told["jobs_waiting"], told["models"]) == ("ok", 1, 1, 1)
    assert told["memory_mb"] > 50 and told["store"] == "writable" and json.loads(json.dumps(told)) == told
    gate.opened.set()
    assert health.health(behind, Path("/proc/nothing"))["store"] == "not writable"
    assert health.health(behind, Path("/proc/nothing"))["status"] == "unwell"
    monkeypatch.setenv("HEADLIGHT_DEMO", "1")
    assert health.health(behind, Path("/proc/nothing"))["store"] == "read-only"
    behind.jobs.close(PATIENCE)
    assert health.health(behind, tmp_path)["status"] == "unwell"  # nothing is begun any more


def test_the_route_answers_in_one_line_and_503_when_unwell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:

    monkeypatch.setattr(health, "latest", lambda: None)
    monkeypatch.setenv("HEADLIGHT_HOME", str(tmp_path))
    well = in_a_loop(health.answer(None))  # type: ignore[arg-type]
    monkeypatch.setenv("HEADLIGHT_HOME", "/proc/nothing")
    unwell = in_a_loop(health.answer(None))  # type: ignore[arg-type]
    assert (well.status_code, unwell.status_code) == (200, 503)
    assert json.loads(bytes(well.body))["status"] == "ok" and b"\n" not in bytes(well.body)


def test_requests_without_settings_run_on_the_usual_device(open_app: OpenApp) -> None:
    ready(open_app())
    [job] = submit_all([("plain", lambda watcher: 1)])
    [other] = submit_all([(("x", replace(SETTINGS, device="cuda")), lambda watcher: 2)])
    assert job.wait(PATIENCE) and other.wait(PATIENCE) and (job.lane, other.lane) == ("cpu", "cuda")


def test_a_glance_is_its_visitors_and_begins_again_only_if_it_was_refused(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_app()
    glances, gate, tries = background.background().glances, Gate(), []
    monkeypatch.setattr(visitors, "owner", lambda: "one")
    job = background.look_at("what", gate)
    monkeypatch.setattr(visitors, "owner", lambda: "another")
    assert background.look_at("what", gate) is job and glances.owners(job) == ("one", "another")
    gate.opened.set()
    refused = glances.refuse("late", "You have 24 jobs waiting.")
    again = background.look_at("late", lambda watcher: 3)
    assert again is not refused and again.wait(PATIENCE) and again.snapshot().result == 3

    def fail(watcher: object) -> None:
        tries.append(watcher)
        raise HeadlightError("It cannot be read.")

    for _ in range(2):  # a page asks at each of its runs
        assert background.look_at("bad", fail).wait(PATIENCE)
    assert len(tries) == 1


def test_a_glance_begun_by_a_page_counts_against_its_visitors_limit(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADLIGHT_MAX_WAITING", "1")
    open_app()
    monkeypatch.setattr(visitors, "owner", lambda: "one")
    gate = Gate()
    background.look_at("at work", gate)
    assert gate.entered.wait(PATIENCE)
    background.look_at("waits", gate)
    refused = runs.read_kept("0" * 12)
    assert refused.was_refused and "1 may wait for each visitor" in (refused.snapshot().error or "")
    gate.opened.set()
