"""Workers of Ray on this machine: the same bits as in one process, also when workers are killed."""

import importlib.util
import os
import signal
import threading
import time
from dataclasses import replace

import psutil
import pytest

from engine.errors import Cancelled, HeadlightError
from engine.executor.choice import executor_for
from engine.executor.executor import LocalExecutor
from engine.executor.perform import Bench
from engine.executor.units import ModelUnit, SearchUnit
from engine.models.loading import load_model
from engine.pipeline import discover
from engine.prepare import prepare
from engine.progress import Watcher
from engine.record.writing import discovery_json
from engine.settings import Method, Mode, Settings
from engine.trust.draws import Plan
from engine.trust.stability import stability
from tests.engine.executor.records import costless, timeless
from tests.engine.random_prompts import random_prompts
from tests.tiny import random_model, save_tiny_tokenizer, tiny_config

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=8, sparsity=0.5)
REQUIRED = os.environ.get("HEADLIGHT_REQUIRE_RAY") == "1"  # where a test of Ray may not be skipped
WORKERS = 2

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("ray") is None and not REQUIRED,
        reason="ray is not installed (requirements-cluster.txt)",
    ),
]


@pytest.fixture(scope="module")
def ray():
    executor = executor_for("auto", WORKERS)
    yield executor
    executor.close()


@pytest.fixture(scope="module")
def local(toy_model):
    return LocalExecutor(Bench(lambda *key: toy_model).perform)


def searches(seeds, **changes):
    return [SearchUnit(replace(SETTINGS, seed=seed, **changes)) for seed in seeds]


def results(executor, units, watcher=None):
    return {outcome.unit: outcome for outcome in executor.run(units, watcher or Watcher())}


def busy_workers():
    """Processes of Ray that are at a unit, found from outside."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "ray::_perform" in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue  # it ended while it was asked
    return found


def listening():
    """Addresses at which this process and all it started can be reached."""
    addresses = set()
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        try:
            addresses |= {c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}
        except psutil.Error:
            continue
    return addresses


class Killing(Watcher):
    """Kills workers of Ray with -9 while they are at a unit, once it sees them there."""

    def __init__(self, kills):
        self.left, self.killed = kills, []

    def report(self, stage, done, total):
        for process in busy_workers()[: self.left]:
            if process.pid not in self.killed:
                os.kill(process.pid, signal.SIGKILL)
                self.killed.append(process.pid)
                self.left -= 1


def test_the_same_bits_as_here_and_reachable_from_here_alone(ray, local):
    units = [*searches(range(3)), *searches([0], sparsity=None), ModelUnit(SETTINGS)]
    far, near = results(ray, units), results(local, units)
    assert ray.workers == WORKERS and len(far) == len(units)
    for unit in units:
        assert far[unit].error == "" and timeless(far[unit].result.values) == timeless(near[unit].result.values)
    assert {address.removeprefix("::ffff:") for address in listening()} == {"127.0.0.1"}


def test_a_killed_workers_unit_is_done_again_with_the_same_bits(ray, local):
    units, watcher = searches(range(10, 16)), Killing(1)
    far, near = results(ray, units, watcher), results(local, units)
    assert len(watcher.killed) == 1 and len(far) == 6
    for unit in units:
        assert far[unit].error == "" and timeless(far[unit].result.values) == timeless(near[unit].result.values)


def test_a_unit_that_fails_leaves_the_others(ray):
    bad = [SearchUnit(replace(SETTINGS, task="no-such-task")), SearchUnit(SETTINGS, fingerprint="0000")]
    far = results(ray, [bad[0], *searches([0]), bad[1]])
    assert "There is no task 'no-such-task'" in far[bad[0]].error and not far[bad[0]].lost
    assert "(0000)" in far[bad[1]].error and far[searches([0])[0]].result is not None


def test_stability_is_the_same_on_workers(ray, toy_model):
    prepared, plan = prepare(toy_model, SETTINGS, Watcher()), Plan(2, 1)
    far, near = (stability(prepared, SETTINGS, plan, Watcher(), executor) for executor in (ray, None))
    assert repr(far.refinds) == repr(near.refinds) and far.overall == near.overall and far.complete


@pytest.fixture(scope="module")
def deep_folder(tmp_path_factory):
    """Six random layers in a folder, from which workers can load them."""
    folder = tmp_path_factory.mktemp("deep")
    random_model(tiny_config("llama", n_layers=6)).save_pretrained(folder)
    save_tiny_tokenizer(folder)
    return folder


def test_a_search_split_over_workers_is_the_search(ray, deep_folder, monkeypatch):
    """Its receivers' effects, and so its circuit, are the same bits; one worker is killed on the way."""
    monkeypatch.setattr("engine.search.path_patching.LOGITS_THRESHOLD_SCALE", 0.0)
    model, watcher = load_model(str(deep_folder)), Killing(1)
    for mode in Mode:
        settings = Settings(
            model=str(deep_folder), task="custom", method=Method.DENSE, mode=mode, threshold_scale=0.0, min_effect=1e-4
        )
        prepared = prepare(model, settings, Watcher(), random_prompts(n=6, seed=2))
        discover(model, settings, Watcher(), prepared)  # so that neither begins with the self-check
        whole = discover(model, settings, Watcher(), prepared)
        split = discover(model, settings, watcher, prepared, executor=ray)
        near, far = (costless(timeless(discovery_json(model, found))) for found in (whole, split))
        assert far == near and len(split.steps) > 10
    assert len(watcher.killed) == 1


def test_a_unit_whose_workers_always_die_has_an_error_and_the_others_go_on(ray):
    """Every worker found at a unit is killed until the first has used up its tries."""
    doomed = searches([99])
    stop, killed = threading.Event(), []

    def kill():
        while not stop.is_set():
            for process in busy_workers():
                process.kill()
                killed.append(process.pid)
            time.sleep(0.02)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        [outcome] = ray.run(doomed, Watcher())
    finally:
        stop.set()
        thread.join()
    assert outcome.result is None and outcome.lost and "died 4 times" in outcome.error and len(set(killed)) >= 4
    assert results(ray, searches([0]))[searches([0])[0]].error == ""


def test_stopped_no_worker_goes_on(ray):
    class Stop(Watcher):
        def cancelled(self):
            return bool(busy_workers())

    with pytest.raises(Cancelled):
        results(ray, searches(range(20, 40), pairs=64), Stop())
    end = time.monotonic() + 20
    while busy_workers() and time.monotonic() < end:
        time.sleep(0.1)
    assert busy_workers() == []


def test_a_cluster_that_is_not_there_and_no_address_are_refused(monkeypatch):
    for wrong in ("", "nowhere", "host:port", "10.0.0.1:6379; rm", "a:1:" + "9" * 300):
        with pytest.raises(HeadlightError, match="Expected auto or the address"):
            executor_for(wrong)
    monkeypatch.setenv("RAY_ADDRESS", "not an address")
    with pytest.raises(HeadlightError, match="got 'not an address'"):
        executor_for("auto")
