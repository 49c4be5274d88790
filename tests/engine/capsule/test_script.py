"""A run as a script and as a notebook: both make it again, and nothing in a record becomes code."""

from __future__ import annotations

import ast
import copy
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engine.capsule.notebook import notebook_of
from engine.capsule.script import script_of, settings_code
from engine.errors import HeadlightError
from engine.pipeline import discover
from engine.prepare import prepare
from engine.progress import Watcher
from engine.record import writing as record
from engine.record.json_values import dumps
from engine.settings import Algorithm, Method, Mode, Score, Settings
from engine.tasks.custom import CUSTOM, custom_prompts
from engine.tasks.prompts import Metric
from engine.tasks.table import read_table
from tests.engine.capsule.conftest import SETTINGS

ROOT = Path(__file__).parents[3]
ROWS = b"""clean,corrupted,answer,distractor
cat dog bird cat,cow dog bird cow,dog,bird
dog cat cow dog,bird cat cow bird,cat,cow
"""


def run_script(text: str, folder: Path) -> subprocess.CompletedProcess:
    path = folder / "again.py"
    path.write_text(text, encoding="utf-8")
    return subprocess.run(
        [sys.executable, path], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip


def test_the_script_makes_the_run_again(toy_record, tmp_path):
    done = run_script(script_of(toy_record, "again.py"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("equal to the last digit") == 5 and "The run was reproduced." in done.stdout
    again = json.loads((tmp_path / "run-again.json").read_text(encoding="utf-8"))
    assert again["circuit"] == toy_record["circuit"] and again["scores"] == toy_record["scores"]


def test_a_script_whose_numbers_are_others_says_so(toy_record, toy_found, capsys):
    wrong = copy.deepcopy(toy_record)
    wrong["baseline"]["clean_logit_diff"] += 0.5
    wrong["circuit"]["edges"][0]["effect"] += 0.5
    assert namespace_of(script_of(wrong))["compare"](toy_found) is False
    said = capsys.readouterr().out
    assert "clean metric: expected 8.66" in said and "effects of edges: largest difference 0.5" in said
    assert namespace_of(script_of(toy_record))["compare"](toy_found) is True


@pytest.mark.parametrize("change", [lambda c: c["edges"].pop(), lambda c: c.update(heads=["0.1", "0.2", "1.2"])])
def test_a_script_of_another_circuit_says_so(toy_record, toy_found, change):
    wrong = copy.deepcopy(toy_record)
    change(wrong["circuit"])
    assert namespace_of(script_of(wrong))["compare"](toy_found) is False


def namespace_of(text: str) -> dict:
    """Everything the script defines, its last part not run."""
    namespace = {"__name__": "not main"}
    exec(text, namespace)
    return namespace


@pytest.mark.parametrize(
    "settings",
    [
        Settings(), replace(SETTINGS, method=Method.DENSE, mode=Mode.EXACT, threshold_scale=1.5, min_effect=1e-3),
        replace(SETTINGS, sparsity=0.1 + 0.2, score=Score.MERGED, flap_sparsity=0.5, metric=Metric.PROB_DIFF),
        replace(SETTINGS, algorithm=Algorithm.ACDC, tolerance=0.3, seed=7, prepend_bos=True, memory_budget=1e9),
        replace(SETTINGS, union="first+fixed", grid=True, dtype="float32", device="cpu"),
    ],
    ids=str,
)  # fmt: skip
def test_settings_come_back_from_their_code(settings):
    names = {each.__name__: each for each in (Algorithm, Method, Metric, Mode, Score, Settings)}
    assert eval(settings_code(settings), names) == settings


def test_prompts_of_ones_own_stand_in_the_script(toy_model, tmp_path):
    settings = replace(SETTINGS, task=CUSTOM, pairs=2, sparsity=0.5)
    prompts = custom_prompts(read_table(ROWS), toy_model.tokenizer, toy_model.max_positions)
    prepared = prepare(toy_model, settings, Watcher(), prompts)
    found = discover(toy_model, prepared.settings, Watcher(), prepared)
    text = script_of(json.loads(dumps(record.discovery_json(toy_model, found))))
    assert namespace_of(text)["PROMPTS"] == prompts
    done = run_script(text, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


EVIL = [
    "x'); __import__('os').mkdir('pwned') #",
    '"""\n__import__("os").mkdir("pwned")\n"""',
    "{name}{prompts}{0.__class__}",
    "\\'); __import__('os').mkdir('pwned')\n#",
    "a\u202eb\u2028__import__('os').mkdir('pwned')",
    "\r\n__import__('os').mkdir('pwned')",
]


@pytest.mark.parametrize("evil", EVIL)
def test_texts_of_a_record_are_data(toy_record, tmp_path, monkeypatch, evil):
    """In every text a record has: either it is refused, or it comes back from the script as the same text."""
    monkeypatch.chdir(tmp_path)
    tried = 0
    for path in (("model",), ("task",), ("settings", "model"), ("settings", "task"), ("settings", "device"),
                 ("settings", "dtype"), ("prompts", "clean", 0), ("prompts", "task"), ("fingerprint",)):  # fmt: skip
        bad = copy.deepcopy(toy_record)
        bad["settings"]["task"] = CUSTOM
        place = bad
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = evil
        try:
            text, cells = script_of(bad), notebook_of(bad)["cells"]
        except HeadlightError:
            continue
        tried += 1
        made = namespace_of(text)
        assert isinstance(made["SETTINGS"], Settings)
        if path[0] == "settings":
            assert getattr(made["SETTINGS"], path[1]) == evil
        if path == ("prompts", "clean", 0):
            assert made["PROMPTS"].pairs[0].clean == evil
        words = [cell for cell in cells if cell["cell_type"] == "markdown"]
        assert not any("pwned" in "".join(cell["source"]) for cell in words)
        for cell in cells:
            if cell["cell_type"] == "code":
                ast.parse("".join(cell["source"]))
        assert evil not in ast.get_docstring(ast.parse(text))
        calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name) and node.id == "__import__"]
        assert calls == []
    assert tried and not (tmp_path / "pwned").exists()


def test_the_name_of_the_script_is_no_way_in_either(toy_record):
    text = script_of(toy_record, '"""\nimport os #.py')
    assert "python importos.py\n" in text and ast.parse(text)


def test_the_notebook_is_of_its_format_and_its_cells_run(toy_record, tmp_path, monkeypatch):
    notebook = notebook_of(toy_record)
    assert json.loads(json.dumps(notebook)) == notebook and (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids) == 14
    for cell in notebook["cells"]:
        assert cell["cell_type"] in ("markdown", "code") and all(isinstance(line, str) for line in cell["source"])
        assert set(cell) == {"id", "cell_type", "metadata", "source"} | (
            {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT))
    namespace: dict = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), namespace)
    assert namespace["compare"](namespace["found"]) is True
    figure = namespace["heatmap_figure"](namespace["scores"], name="x", dark=False)
    assert namespace["scores"].shape == (2, 12) and len(figure.data) > 0
    assert (tmp_path / "run-again.json").exists()


def test_a_circuit_of_many_edges_keeps_the_script_short(toy_record):
    """The 100 strongest are compared by their effects, all are counted."""
    large = copy.deepcopy(toy_record)
    names = [f"0.{i}" for i in range(12)] + [f"1.{i}" for i in range(12)]
    edges = [
        {"sender": f"0.{i}", "receiver": f"1.{j}", "input": letter, "effect": (i + 12 * j) / 1000, "shared": False}
        for i in range(12) for j in range(12) for letter in "qkv"
    ]  # fmt: skip
    large["circuit"] = {"heads": names, "edges": edges}
    expected = namespace_of(script_of(large))["EXPECTED"]
    assert expected["edge_count"] == 432 and len(expected["strongest_edges"]) == 100
    assert expected["strongest_edges"]["0.11", "1.11", "q"] == 0.143
    assert ("0.0", "1.0", "q") not in expected["strongest_edges"]


def test_a_record_that_is_no_run_has_no_script():
    for make in (script_of, notebook_of):
        with pytest.raises(HeadlightError):
            make({"schema": "headlight/1"})
