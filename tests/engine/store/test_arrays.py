"""A record taken apart and put together is the same record, to the last digit."""

import json
import random

import pytest
import torch
from safetensors.torch import load, save

from engine.errors import HeadlightError
from engine.pipeline import discover
from engine.prepare import prepare
from engine.progress import Watcher
from engine.record import writing as record
from engine.settings import Settings
from engine.store.arrays import put_together, taken_apart

RECORD = {
    "scores": {"flap": [[0.1, None], [float(torch.tensor(0.3)), 2.0]]},
    "keep": [[True, False], [False, False]],
    "steps": [{"effects": [[0.5, None]], "important": ["1.2"]}, {"effects": [[None, None]], "important": []}],
    "tokens": [[1, 2, 3], [4, 5, 6]],
    "uneven": [[1.0], [2.0, 3.0]],
    "mixed": [[1, 2.5]],
    "words": [["a", "b"]],
    "empty": [],
    "large": [[2**60]],
    "nothing": None,
}


def test_matrices_leave_the_record_and_come_back_exactly():
    plain, arrays = taken_apart(RECORD)
    assert plain["steps"][0] == {"effects": {"array": "steps.0.effects"}, "important": ["1.2"]}
    assert set(arrays) == {"scores.flap", "keep", "steps.0.effects", "tokens"}
    assert [arrays[name].dtype for name in ("scores.flap", "keep", "steps.0.effects", "tokens")] == [
        torch.float64, torch.bool, torch.float32, torch.int64,
    ]  # fmt: skip
    assert put_together(json.loads(json.dumps(plain)), load(save(arrays))) == RECORD


def test_random_records_come_back_exactly():
    draw = random.Random(0)
    leaves = [lambda: draw.random(), lambda: draw.randrange(-9, 9), lambda: None, lambda: True, lambda: "x"]

    def made(depth: int):
        kind = draw.randrange(3) if depth else 2
        if kind == 0:
            return {f"k{index}": made(depth - 1) for index in range(draw.randrange(4))}
        if kind == 1:
            return [made(depth - 1) for _ in range(draw.randrange(4))]
        return draw.choice(leaves)()

    for _ in range(500):
        given = {"record": made(5)}
        back = put_together(*taken_apart(given))
        assert json.dumps(back) == json.dumps(given)  # 1 and True are equal, but not as JSON


def test_a_whole_run_comes_back_exactly(toy_model):
    settings = Settings(model="toy-induction", task="induction-random", pairs=4)
    found = discover(toy_model, settings, Watcher(), prepare(toy_model, settings, Watcher()))
    whole = json.loads(json.dumps(record.discovery_json(toy_model, found)))
    plain, arrays = taken_apart(whole)
    assert put_together(plain, load(save(arrays))) == whole
    assert "[[" not in json.dumps(plain), "a matrix stayed behind"


def test_an_array_that_is_not_there_is_named():
    with pytest.raises(HeadlightError, match=r"scores\.flap"):
        put_together({"scores": {"array": "scores.flap"}}, {})


def test_a_record_that_says_array_itself_is_refused():
    with pytest.raises(ValueError, match="array"):
        taken_apart({"array": 1})
