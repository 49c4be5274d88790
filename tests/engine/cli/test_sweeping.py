"""The command sweep: its tables and errors, stopped, killed, and on workers that are killed."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from engine.cli.main import main
from engine.store.store import RunStore
from engine.sweep.spec import read_spec
from engine.sweep.state import UnitState, read_folder, read_sweep
from tests.engine.executor.records import timeless

ROOT = Path(__file__).parents[3]
SPEC = """
models: [toy-induction]
tasks: [induction-random]
methods: {half: {sparsity: 0.5}, grid: {grid: true}}
seeds: [0, 1, 2]
pairs: 8
"""


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The sweep's folder, run in one go in this process."""
    folder = tmp_path_factory.mktemp("whole")
    path = folder / "sweep.yaml"
    path.write_text(SPEC)
    assert main(["sweep", str(path), "--out", str(folder / "out")]) == 0
    return folder / "out"


def same_records(one, other):
    """Of every run, but for how long it took."""
    states = [read_folder(folder) for folder in (one, other)]
    assert states[0].complete and states[1].complete and states[0].spec == states[1].spec
    stores = [RunStore(folder) for folder in (one, other)]
    pairs = zip(states[0].units, states[1].units, strict=True)
    return all(timeless(stores[0].read(a.run)) == timeless(stores[1].read(b.run)) for a, b in pairs)


def started(path, out, *more):
    """The command in a process of its own."""
    command = [sys.executable, "-m", "engine", "sweep", str(path), "--out", str(out), *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finished(out):
    return sorted((out / "units").glob("*.json")) if (out / "units").is_dir() else []


def until(true, process, seconds=120.0):
    """Wait for it; the process must not end before."""
    end = time.monotonic() + seconds
    while not true():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)


def test_a_sweep_is_run_listed_and_shown(spec, capsys):
    assert main(["sweep", str(spec), "--list"]) == 0
    out = capsys.readouterr()
    assert out.out.count("waiting") == 6 and "6 waiting" in out.err
    assert main(["sweep", str(spec)]) == 0
    out = capsys.readouterr()
    sweep = read_spec(SPEC).id
    assert out.out.count("done") == 6 and f"sweep {sweep}: 6 runs" in out.err and "6 done" in out.err
    state = read_sweep(sweep)
    assert state.units[0].run in out.out and (state.folder / "results.csv").is_file()
    assert main(["sweep", str(spec), "--list"]) == 0 and capsys.readouterr().out == out.out


def test_failures_are_told_with_the_way_on(tmp_path, capsys):
    path = tmp_path / "bad.yaml"
    path.write_text("{models: [toy-induction, ./nowhere], tasks: [induction-random], pairs: 8, methods: {a: {}}}")
    assert main(["sweep", str(path), "--out", str(tmp_path / "out")]) == 1
    told = capsys.readouterr()
    assert "1 of 2 runs failed" in told.err and "results.csv" in told.err and told.out.count("failed") == 1
    assert "There is no folder" in read_folder(tmp_path / "out").units[1].error


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "Cannot read"), (b"\xff", "is not a text file"), (b"models: 3", "lacks tasks and methods")],
)
def test_a_file_that_is_no_sweep_is_refused(tmp_path, capsys, content, said):
    path = tmp_path / "sweep.yaml"
    if content is not None:
        path.write_bytes(content)
    assert main(["sweep", str(path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and said in error


@pytest.mark.parametrize("command", [["sweep", "x.yaml"], ["discover"], ["stability", "--circuit", "x.json"]])
def test_a_wrong_address_is_refused_before_any_work(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--ray", "somewhere"])
    assert stopped.value.code == 2 and "Expected auto or the address of a Ray cluster" in capsys.readouterr().err


@pytest.mark.slow
def test_killed_it_goes_on_and_comes_to_the_same(spec, tmp_path, whole):
    """The process is killed with -9 at two moments; what it had finished is not touched again."""
    out, before = tmp_path / "out", {}
    for most in (1, 3):
        process = started(spec, out)
        until(lambda most=most: len(finished(out)) >= most, process)
        process.kill()
        process.wait()
        assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items())
        before = {path: path.stat().st_mtime_ns for path in finished(out)}
        state = read_folder(out)
        assert not state.running and not state.complete and len(before) < 6
        assert state.count(UnitState.DONE) in (len(before), len(before) - 1)
    assert main(["sweep", str(spec), "--out", str(out)]) == 0
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in before.items()) and len(finished(out)) == 6
    assert same_records(out, whole) and len(RunStore(out).all()) in (6, 7, 8)


@pytest.mark.slow
def test_interrupted_it_keeps_what_is_finished(spec, tmp_path):
    out = tmp_path / "out"
    process = started(spec, out)
    until(lambda: len(finished(out)) >= 1, process)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130 and b"the same command goes on from here" in error
    state = read_folder(out)
    assert 1 <= state.count(UnitState.DONE) < 6 and state.count(UnitState.FAILED) == 0


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("ray") is None and os.environ.get("HEADLIGHT_REQUIRE_RAY") != "1",
    reason="ray is not installed (requirements-cluster.txt)",
)
def test_on_workers_one_of_them_killed_it_comes_to_the_same(spec, tmp_path, whole):
    out = tmp_path / "out"
    process = started(spec, out, "--ray", "auto")

    def busy():
        children = psutil.Process(process.pid).children(recursive=True)
        return [child for child in children if "ray::_perform" in " ".join(child.cmdline() or [])]

    def killed():
        try:
            for child in busy()[:1] if len(finished(out)) >= 1 else []:
                child.kill()
                return True
        except psutil.Error:  # it ended while it was looked at
            pass
        return False

    until(killed, process)
    _, error = process.communicate(timeout=180)
    assert process.returncode == 0, error.decode()
    assert b"workers" in error and same_records(out, whole) and len(RunStore(out).all()) == 6
