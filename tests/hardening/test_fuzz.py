"""Properties of every entrance, drawn by hypothesis and by the fuzzer's own generators, and what the fuzzer found.

The long run is ``python -m benchmarks.fuzz``; here each part gets a few inputs that are always the same.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.fuzz.loop import Target, fuzzed
from benchmarks.fuzz.targets import targets
from engine.errors import HeadlightError
from engine.models.gguf_header import read_header
from engine.models.integrity import check_safetensors, is_intact
from engine.models.preflight import check_architecture, read_config, weight_files
from engine.record.circuit_file import MAX_BYTES, read_circuit, read_record
from engine.record.saved_run import read_saved_circuit
from engine.tasks.own import own_task
from engine.tasks.table import COLUMNS, read_table, table_of
from pages.shared.link import read_view, write_view

TARGETS = {target.name: target for target in targets()}
SLOW = {"stores": 3, "command lines": 15, "rows of a task": 40}
SAME = settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
KNOWN = {"task": ("ioi", "induction-random")}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(autouse=True)
def own_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HEADLIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HEADLIGHT_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("name", TARGETS)
def test_nearly_right_inputs_get_an_answer(name, tmp_path):
    count = fuzzed(TARGETS[name], seed=7, seconds=math.inf, folder=tmp_path, most=SLOW.get(name, 150))
    assert count.findings == [] and count.inputs == count.accepted + count.refused


def test_the_fuzzer_tells_bugs_from_answers(tmp_path):
    def run(number: int, folder: Path) -> None:
        if number % 3 == 0:
            raise HeadlightError("no")
        if number % 3 == 1:
            raise KeyError("a bug")

    numbers = iter(range(9))
    target = Target("made up", lambda rng: next(numbers), run)
    numbers_from_one = fuzzed(target, 0, math.inf, tmp_path, most=6)  # number 0 is drawn before the clock starts
    assert (numbers_from_one.refused, numbers_from_one.accepted) == (2, 2)
    assert list(numbers_from_one.kinds.values()) == [2] and "a bug" in numbers_from_one.findings[0]


def test_the_same_seed_draws_the_same_inputs():
    for target in TARGETS.values():
        draws = [repr(target.make(Random("seed"))) for _ in range(2)]
        assert draws[0] == draws[1], target.name


@SAME
@given(st.binary(max_size=300))
def test_any_bytes_are_rows_or_problems(content):
    table = read_table(content)
    assert table.rows or table.problems
    assert all(problem.reason and problem.repair for problem in table.problems)


@SAME
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, st.text(max_size=30))), min_size=1, max_size=5))
def test_rows_come_back_from_json_lines_as_they_were(rows):
    table = read_table("\n".join(json.dumps(row) for row in rows).encode())
    assert [{name: getattr(row, name) for name in COLUMNS} for row in table.rows] == rows
    assert own_task(table.rows).name == own_task(table_of(rows).rows).name


@SAME
@given(json_values)
def test_any_json_is_a_circuit_or_refused(value):
    for reader in (read_record, read_circuit):
        with pytest.raises(HeadlightError):
            reader(json.dumps(value).encode("utf-8", "surrogatepass"))


@SAME
@given(st.floats(min_value=0, max_value=0.99), st.floats(min_value=0, max_value=10))
def test_a_link_reproduces_numbers_to_the_last_digit(sparsity, scale):
    view, problems = read_view({"sparsity": repr(sparsity), "threshold_scale": repr(scale)}, KNOWN)
    assert not problems and (view.sparsity, view.threshold_scale) == (sparsity, scale)
    assert read_view(write_view(view), KNOWN) == (view, ())


# -- what was found ----------------------------------------------------------------------------------------------------


def test_a_number_of_thousands_of_digits_is_a_problem_of_its_row():
    table = read_table(b'{"clean": ' + b"1" * 5000 + b"}")
    assert "not valid JSON" in table.problems[0].reason


def test_an_effect_no_float_can_hold_is_refused():
    from benchmarks.fuzz import inputs

    circuit = json.loads(json.dumps(inputs.circuit()))
    circuit["circuit"]["edges"][0]["effect"] = 10**400
    with pytest.raises(HeadlightError, match="Edge 1 has the effect 1000"):
        read_circuit(json.dumps(circuit).encode())


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"schema": "headlight/1", "circuit": ' + "[" * 100_000, "9" * 5000, '"\\ud800"', "\xff"]
)
def test_a_saved_run_no_parser_survives_is_refused(tmp_path, text):
    path = tmp_path / "run.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(HeadlightError):
        read_saved_circuit(path)


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"settings": {"seed": "1; rm"}}, "seed"),
        ({"settings": {"pairs": 1e9}}, "pairs"),
        ({"settings": {"metric": "votes"}}, "metric"),
        ({"settings": ["a"]}, "settings"),
        ({"circuit": {"heads": "0.1"}}, "heads"),
        ({"circuit": {"heads": ["9" * 5000 + ".1"]}}, "heads"),
        ({"model": ["gpt2"]}, "model"),
    ],
)
def test_a_saved_run_with_odd_settings_is_refused_before_they_are_used(tmp_path, part, says):
    path = tmp_path / "run.json"
    whole = {"schema": "headlight/1", "model": "a", "task": "b", "settings": {}, "circuit": {"heads": ["0.1"]}}
    path.write_text(json.dumps(whole | part), encoding="utf-8")
    with pytest.raises(HeadlightError, match=says):
        read_saved_circuit(path)


def test_a_model_type_that_is_no_text_is_refused():
    with pytest.raises(HeadlightError, match="architecture"):
        check_architecture("x", [["llama"]])


@pytest.mark.parametrize("name", ["../../out.safetensors", "/etc/x.safetensors", "a" * 5000, "sub/x.safetensors", ""])
def test_an_index_cannot_lead_out_of_the_models_folder(tmp_path, name):
    index = {"weight_map": {"a": name}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(HeadlightError, match="cannot be read"):
        weight_files(tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": {"data_offsets": []}}', '{"a": {"data_offsets": [0]}}', "{}{}"])
def test_damaged_headers_are_told(tmp_path, text):
    header = text.encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(HeadlightError, match="not a readable safetensors file"):
        check_safetensors(path)


@pytest.mark.parametrize("name", ["config.json", "headlight.json"])
def test_brackets_without_end_are_no_crash(tmp_path, name):
    (tmp_path / name).write_text("[" * 100_000, encoding="utf-8")
    assert not is_intact(tmp_path)
    with pytest.raises(HeadlightError):
        read_config(tmp_path, "x")


def test_a_tensor_of_thousands_of_dimensions_is_refused_at_once(tmp_path):
    dimensions = 200_000
    header = struct.pack("<4sIQQ", b"GGUF", 3, 1, 0) + struct.pack("<Q", 1) + b"x" + struct.pack("<I", dimensions)
    path = tmp_path / "model.gguf"
    path.write_bytes(header + b"\xff" * (8 * dimensions) + bytes(64))
    with pytest.raises(HeadlightError, match="200000 dimensions"):
        read_header(path)


def test_a_file_larger_than_any_run_is_refused_before_it_is_parsed():
    with pytest.raises(HeadlightError, match="at most 20"):
        read_record(b" " * (MAX_BYTES + 1))
