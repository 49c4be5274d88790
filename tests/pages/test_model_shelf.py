"""The models in memory: how many, which make room, and that one slow load holds up nobody else."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from engine.errors import Cancelled, HeadlightError, NotEnoughMemory
from engine.jobs.manager import JobManager
from engine.progress import Watcher
from engine.settings import Settings
from pages.shared import work
from pages.shared.model_shelf import WAITING, ModelShelf

PATIENCE = 10.0


class Loader:
    """Stands in for load_model: makes a model of two layers with as many heads as its name says."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.gates: dict[str, threading.Event] = {}
        self.begun: dict[str, threading.Event] = {}
        self.short_of_memory = 0  # how often it fails for that

    def hold(self, name: str) -> None:
        self.gates[name], self.begun[name] = threading.Event(), threading.Event()

    def __call__(self, name: str, device: str, announce) -> object:
        if name in self.gates:
            self.begun[name].set()
            assert self.gates[name].wait(PATIENCE)
        if self.short_of_memory:
            self.short_of_memory -= 1
            raise NotEnoughMemory(f"{name} needs more")
        self.loaded.append(name)
        return SimpleNamespace(name=name, n_layers=2, n_heads=int(name[1:]))


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> Loader:
    loader = Loader()
    monkeypatch.setattr("engine.models.loading.load_model", loader)
    monkeypatch.setenv("HEADLIGHT_MODELS", "2")
    return loader


class Shelf(ModelShelf):
    """Notes what it lets go of."""

    def __init__(self) -> None:
        self.needed: set[str] = set()
        self.told: list[tuple[str, str]] = []
        self.gone: list[str] = []
        super().__init__(lambda: self.needed, self.gone.append, lambda what, name, _: self.told.append((what, name)))

    def held(self) -> list[str]:
        return [name for name, _ in self._models]


def take(shelf: ModelShelf, *names: str) -> None:
    for name in names:
        shelf.take(name, "cpu", Watcher())


def test_the_least_recently_used_makes_room_and_takes_what_holds_on_to_it_along(loader: Loader) -> None:
    shelf = Shelf()
    take(shelf, "m1", "m2", "m1", "m3")
    assert shelf.held() == ["m1", "m3"] and shelf.gone == ["m2"] and shelf.count() == 2
    assert loader.loaded == ["m1", "m2", "m3"] and shelf.holds("m1") and not shelf.holds("m2")
    assert shelf.told == [("loaded", "m1"), ("loaded", "m2"), ("evicted", "m2"), ("loaded", "m3")]


def test_a_model_that_a_job_in_work_needs_stays(loader: Loader) -> None:
    shelf = Shelf()
    take(shelf, "m1", "m2")
    shelf.needed = {"m1"}
    take(shelf, "m3", "m4")
    assert shelf.held() == ["m1", "m4"] and shelf.gone == ["m2", "m3"]


def test_where_all_are_needed_it_waits_until_one_is_not(loader: Loader) -> None:
    shelf = Shelf()
    take(shelf, "m1", "m2")
    shelf.needed = {"m1", "m2"}
    waiting, asked = threading.Event(), []

    class Noting(Watcher):
        def report(self, stage: str, done: float, total: float) -> None:
            asked.append(stage)
            if stage == WAITING:
                waiting.set()

    thread = threading.Thread(target=lambda: shelf.take("m3", "cpu", Noting()), daemon=True)
    thread.start()
    assert waiting.wait(PATIENCE) and shelf.held() == ["m1", "m2"]
    shelf.needed = {"m2"}
    thread.join(PATIENCE)
    assert not thread.is_alive() and shelf.held() == ["m2", "m3"]


def test_one_who_waits_for_room_can_be_cancelled(loader: Loader) -> None:
    shelf = Shelf()
    take(shelf, "m1", "m2")
    shelf.needed = {"m1", "m2"}

    class Stopping(Watcher):
        def cancelled(self) -> bool:
            return True

    with pytest.raises(Cancelled):
        shelf.take("m3", "cpu", Stopping())
    shelf.needed = set()
    take(shelf, "m4")  # and leaves no place taken
    assert shelf.held() == ["m2", "m4"]


def test_never_more_than_there_is_room_for_those_being_loaded_included(loader: Loader) -> None:
    shelf = Shelf()
    for name in ("m1", "m2"):
        loader.hold(name)
    threads = [threading.Thread(target=take, args=(shelf, name), daemon=True) for name in ("m1", "m2", "m3")]
    for thread in threads[:2]:
        thread.start()
    assert loader.begun["m1"].wait(PATIENCE) and loader.begun["m2"].wait(PATIENCE)
    threads[2].start()
    threads[2].join(0.3)
    assert loader.loaded == [] and threads[2].is_alive()  # both places are taken
    for name in ("m1", "m2"):
        loader.gates[name].set()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert shelf.count() == 2 and len(shelf.gone) == 1


def test_a_slow_load_holds_up_nobody_but_those_who_want_that_model(loader: Loader) -> None:
    shelf = Shelf()
    loader.hold("m1")
    slow = [threading.Thread(target=take, args=(shelf, "m1"), daemon=True) for _ in range(3)]
    for thread in slow:
        thread.start()
    assert loader.begun["m1"].wait(PATIENCE)
    take(shelf, "m2")
    assert shelf.holds("m2") and not shelf.holds("m1")
    loader.gates["m1"].set()
    for thread in slow:
        thread.join(PATIENCE)
    assert loader.loaded == ["m2", "m1"]  # once, for all three


def test_where_memory_is_short_more_make_room_and_then_it_is_said(loader: Loader, monkeypatch) -> None:
    monkeypatch.setenv("HEADLIGHT_MODELS", "9")
    shelf = Shelf()
    take(shelf, "m1", "m2", "m3")
    shelf.needed, loader.short_of_memory = {"m2"}, 2
    take(shelf, "m4")
    assert shelf.held() == ["m2", "m4"] and shelf.gone == ["m1", "m3"]
    shelf.needed, loader.short_of_memory = {"m2", "m4"}, 1
    with pytest.raises(HeadlightError, match="m5 needs more"):
        take(shelf, "m5")
    assert shelf.held() == ["m2", "m4"]


def test_a_model_with_too_many_heads_is_refused_and_not_kept(loader: Loader, monkeypatch) -> None:
    monkeypatch.setenv("HEADLIGHT_MAX_HEADS", "24")
    shelf = Shelf()
    take(shelf, "m12")
    with pytest.raises(HeadlightError, match="at most 24 heads on this server, and “m13” has 26"):
        take(shelf, "m13")
    assert shelf.held() == ["m12"]


def test_a_demonstration_loads_nothing_else(loader: Loader, monkeypatch) -> None:
    monkeypatch.setenv("HEADLIGHT_DEMO", "1")
    with pytest.raises(HeadlightError, match="no other model; got “/etc”"):
        take(Shelf(), "/etc")
    assert not loader.loaded


def test_a_slow_load_in_a_job_holds_up_no_other_job_of_the_same_device(loader: Loader) -> None:
    shelf, manager = Shelf(), JobManager(short=("ready",))
    loader.hold("m1")
    slow = manager.submit(("ready", "slow"), lambda watcher: shelf.take("m1", "cpu", watcher))
    assert loader.begun["m1"].wait(PATIENCE)
    quick = manager.submit(("ready", "quick"), lambda watcher: shelf.take("m2", "cpu", watcher))
    long = manager.submit(("search", "x"), lambda watcher: watcher.step("x", 0, 1))
    assert quick.wait(PATIENCE) and long.wait(PATIENCE) and slow.live
    loader.gates["m1"].set()
    assert slow.wait(PATIENCE)
    manager.close(PATIENCE)


def test_prompts_that_have_run_through_an_evicted_model_are_forgotten() -> None:
    manager = JobManager()
    keys = [("ready", Settings(model="m1")), ("ready", Settings(model="m2")), ("search", Settings(model="m1"))]
    for key in keys:
        assert manager.submit(key, lambda watcher: None).wait(PATIENCE)
    work.forget_model(manager, "m1")
    assert manager.known() == tuple(keys[1:])
    gate = threading.Event()
    manager.submit(("search", Settings(model="m3")), lambda watcher: gate.wait(PATIENCE))
    manager.submit("other", lambda watcher: None)
    assert {*work.models_in_use(manager)} <= {"m3"}
    gate.set()
    manager.close(PATIENCE)
