"""Searches of the pages in the run store: brought back after a restart, gone on with, attached to, never lost."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from engine.errors import HeadlightError
from engine.figures.tables import edge_rows
from engine.jobs.snapshot import JobState
from engine.notes.journal import Chunk, Journal
from engine.settings import Settings
from engine.store.open_run import OpenRun
from engine.store.store import RunStore
from engine.store.stored_run import RunState
from pages.shared import background as behind_pages
from pages.shared import search_jobs, verification_jobs, work
from pages.shared.background import background
from pages.shared.kept import PROGRESS
from pages.verification import starting
from tests.pages.conftest import PATIENCE, OpenApp, has_button, run_until, texts
from tests.pages.test_runs import APP, left_behind, ran


def restart() -> None:
    """As if the server had been ended and started again."""
    background().jobs.close(PATIENCE)
    background().glances.close(PATIENCE)
    background.clear()


def loaded() -> None:
    job = behind_pages.start_ready(APP)
    assert job.wait(PATIENCE) and job.snapshot().state is JobState.DONE


def test_a_restarted_server_shows_the_run_again_without_searching(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(APP)
    before = search_jobs.search_job(APP)
    assert before is not None
    found = before.snapshot().result
    restart()
    monkeypatch.setattr(work, "search", lambda *arguments: pytest.fail("it was searched again"))
    assert search_jobs.search_job(APP) is None, "only for the model's very weights, so it is loaded first"
    app = run_until(open_app("circuit"), lambda app: "<h2>The graph</h2>" in texts(app))
    assert not app.exception and not has_button("start_search")(app)
    again = search_jobs.search_job(APP)
    assert again is not None and again.snapshot().state is JobState.DONE
    assert edge_rows(again.snapshot().result.circuit) == edge_rows(found.circuit)
    assert "Search" not in "".join(line for line in texts(app).splitlines() if "hl-job " in line), "no news to tell"
    assert len(RunStore().all()) == 1


def test_a_run_of_other_weights_is_not_brought_back(open_app: OpenApp) -> None:
    [run] = ran(APP)
    record = RunStore().read(run) | {"fingerprint": "0" * 16}
    RunStore().delete(run)
    RunStore().add(record)
    restart()
    loaded()
    assert search_jobs.search_job(APP) is None


def test_a_damaged_run_is_not_brought_back_and_stops_nothing(open_app: OpenApp) -> None:
    [run] = ran(APP)
    store = RunStore()
    [file] = (store.root / "runs" / run).glob("run.json")
    file.write_text("{}")
    restart()
    app = run_until(open_app("circuit"), has_button("start_search"))
    assert not app.exception and "Nothing has been searched yet" in texts(app)


@pytest.mark.parametrize("room", ["explorer", "circuit"])
def test_an_interrupted_run_is_offered_and_goes_on(open_app: OpenApp, room: str) -> None:
    with RunStore().begin(APP) as run:
        run.journal.write(PROGRESS, Chunk({"share": 0.6}))
    app = run_until(open_app(room), has_button("start_anew"))
    assert "stopped at about 60 % when its program ended" in texts(app)
    assert app.button("start_search").label == "Go on"
    app.button("start_search").click().run()
    run_until(app, lambda app: "Kept on this machine" in labels(app))
    assert [(each.id, each.state) for each in RunStore().all()] == [(run.id, RunState.DONE)]


def labels(app: object) -> list[str]:
    found = [link.proto.label for link in app.get("page_link")]  # type: ignore[attr-defined]
    return [label.partition(":")[0] for label in found]


def test_an_interrupted_run_can_be_left_and_started_anew(open_app: OpenApp) -> None:
    old = left_behind(APP, "gone")
    app = run_until(open_app("circuit"), has_button("start_anew"))
    app.button("start_anew").click().run()
    run_until(app, lambda app: "<h2>The graph</h2>" in texts(app))
    [new] = RunStore().all()
    assert new.id != old and new.state is RunState.DONE and RunStore().get(old).deleted is not None


def test_what_is_learnt_of_a_circuit_is_attached_to_its_run(open_app: OpenApp) -> None:
    from engine.ablation import Ablation
    from engine.evaluation.plan import Plan
    from engine.trust.draws import Plan as DrawPlan

    [run] = ran(APP)
    found = search_jobs.search_job(APP).snapshot().result  # type: ignore[union-attr]
    head = found.circuit.heads[0]
    jobs = [
        verification_jobs.start_evaluation(APP, found.circuit, 1, Plan(draws=20, random_circuits=5)),
        verification_jobs.start_edges(APP, found.circuit, 1, Ablation.MEAN),
        verification_jobs.start_stability(APP, DrawPlan(1, 1, False)),
        verification_jobs.start_receipt(APP, found.circuit, head, Ablation.MEAN, 1),
    ]
    for job in jobs:
        assert job.wait(PATIENCE) and job.snapshot().state is JobState.DONE, job.snapshot().log
    kept = RunStore().attachments(run)
    assert {kind: list(entries) for kind, entries in kept.items()} == {
        "evaluation": ["mean-seed1"], "edges": ["mean-seed1"], "stability": ["1-resamples-1-seeds"],
        "receipts": [f"{head.layer}_{head.index}-mean-seed1"],
    }  # fmt: skip
    background().kept.label(APP, {"1.2": "copier"})
    assert RunStore().attachments(run)["labels"]["labels"] == {"names": {"1.2": "copier"}}


def test_verification_tells_after_a_restart_what_is_kept_with_the_run(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "AT_ONCE", -1.0)  # nothing is evaluated by itself, and so attached
    [run] = ran(APP)
    store = RunStore()
    store.attach(run, "labels", "labels", {"names": {"1.2": "copier"}})
    app = run_until(open_app("verification"), has_button("start_evaluate"))
    assert "Kept with the run" not in texts(app), "names of heads are no result"
    for name in ("0_1-mean-seed1", "1_2-mean-seed1"):
        store.attach(run, "receipts", name, {"head": name})
    store.attach(run, "evaluation", "mean-seed1", {"faithfulness": 1.0})
    restart()
    app = run_until(open_app("verification"), lambda app: "Kept with the run" in texts(app))
    assert "Kept with the run: evaluation of its heads, receipts (2)." in texts(app) and not app.exception
    [link] = [link for link in app.get("page_link") if link.proto.label == "See them in Runs"]
    assert f"run={run}" in link.proto.query_string


def test_names_of_attachments_fit_into_a_capsule() -> None:
    from engine.capsule.capsule import attachment_name, is_allowed
    from engine.heads import Head

    targets = [Head(9, 6), (Head(9, 6), None, "logits"), (Head(5, 5), Head(9, 6), "q")]
    names = [work.file_name_of(target) for target in targets]
    assert names == ["9_6", "9_6-logits", "5_5-9_6-q"]
    assert all(is_allowed(attachment_name("receipts", f"{name}-mean-seed1")) for name in names)


def test_a_cancelled_search_is_kept_with_its_part_and_a_failed_one_with_its_reason(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, reached = threading.Event(), threading.Event()

    def stopped(model: object, settings: Settings, watcher: object, *more: object) -> object:
        reached.set()
        assert held.wait(PATIENCE)
        raise HeadlightError("The machine was on fire.")

    loaded()
    monkeypatch.setattr("engine.pipeline.discover", stopped)
    job = search_jobs.start_search(APP)
    assert reached.wait(PATIENCE)
    [under_way] = RunStore().all()
    assert under_way.state is RunState.RUNNING and under_way.fingerprint
    held.set()
    assert job.wait(PATIENCE) and job.snapshot().error == "The machine was on fire."
    [failed] = RunStore().all()
    assert (failed.state, failed.error) == (RunState.FAILED, "The machine was on fire.")


def test_a_run_whose_end_cannot_be_written_stays_in_memory(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: OpenRun, *arguments: object) -> None:
        raise HeadlightError("The folder of runs is full.")

    monkeypatch.setattr(OpenRun, "finish", full)
    ran(APP)
    assert background().kept.why_not(APP) == "The folder of runs is full."
    app = run_until(open_app("circuit"), lambda app: "<h2>The graph</h2>" in texts(app))
    assert "in memory alone" in app.warning[0].value and not app.exception


def test_a_server_that_ends_leaves_its_search_to_go_on_with(open_app: OpenApp) -> None:
    kept = background().kept

    class Stopped:
        complete = False

    class Model:
        fingerprint = "0" * 16

    kept.closing()
    search = lambda journal: Stopped()  # noqa: E731
    kept.keeping(Model(), APP, search, lambda: None)  # type: ignore[arg-type]
    assert [run.state for run in RunStore().all()] == [RunState.INCOMPLETE]


def test_how_far_a_search_is_stands_in_its_journal(open_app: OpenApp) -> None:
    shares = iter([0.004, 0.3, 0.301, 0.5])
    seen: list[float | None] = []

    def search(journal: Journal) -> object:
        for name in "abcd":
            journal.write(name, Chunk({}))
            chunk = journal.read(PROGRESS)
            seen.append(None if chunk is None else chunk.values["share"])
        raise HeadlightError("enough")

    class Model:
        fingerprint = "0" * 16

    with pytest.raises(HeadlightError):
        background().kept.keeping(Model(), APP, search, lambda: next(shares))  # type: ignore[arg-type]
    assert seen == [None, 0.3, 0.3, 0.5]


def test_a_demonstration_keeps_nothing(open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADLIGHT_DEMO", "1")
    restart()
    job = search_jobs.start_search(APP)
    assert job.wait(PATIENCE) and job.snapshot().state is JobState.DONE
    assert RunStore().all() == [] and "only reads" in (background().kept.why_not(APP) or "")
