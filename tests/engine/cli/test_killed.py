"""discover killed -9 in the middle of its search, and asked again: it goes on, and ends as if nothing had happened."""

import json
import os
import subprocess
import sys
import time

import pytest

from benchmarks.kills import without_seconds
from engine.cli.main import main
from engine.patching.effects import PathPatching
from engine.store.store import RunStore
from engine.store.stored_run import RunState
from tests.engine.cli.toy import TOY

ASKED = ["discover", *TOY, "--pairs", "32", "--method", "dense", "--mode", "exact"]
AHEAD = 4  # chunks: the run, what lies ahead, the self-check, the logits' senders


def kill_once_the_logits_are_searched(home, out):
    command = [sys.executable, "-m", "engine", *ASKED, "--out", str(out)]
    process = subprocess.Popen(command, env=os.environ | {"HEADLIGHT_HOME": str(home)}, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        if len(list(home.glob("runs/*/chunks/*.safetensors"))) >= AHEAD:
            break
        time.sleep(0.001)
    process.kill()
    return process.wait()


@pytest.mark.slow
def test_a_killed_search_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    home, out, whole = tmp_path / "home", tmp_path / "out.json", tmp_path / "whole.json"
    assert kill_once_the_logits_are_searched(home, out) != 0 and not out.exists()
    monkeypatch.setenv("HEADLIGHT_HOME", str(home))
    (left,) = RunStore().all()
    assert left.state is RunState.INCOMPLETE

    measured, really = [], PathPatching.measure

    def measure(self, receivers, *rest, **named):
        measured.extend(map(str, receivers))
        return really(self, receivers, *rest, **named)

    monkeypatch.setattr(PathPatching, "measure", measure)
    assert main([*ASKED, "--no-store", "--out", str(whole)]) == 0
    everything = list(measured)
    measured.clear()
    assert main([*ASKED, "--out", str(out)]) == 0
    assert f"run {left.id} goes on" in capsys.readouterr().err
    # Not again: looking ahead, the self-check, the search. The self-tests are asked anew.
    assert everything.count("logits") == 4 and measured.count("logits") == 1
    (kept,) = RunStore().all()
    assert kept.id == left.id and kept.state is RunState.DONE
    first, again = (json.loads(path.read_text("utf-8")) for path in (whole, out))
    assert without_seconds(again) == without_seconds(first) == without_seconds(RunStore().read(kept.id))
    assert again["cost"]["logits stage"]["seconds"] > 0
