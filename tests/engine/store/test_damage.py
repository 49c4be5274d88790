"""What was damaged, linked or made by a newer Headlight: told, left alone, and of no harm to other runs."""

import json
import math
import os

import pytest

from engine.errors import HeadlightError
from engine.record.json_values import dumps
from engine.store.store import RunStore
from engine.store.stored_run import RunState
from tests.engine.store.records import SETTINGS, made_up


@pytest.fixture
def two(store) -> tuple[RunStore, str, str]:
    """A store with two runs, the first to be damaged."""
    return store, store.add(made_up(), "damaged"), store.add(made_up(), "sound")


def folder(store: RunStore, run: str):
    return store.root / "runs" / run


def edit(store: RunStore, run: str, **values) -> bytes:
    path = folder(store, run) / "about.json"
    content = json.dumps({**json.loads(path.read_text("utf-8")), **values}).encode()
    path.write_bytes(content)
    return content


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b"\xff\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "an object"),
        (b'{"schema": "headlight-run/1", "id": 1}', "“id”"),
        (b'{"schema": "headlight-run/0"}', "headlight-run/1"),
        (b'{"schema": "other"}', "headlight-run/1"),
        (b'{"x": NaN}', "not JSON"),
    ],
)
def test_a_run_that_says_nothing_sensible_is_listed_with_what_is_wrong(two, content, says):
    store, bad, good = two
    (folder(store, bad) / "about.json").write_bytes(content)
    listed = {run.id: run for run in store.all()}
    assert set(listed) == {bad, good} and store.read(good) == made_up() and listed[good].name == "sound"
    assert listed[bad].state is RunState.FAILED and says in listed[bad].error
    for refused in (lambda: store.rename(bad, "x"), lambda: store.tag(bad, ["x"]), lambda: store.read(bad),
                    lambda: store.attach(bad, "labels", "x", {})):  # fmt: skip
        with pytest.raises(HeadlightError):
            refused()
    assert (folder(store, bad) / "about.json").read_bytes() == content, "what is damaged is not made worse"
    store.delete(bad)
    assert [run.id for run in store.all()] == [good]
    store.undelete(bad)
    assert len(store.all()) == 2
    store.delete(bad)
    assert store.purge(0) == [bad] and [run.id for run in store.all()] == [good]


@pytest.mark.parametrize(
    "values",
    [
        {"created": "today"}, {"created": True}, {"created": -1}, {"ended": 1e300}, {"state": "incomplete"},
        {"state": "x"}, {"tags": "a"}, {"settings": []}, {"files": {"run.json": 3}}, {"summary": None},
        {"id": "0" * 12}, {"sequence": None}, {"error": 5},
    ],
)  # fmt: skip
def test_every_value_is_checked(two, values):
    store, bad, good = two
    edit(store, bad, **values)
    listed = {run.id: run for run in store.all()}
    assert listed[bad].state is RunState.FAILED and listed[bad].error and store.read(good) == made_up()


@pytest.mark.parametrize("name", ["error", "ended", "sequence"])
def test_every_value_is_there(two, name):
    store, bad, good = two
    path = folder(store, bad) / "about.json"
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != name}))
    listed = {run.id: run for run in store.all()}
    assert listed[bad].state is RunState.FAILED and f"“{name}”" in listed[bad].error and listed[good].name == "sound"


def test_a_run_of_a_newer_headlight_is_left_as_it_is(two):
    store, newer, good = two
    content = edit(store, newer, schema="headlight-run/2", state="paused")
    [listed] = [run for run in store.all() if run.id == newer]
    assert "newer Headlight" in listed.error and "Update" in listed.error
    for refused in (lambda: store.rename(newer, "x"), lambda: store.attach(newer, "labels", "x", {}),
                    lambda: store.read(newer)):  # fmt: skip
        with pytest.raises(HeadlightError, match="newer Headlight"):
            refused()
    store.begin(SETTINGS).finish(made_up())
    assert (folder(store, newer) / "about.json").read_bytes() == content and store.read(good) == made_up()


@pytest.mark.parametrize("name", ["run.json", "arrays.safetensors"])
def test_a_record_that_is_not_what_was_written_is_not_given_out(two, name):
    store, bad, good = two
    path = folder(store, bad) / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))  # same size: seen when it is read
    with pytest.raises(HeadlightError, match=f"{name}.*damaged"):
        store.read(bad)
    path.write_bytes(whole[:-1])  # seen in the list
    [listed] = [run for run in store.all() if run.id == bad]
    assert listed.state is RunState.FAILED and name in listed.error
    path.unlink()
    assert name in store.get(bad).error and store.find(SETTINGS).id == good and store.read(good) == made_up()


def test_files_of_no_run_are_no_runs(two):
    store, bad, good = two
    (folder(store, bad) / "about.json").unlink()
    assert "missing" in store.get(bad).error
    for name in ("notes", "0" * 11, "0" * 13, "G" * 12):
        (store.root / "runs" / name).mkdir()
    (store.root / "runs" / ("1" * 12)).write_text("a file")
    (store.root / "runs" / ("2" * 12)).mkdir()  # a run that never began
    assert {run.id for run in store.all()} == {bad, good}
    store.purge()
    assert not (store.root / "runs" / ("2" * 12)).exists() and (store.root / "runs" / "notes").exists()


@pytest.mark.parametrize(
    "run", ["", "..", "../../etc", "/etc", "0" * 11, "A" * 12, "0" * 12, "x" * 500, "0\n" + "0" * 10]
)
def test_an_id_is_checked_before_it_becomes_a_path(two, run):
    store, *_ = two
    for call in (store.get, store.read, store.delete, store.undelete, store.attachments):
        with pytest.raises(HeadlightError, match=r"Expected the id|There is no run"):
            call(run)


def test_links_lead_nowhere(two, tmp_path):
    store, bad, good = two
    outside = tmp_path / "outside"
    folder(store, bad).rename(outside)
    folder(store, bad).symlink_to(outside)
    assert [run.id for run in store.all()] == [good]
    with pytest.raises(HeadlightError, match="no run"):
        store.delete(bad)
    secret = tmp_path / "secret.json"
    secret.write_text((folder(store, good) / "run.json").read_text("utf-8"), "utf-8")
    (folder(store, good) / "run.json").unlink()
    (folder(store, good) / "run.json").symlink_to(secret)
    with pytest.raises(HeadlightError, match="link"):
        store.read(good)
    (folder(store, good) / "attachments").symlink_to(outside)
    with pytest.raises(HeadlightError, match="link"):
        store.attach(good, "labels", "x", {})
    before = sorted(os.listdir(outside))
    store.delete(good)
    assert store.purge(0) == [good] and sorted(os.listdir(outside)) == before and secret.exists()


def test_damaged_attachments_are_left_out(two, caplog):
    store, run, _ = two
    store.attach(run, "labels", "a", {"x": 1})
    store.attach(run, "receipts", "b", {"y": 2})
    place = folder(store, run) / "attachments"
    (place / "labels.a.json").write_text("{", "utf-8")
    (place / "receipts.c.json").write_text((place / "receipts.b.json").read_text("utf-8"), "utf-8")
    assert store.attachments(run) == {"receipts": {"b": {"y": 2}}}
    assert caplog.text.count("left out") == 2
    with pytest.raises(HeadlightError, match="evaluation, edges"):
        store.attach(run, "../x", "a", {})


def test_a_damaged_mark_of_deletion_still_deletes_and_is_not_purged_at_once(two):
    store, bad, good = two
    for content in (b"{", b'{"deleted": -1e9}', b'{"deleted": NaN}', b'{"deleted": 1e999}', b'{"deleted": null}'):
        (folder(store, bad) / "deleted.json").write_bytes(content)
        assert [run.id for run in store.all()] == [good] and store.purge(3600) == []
        assert dumps({"when": store.get(bad).deleted})
    store.undelete(bad)
    assert len(store.all()) == 2


@pytest.mark.parametrize(
    "record",
    [{}, {"schema": "headlight/9"}, made_up(settings=None), made_up(model=5), made_up(schema="headlight/2"),
     made_up(model=""), made_up(task="x" * 1000)],
)  # fmt: skip
def test_what_is_no_record_is_not_added(store, record):
    with pytest.raises(HeadlightError, match="headlight/1"):
        store.add(record)
    assert store.all() == []


@pytest.mark.parametrize(
    "more", [{"x": {"array": 1}}, {"x": math.nan}, {"model": "\ud800"}, {"settings": {"x": math.inf}}, {"x": {1, 2}}]
)
def test_what_cannot_be_written_is_not_added_and_leaves_nothing(store, more):
    with pytest.raises(HeadlightError, match="cannot be kept"):
        store.add(made_up(**more))
    assert store.all() == [] and os.listdir(store.root / "runs") == []


@pytest.mark.parametrize("name", ["circuit", "verification", "baseline", "cost"])
@pytest.mark.parametrize("value", [None, [], "x", 5, {"heads": 3, "a": {"seconds": "x"}, "accuracy": []}])
def test_a_record_with_odd_parts_has_the_numbers_that_are_some(store, name, value):
    run = store.add(made_up(**{name: value}))
    assert store.read(run)[name] == value and store.get(run).error is None
