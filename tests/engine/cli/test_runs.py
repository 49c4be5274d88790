"""discover keeps its run, and runs lists, renames, tags, deletes and restores."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.cli.arguments import build_parser
from engine.cli.keeping import besides
from engine.cli.main import main
from engine.store.store import RunStore
from tests.engine.cli.toy import TOY, run_json

ROOT = Path(__file__).parents[3]
QUICK = [*TOY, "--sparsity", "0.5"]


def listed(capsys, *options) -> list[dict]:
    capsys.readouterr()
    assert main(["runs", "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)["runs"]


def test_discover_keeps_its_run_unless_told_not_to(capsys):
    assert main(["runs"]) == 0 and "No runs are kept" in capsys.readouterr().out
    without = run_json(capsys, "discover", *QUICK, "--no-store")
    assert listed(capsys) == []
    record = run_json(capsys, "discover", *QUICK)
    [run] = listed(capsys)
    assert (run["state"], run["model"], run["task"]) == ("done", "toy-induction", "induction-random")
    assert run["summary"]["heads"] == len(record["circuit"]["heads"]) == len(without["circuit"]["heads"])
    assert run["fingerprint"] == record["fingerprint"] and RunStore().read(run["id"]) == record
    assert main(["discover", *QUICK, "--out", "-"]) == 0 and len(listed(capsys)) == 2, "each run is one of its own"


def test_runs_are_named_tagged_deleted_and_restored(capsys):
    for _ in range(2):
        run_json(capsys, "discover", *QUICK)
    newer, older = (run["id"] for run in listed(capsys))
    assert main(["runs", "rename", older, "the first"]) == 0 and main(["runs", "tag", older, "a, b,"]) == 0
    assert main(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith(newer) and lines[3].startswith(older) and lines[3].rstrip().endswith("the first  a,b")
    assert lines[-1].startswith("2 runs, ") and os.environ["HEADLIGHT_HOME"] in lines[-1]
    assert main(["runs", "delete", older, newer]) == 0 and f"restore {newer}" in capsys.readouterr().err
    assert listed(capsys) == [] and len(listed(capsys, "--all")) == 2
    assert main(["runs", "--all"]) == 0 and "done, deleted" in capsys.readouterr().out
    assert main(["runs", "restore", older]) == 0 and [run["tags"] for run in listed(capsys)] == [["a", "b"]]
    assert main(["runs", "purge", "--days", "1"]) == 0 and "removed 0" in capsys.readouterr().err
    assert main(["runs", "purge", "--days", "0"]) == 0 and "removed 1" in capsys.readouterr().err
    assert [run["id"] for run in listed(capsys, "--all")] == [older]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["delete", "../../etc"], "Expected the id"),
        (["restore", "0" * 12], "There is no run"),
        (["rename", "0" * 12, "x"], "There is no run"),
        (["purge", "--days", "-1"], "0 days or more"),
    ],
)
def test_what_cannot_be_done_with_runs_is_told(capsys, options, says):
    assert main(["runs", *options]) == 1 and says in capsys.readouterr().err


def test_a_home_that_cannot_be_written_costs_no_result(capsys, monkeypatch, tmp_path):
    (tmp_path / "home").write_text("a file")
    monkeypatch.setenv("HEADLIGHT_HOME", str(tmp_path / "home"))
    capsys.readouterr()
    assert main(["discover", *QUICK, "--out", str(tmp_path / "run.json")]) == 0
    said = capsys.readouterr().err
    assert "warning: this run will not be kept" in said and "HEADLIGHT_HOME" in said
    assert json.loads((tmp_path / "run.json").read_text("utf-8"))["complete"]
    assert main(["runs"]) == 1 and "HEADLIGHT_HOME" in capsys.readouterr().err


def test_a_run_that_cannot_be_kept_at_its_end_is_still_written(capsys, monkeypatch, tmp_path):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.store.run_record.write_bytes", full)
    assert main(["discover", *QUICK, "--out", str(tmp_path / "run.json")]) == 0
    assert "written, but not kept" in capsys.readouterr().err
    assert json.loads((tmp_path / "run.json").read_text("utf-8"))["complete"]
    assert [run["state"] for run in listed(capsys)] == ["incomplete"]


def test_a_run_that_fails_says_why_and_bad_input_is_no_run(capsys, monkeypatch):
    def broken(*arguments, **more):
        raise RuntimeError("no such layer")

    monkeypatch.setattr("engine.cli.commands.find_circuit", broken)
    with pytest.raises(RuntimeError, match="no such layer"):
        main(["discover", *QUICK])
    assert main(["discover", "--model", "no-such-model", "--task", "ioi"]) == 1
    [run] = listed(capsys)
    assert run["state"] == "failed" and run["error"] == "RuntimeError: no such layer"


def test_what_a_run_depends_on_beside_its_settings_tells_it_from_others(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(name)
    ways = [["--rows", str(tmp_path / "a.csv")], ["--rows", str(tmp_path / "b.csv")], ["--tune", "5"], ["--tune", "6"]]
    found = {besides(build_parser().parse_args(["discover", *way])) for way in ways}
    assert len(found) == 4 and "" not in found
    assert besides(build_parser().parse_args(["discover"])) == ""


def test_ctrl_c_leaves_a_cancelled_run_with_its_part(tmp_path):
    home = tmp_path / "home"
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", "discover", *TOY, "--mode", "exact", "--method", "dense", "--pairs", "64",
         "--out", str(tmp_path / "run.json")],
        cwd=ROOT, env=os.environ | {"HEADLIGHT_HOME": str(home)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in process.stderr:
        if line.startswith(("path patching", "self-tests")):
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    [run] = RunStore(home).all()
    assert run.state == "cancelled" and RunStore(home).read(run.id)["complete"] is False
    assert RunStore(home).read(run.id) == json.loads((tmp_path / "run.json").read_text("utf-8"))


def test_a_killed_discover_goes_on_and_finds_what_a_whole_one_does(tmp_path):
    """Killed as soon as it has kept a few chunks; the same command then takes its run up."""
    options = [*TOY, "--mode", "exact", "--method", "dense", "--pairs", "16"]
    home, command = tmp_path / "home", [sys.executable, "-m", "engine", "discover", *options, "--out"]
    place = {"cwd": ROOT, "env": os.environ | {"HEADLIGHT_HOME": str(home)}}
    process = subprocess.Popen([*command, str(tmp_path / "first.json")], stderr=subprocess.DEVNULL, **place)
    while len(list(home.glob("runs/*/chunks/*"))) < 3 and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    [run] = RunStore(home).all()
    assert run.state == "incomplete" and not (tmp_path / "first.json").exists()
    again = subprocess.run([*command, str(tmp_path / "again.json")], stderr=subprocess.PIPE, text=True, **place)
    assert again.returncode == 0 and f"run {run.id} goes on" in again.stderr
    [kept] = RunStore(home).all()
    assert kept.id == run.id and kept.state == "done" and not list(home.glob("runs/*/chunks"))
    whole = run_of([*options, "--no-store"], tmp_path / "whole.json")
    found = json.loads((tmp_path / "again.json").read_text("utf-8"))
    for name in ("circuit", "effects", "verification", "baseline", "scores"):
        assert found[name] == whole[name]


def run_of(options: list[str], path: Path) -> dict:
    assert main(["discover", *options, "--out", str(path)]) == 0
    return json.loads(path.read_text("utf-8"))
