"""The same runs made alone, by the engine in processes of their own, and what differs from them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.load.tally import Tally, steady

ONE_RUN = """
import json, sys
from benchmarks.load.lone import lone_run
json.dump(lone_run(json.load(sys.stdin)), sys.stdout)
"""


def lone_run(query: Mapping[str, str]) -> Any:
    """The record of the run that a page at this address asks for, made by the engine alone."""
    from engine.models.loading import load_model
    from engine.pipeline import discover
    from engine.progress import Watcher
    from engine.record.writing import discovery_json
    from pages.shared.link import read_view

    view, problems = read_view(query, {})
    assert not problems, problems
    model = load_model(view.model)
    return discovery_json(model, discover(model, view.settings(), Watcher()))


def compare(tally: Tally) -> tuple[int, list[str]]:
    """How many downloaded runs were compared, and a sentence for each kind that was not as a lone run."""
    compared, wrong = 0, []
    for request, found in tally.records.items():
        alone_in_a_process = [sys.executable, "-c", ONE_RUN]
        ran = subprocess.run(
            alone_in_a_process, input=json.dumps(request.query()), capture_output=True, text=True, check=True
        )
        alone = steady(json.loads(ran.stdout))
        for text, times in found.items():
            compared += times
            if text != alone:
                wrong.append(f"{times} of {request}: {', '.join(_differing(json.loads(text), json.loads(alone)))}")
    return compared, wrong


def _differing(one: dict[str, Any], other: dict[str, Any]) -> Iterable[str]:
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
