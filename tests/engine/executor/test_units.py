"""Units as JSON and back, what they are called, and results as bytes."""

import json
import math
from dataclasses import replace

import pytest
import torch

from engine.errors import HeadlightError
from engine.executor.units import Asked, DrawUnit, ModelUnit, ReceiversUnit, SearchUnit, plain, unit_id, unit_of
from engine.executor.wire import from_bytes, to_bytes
from engine.machine.memory import MemoryPlan
from engine.notes.journal import Chunk
from engine.settings import Algorithm, Method, Mode, Score, Settings
from engine.tasks.prompts import Metric, PromptPair, Prompts
from engine.trust.draws import Kind

SETTINGS = Settings(model="toy-induction", task="induction-random", pairs=8, sparsity=0.5)
PAIR = PromptPair("a b", "a c", (1, 2), (1, 3), (4,), (5, 6), 7)
UNITS = [
    ModelUnit(SETTINGS),
    SearchUnit(replace(SETTINGS, method=Method.DENSE, sparsity=None, metric=Metric.PROB_DIFF), 3, "0123456789abcdef"),
    SearchUnit(replace(SETTINGS, algorithm=Algorithm.EAP, score=Score.WALK, mode=Mode.EXACT, memory_budget=1e9)),
    DrawUnit(SETTINGS, 2, None, Prompts("custom", Metric.LOGIT_DIFF_MAX, (PAIR, PAIR)), Kind.TEMPLATE, "ä", 5, 7),
    DrawUnit(SETTINGS, memory=MemoryPlan(2048, 100, 0.1)),
    ReceiversUnit(SETTINGS, senders=("0.1", "m0"), asked=(Asked("1.2.q", ((2.0, 0.01), (1.5, 0.002))), Asked("m1"))),
]


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_is_the_same_after_json(unit):
    back = unit_of(json.loads(json.dumps(plain(unit))))
    assert back == unit and type(back) is type(unit) and hash(back) == hash(unit) and unit_id(back) == unit_id(unit)
    assert type(back.settings.method) is Method and back.settings.metric is unit.settings.metric


def test_a_units_name_tells_what_it_says_apart():
    names = [unit_id(unit) for unit in UNITS]
    one = UNITS[1]
    changed = [replace(one, threads=4), replace(one, fingerprint="f" * 16), replace(one, settings=SETTINGS)]
    names += [unit_id(unit) for unit in changed]
    assert len(set(names)) == len(names) and all(len(name) == 16 for name in names)
    assert unit_id(ModelUnit(SETTINGS)) == unit_id(ModelUnit(Settings(**vars(SETTINGS))))


@pytest.mark.parametrize(
    "wrong",
    [
        {}, {"kind": "eval"}, {"kind": "search"}, {"kind": "search", "settings": {"pairs": 8, "colour": 1}},
        {"kind": "model", "settings": {}, "more": 1}, {"kind": "draw", "settings": {}, "draw": "dice"},
    ],
)  # fmt: skip
def test_what_is_no_unit_is_refused(wrong):
    with pytest.raises(HeadlightError, match=r"same version|Make the run again"):
        unit_of(wrong)


def test_a_result_is_the_same_bits_after_bytes():
    values = {"f": [0.1, None, 1e-300, 12345678901234567], "ä": {"deep": [True, "x"]}}
    tensors = {"f": torch.tensor([[0.1, math.nan], [-0.0, 3e-39]]), "mask": torch.tensor([True, False]),
               "wide": torch.tensor([1 / 3], dtype=torch.float64), "across": torch.arange(6.0).reshape(2, 3).T}
    back = from_bytes(to_bytes(Chunk(values, tensors)))
    assert back.values == values and set(back.tensors) == set(tensors)
    for name, tensor in tensors.items():
        assert back.tensors[name].dtype == tensor.dtype and back.tensors[name].shape == tensor.shape
        assert back.tensors[name].contiguous().numpy().tobytes() == tensor.contiguous().numpy().tobytes()
    assert from_bytes(to_bytes(Chunk({}))).tensors == {}


@pytest.mark.parametrize("wrong", [b"", b"\x80\x04pickle", b"\x02\0\0\0\0\0\0\0{}", to_bytes(Chunk({"a": 1}))[:-3]])
def test_bytes_that_are_no_result_are_refused(wrong):
    with pytest.raises(HeadlightError, match="result cannot be read"):
        from_bytes(wrong)
