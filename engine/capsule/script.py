"""A run as a Python file that makes it again and compares: short, readable, by the engine's own functions.

1. Settings that are not at their default, as a call of ``Settings``; prompts of somebody's own as their tokens.
2. The numbers the run gave, and a comparison with those it gives now: exit code 0 if they agree, 1 if not.

What comes from the record is written by ``repr`` of checked values alone: it stands in the file as data, whatever it
says, and never as code or in a comment.
"""

from __future__ import annotations

import math
from dataclasses import fields
from enum import StrEnum
from typing import Any

from engine.circuit import LOGITS_NODE
from engine.discovery import Discovery
from engine.record.json_values import Json, number
from engine.record.reading import discovery_of
from engine.settings import Settings
from engine.tasks.custom import CUSTOM
from engine.tasks.own import is_own
from engine.tasks.prompts import PromptPair

NAMED = ("Algorithm", "Method", "Mode", "Score")  # choices of Settings, which engine.settings has
STRONGEST = 100  # edges that are compared by their effects

HEAD = '''\
"""Make a Headlight run again and compare it with the numbers it gave.

Run it from Headlight's folder:  python {name}
It writes the whole run to run-again.json and says which numbers agree.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))  # Headlight's folder, where the package engine lies
'''

IMPORTS = '''\
from engine.capsule.digits import agreement
from engine.models.loading import load_model
from engine.pipeline import discover
from engine.prepare import prepare
from engine.progress import Watcher
from engine.record.writing import discovery_json, write_json
'''

RUN = '''\
def run():
    """Load the model, run the prompts, find the circuit and verify it."""
    model = load_model(SETTINGS.model, SETTINGS.device, SETTINGS.dtype)
    if model.fingerprint != EXPECTED["fingerprint"]:
        print("This is another model: fingerprint", model.fingerprint, "instead of", EXPECTED["fingerprint"])
    watcher = Watcher()
    prepared = prepare(model, SETTINGS, watcher{prompts})
    found = discover(model, prepared.settings, watcher, prepared)
    write_json(discovery_json(model, found), Path("run-again.json"))
    return found
'''

COMPARE = '''\
def numbers_of(found):
    """What the run is compared by; a run that was stopped has no verification."""
    numbers = {
        "clean metric": found.baseline.clean_logit_diff,
        "corrupted metric": found.baseline.corrupted_logit_diff,
        "accuracy": found.baseline.accuracy,
    }
    if found.verification is not None:
        numbers["performance in percent"] = found.verification.performance
        numbers["faithfulness"] = found.verification.faithfulness
    edges = {(str(e.sender), str(e.receiver or "logits"), e.input.value): e.effect for e in found.circuit.edges}
    return numbers, sorted(str(node) for node in found.circuit.nodes), edges


def compare(found):
    """Print every number beside the one expected; whether all of them agree to 3 digits."""
    numbers, nodes, edges = numbers_of(found)
    results = []
    for name, (expected, unit) in EXPECTED["numbers"].items():
        seen = agreement(name, float("nan") if expected is None else expected, numbers.get(name, float("nan")), unit)
        results.append(seen.reaches(3))
        print(f"{name}: expected {expected}, got {numbers.get(name)}: {seen.words}")
    same_nodes = nodes == sorted(EXPECTED["nodes"])
    same_edges = len(edges) == EXPECTED["edge_count"] and edges.keys() >= EXPECTED["strongest_edges"].keys()
    print(f"circuit: {len(nodes)} nodes, {'as expected' if same_nodes else 'not those expected'}")
    print(f"edges: {len(edges)}, {'as expected' if same_edges else 'not those expected'}")
    if same_edges and edges:
        largest = max(abs(edges[edge] - effect) for edge, effect in EXPECTED["strongest_edges"].items())
        print(f"effects of edges: largest difference {largest:.2g}")
        results.append(largest < 1e-3)
    return all([*results, same_nodes, same_edges])
'''

MAIN = '''\
if __name__ == "__main__":
    agrees = compare(run())
    print("The run was reproduced." if agrees else "The run was NOT reproduced.")
    sys.exit(0 if agrees else 1)
'''


def script_of(record: Json, name: str = "script.py") -> str:
    """The file; ``name`` is what it will be called. Raises HeadlightError for a record that is no run."""
    found = discovery_of(record)
    top = "\n".join([HEAD.format(name=_file_name(name)), imports_of(found), definitions_of(found, record)])
    return "\n\n".join([top, run_of(found), COMPARE, MAIN])


def imports_of(found: Discovery) -> str:
    named = [each for each in NAMED if f"{each}(" in settings_code(found.settings)]
    lines = [f"from engine.settings import {', '.join([*named, 'Settings'])}"]
    prompts = [each for each in ("Metric", "PromptPair", "Prompts") if each == "Metric" or brought(found)]
    if brought(found) or found.settings.metric is not None:
        lines.append(f"from engine.tasks.prompts import {', '.join(prompts)}")
    return IMPORTS + "\n".join(lines) + "\n"


def definitions_of(found: Discovery, record: Json) -> str:
    """The settings, somebody's own prompts, the numbers expected."""
    parts = [f"SETTINGS = {settings_code(found.settings)}"]
    if brought(found):
        parts.append(f"PROMPTS = {_prompts_code(found)}")
    return "\n".join([*parts, f"EXPECTED = {_expected_code(found, record)}"]) + "\n"


def run_of(found: Discovery) -> str:
    return RUN.format(prompts=", PROMPTS" if brought(found) else "")


def brought(found: Discovery) -> bool:
    """Whether the prompts are somebody's own: no seed makes them again."""
    return found.settings.task == CUSTOM or is_own(found.settings.task)


def settings_code(settings: Settings) -> str:
    """A call of ``Settings`` that gives these, without what stands at its default."""
    usual = Settings()
    always = ("model", "task", "pairs", "seed")
    named = [(each.name, getattr(settings, each.name)) for each in fields(settings)]
    shown = [(name, value) for name, value in named if name in always or value != getattr(usual, name)]
    return _call("Settings", [f"{name}={_literal(value)}" for name, value in shown])


def _prompts_code(found: Discovery) -> str:
    prompts = found.prompts
    pairs = ",\n".join(f"        {_pair_code(pair)}" for pair in prompts.pairs)
    task, metric = _literal(prompts.task), _literal(prompts.metric)
    return f"Prompts(\n    {task},\n    {metric},\n    (\n{pairs},\n    ),\n)"


def _pair_code(pair: PromptPair) -> str:
    return f"PromptPair({', '.join(_literal(getattr(pair, each.name)) for each in fields(pair))})"


def _expected_code(found: Discovery, record: Json) -> str:
    """Numbers with the size their digits are counted from; of the edges the strongest."""
    edges = sorted(found.circuit.edges, key=lambda edge: -abs(edge.effect))[:STRONGEST]
    named = [
        f"({str(edge.sender)!r}, {str(edge.receiver or LOGITS_NODE)!r}, {edge.input.value!r}): {_literal(edge.effect)}"
        for edge in edges
    ]
    numbers = [f"{name!r}: ({_literal(number(value))}, {_literal(unit)})" for name, value, unit in _numbers(found)]
    entries = {
        "fingerprint": _literal(record.get("fingerprint") or None),
        "numbers": _braced(numbers),
        "nodes": _literal([str(node) for node in found.circuit.nodes]),
        "edge_count": _literal(len(found.circuit.edges)),
        "strongest_edges": _braced(named),
    }
    return "{\n" + "".join(f"    {name!r}: {code},\n" for name, code in entries.items()) + "}"


def _numbers(found: Discovery) -> list[tuple[str, float, float]]:
    """(name, value, unit) of what the run is compared by."""
    clean, corrupted = found.baseline.clean_logit_diff, found.baseline.corrupted_logit_diff
    size = max((abs(value) for value in (clean, corrupted) if math.isfinite(value)), default=0.0)
    rows = [("clean metric", clean, size), ("corrupted metric", corrupted, size)]
    rows.append(("accuracy", found.baseline.accuracy, 1.0))
    if (seen := found.verification) is not None:
        rows += [("performance in percent", seen.performance, 100.0), ("faithfulness", seen.faithfulness, 1.0)]
    return rows


def _braced(entries: list[str]) -> str:
    return "{\n" + "".join(f"        {entry},\n" for entry in entries) + "    }" if entries else "{}"


def _call(name: str, arguments: list[str]) -> str:
    return f"{name}(\n" + "".join(f"    {each},\n" for each in arguments) + ")"


def _literal(value: Any) -> str:
    """Code that gives this very value: of plain values ``repr``, of a choice its class called with its name."""
    if isinstance(value, StrEnum):
        return f"{type(value).__name__}({value.value!r})"
    if value is None or type(value) in (bool, int, float, str):
        return repr(value)
    if type(value) in (tuple, list) and all(type(each) in (int, str) for each in value):
        return repr(value)
    raise TypeError(f"Expected a plain value, got {type(value).__name__}")


def _file_name(name: str) -> str:
    """Of the script, as it may stand in its first lines."""
    plain = [letter for letter in name if letter.isascii() and (letter.isalnum() or letter in "._-")]
    return "".join(plain) or "script.py"
